"""The products that lines are sent to, one module each; only those that are chosen are imported.

Each module says what it sends, what is promised, the limits, and whose contract that is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Protocol, cast

from obskit.shipping.entry import Entry
from obskit.shipping.target import KINDS, Target
from obskit.shipping.verdict import Verdict

__all__ = ["ACKNOWLEDGED", "BEST_EFFORT", "Backend", "Facts", "open"]

# What is known of this process as the sender: service, version, env, host.
Facts = Mapping[str, str]

ACKNOWLEDGED = "acknowledged: what is taken has been confirmed by the server"
BEST_EFFORT = "best effort: nobody confirms what was sent, and a connection that breaks loses some"


class Backend(Protocol):
    """Where batches are sent; called by one thread at a time.

    *url* is for people and has no secret in it; *kind* is "line" or "span"; *most_bytes* and
    *most_entries* are the limits of one batch, *most_bytes* counts the bodies of its entries;
    *promise* says in words what being taken means.
    """

    url: str
    kind: str
    most_bytes: int
    most_entries: int
    promise: str

    def send(self, batch: Sequence[Entry], seconds: float) -> Verdict:
        """Send a batch within *seconds*; never raises what the network can be at fault for."""

    def forget(self) -> None:
        """Leave what is open to the parent, after a fork."""

    def close(self) -> None:
        """Close what is open; the next batch opens it again."""


def open(target: Target, facts: Facts) -> Backend:  # noqa: A001
    """Return the backend that *target* names; it connects when it sends.

    Args:
        target: Where to send.
        facts: Who sends: ``service``, ``version``, ``env``, ``host``, as far as they are known.
    """
    module = import_module(f"{__name__}.{KINDS[target.backend].module}")
    return cast(Backend, module.make(target, facts))
