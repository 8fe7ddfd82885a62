"""Keep what is to be sent in files, so that neither a crash nor an outage loses it.

Each process of a service appends to segments of its own in one folder (`Appender`). One of the
processes holds the `Lease` and reads all of them, those of the dead too, for each destination (a
`Reader`), whose ledger moves when a batch is decided: after a crash the batch that was on its way
is sent again, and nothing else. `records` describes the bytes, `segments` the files.
"""

from __future__ import annotations

from obskit.shipping.spool.account import Ledger, Standing, ledger, sweep
from obskit.shipping.spool.appender import Appender
from obskit.shipping.spool.lease import Lease
from obskit.shipping.spool.reader import Reader
from obskit.shipping.spool.room import SpoolFull

__all__ = ["Appender", "Lease", "Ledger", "Reader", "SpoolFull", "Standing", "ledger", "sweep"]
