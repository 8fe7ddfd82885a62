"""Read a variable of the environment that a setting names, as that of a password or token."""

from __future__ import annotations

import os


def variable(name: str) -> str:
    """Return what the variable *name* of the environment is now; empty where it is not set."""
    return os.environ.get(name, "")
