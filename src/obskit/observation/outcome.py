"""Judge how a unit of work ended, and whose fault it is."""

from __future__ import annotations

import sys
from typing import Literal

from obskit.context import FailedCall
from obskit.observation.record import EXITS, Observation

Outcome = Literal[
    "ok", "client_error", "rejected", "timeout", "dependency", "server_error", "client_gone"
]
OUTCOMES: tuple[str, ...] = (
    "ok",
    "client_gone",
    "rejected",
    "timeout",
    "dependency",
    "server_error",
    "client_error",
)
FAILURES = frozenset({"timeout", "dependency", "server_error"})


def judge(observation: Observation) -> str:
    """Return the outcome of *observation*: whose fault it is. The first match wins."""
    status, error = observation.status, observation.error
    if observation.client_gone or isinstance(error, GeneratorExit) or is_cancelled(error):
        return "client_gone"
    if status == 429 or observation.rejected:
        return "rejected"
    if observation.kind in EXITS:
        return _judge_exit(status, error)
    here = observation.context
    failed = here.unit.failed_call if here is not None and observation.entry else None
    if failed is not None and error is not None and _is_behind(failed, error):
        return "dependency"
    if status == 504 or isinstance(error, TimeoutError):
        return "timeout"
    if failed is not None and error is None and status is not None and status >= 500:
        return "dependency"
    if error is not None or (status is not None and status >= 500):
        return "server_error"
    return "client_error" if status is not None and status >= 400 else "ok"


def _judge_exit(status: int | None, error: BaseException | None) -> str:
    if status == 504 or (error is not None and is_timeout(error)):
        return "timeout"
    if error is not None:
        return "dependency"
    if status is None or status < 400:
        return "ok"
    return "server_error" if status >= 500 else "client_error"


def is_cancelled(error: BaseException | None) -> bool:
    """Tell whether *error* is asyncio's cancellation; asyncio itself is not imported for that.

    It brings ssl with it, which gevent must patch before anybody imports it.
    """
    asyncio = sys.modules.get("asyncio.exceptions")
    return asyncio is not None and isinstance(error, asyncio.CancelledError)


def is_timeout(error: BaseException) -> bool:
    """Tell whether *error* says that time was up, in any library's words."""
    return isinstance(error, TimeoutError) or any(
        "Timeout" in kind.__name__ for kind in type(error).__mro__
    )


def _is_behind(failed: FailedCall, error: BaseException) -> bool:
    """Tell whether *error* comes from the *failed* call: its error, or its library's word."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        item = pending.pop()
        if item is None or id(item) in seen or len(seen) > 50:
            continue
        seen.add(id(item))
        if item is failed.error:
            return True
        if failed.library and type(item).__module__.partition(".")[0] == failed.library:
            return True
        pending += (item.__cause__, item.__context__)
        if isinstance(item, BaseExceptionGroup):
            pending += item.exceptions
    return False


def remember_call(observation: Observation) -> None:
    """Note an outgoing call and its failure in the unit of work that made it."""
    here = observation.context
    if here is None or observation.kind not in EXITS:
        return
    unit, peer = here.unit, observation.peer or ""
    unit.call_count += 1
    unit.call_seconds += observation.duration_ns / 1e9
    if observation.outcome in FAILURES:
        unit.failed_call = FailedCall(
            peer,
            observation.outcome,
            observation.status,
            observation.error,
            observation.library,
        )
    elif unit.failed_call is not None and unit.failed_call.peer == peer:
        unit.failed_call = None


def dependency(observation: Observation) -> str:
    """Return the peer that is to blame, where the outcome is ``dependency``."""
    here = observation.context
    if observation.outcome != "dependency" or here is None:
        return ""
    if observation.kind in EXITS:
        return observation.peer or ""
    failed = here.unit.failed_call
    return failed.peer if failed is not None else ""
