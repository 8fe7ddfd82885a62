"""Run the command line interface by ``python -m obskit``."""

import sys

from obskit.cli import main

sys.exit(main())
