"""Child processes begin clean: what forks a worker for all requests is one of them by chance."""

from __future__ import annotations

from obskit import clock, context
from obskit.instrumentation._drive import Call, wraps


@wraps("multiprocessing.process", "BaseProcess._bootstrap")
def begin(call: Call) -> None:
    """Forget the operation that was running when the process was forked."""
    context.attach(None)
    clock.attach(None)
