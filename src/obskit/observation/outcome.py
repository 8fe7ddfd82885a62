"""Judge how a unit of work ended, and whose fault it is."""

from __future__ import annotations

from typing import Literal, get_args

from obskit.context import FailedCall
from obskit.observation.record import EXITS, Kind, Observation

Outcome = Literal[
    "ok",
    "client_gone",
    "cancelled",
    "rejected",
    "timeout",
    "dependency",
    "server_error",
    "client_error",
]
OUTCOMES: tuple[str, ...] = get_args(Outcome)
CALLED_OFF = frozenset({"client_gone", "cancelled"})
FAILURES = frozenset({"timeout", "dependency", "server_error"})


# An exception of these kinds inside of an `except` block is a bug there, not the failure.
BUGS = (AssertionError, AttributeError, LookupError, NameError, TypeError)

_PRODUCER = Kind.PRODUCER
MOST_FAILED_CALLS = 8
MOST_PLACES = 8
_MOST_ERRORS = 50
_TIME_IS_UP = ("Timeout", "TimeLimit", "DeadlineExceeded", "TooSlow")


def judge(observation: Observation) -> str:
    """Return the outcome of *observation*: whose fault it is. The first match wins."""
    status, error = observation.status, observation.error
    if observation.client_gone:
        return "client_gone"
    if error is None and (status is None or status < 400) and not observation.rejected:
        return "ok"
    if error is not None and is_cancelled(error):
        # Servers cancel a request when its client has gone; all other work is called off.
        return "client_gone" if observation.kind is Kind.SERVER else "cancelled"
    if status == 429 or observation.rejected:
        return "rejected"
    if status == 504:
        return "timeout"
    if observation.kind in EXITS:
        return _judge_exit(status, error)
    if _to_blame(observation) is not None:
        return "dependency"
    if error is not None:
        return "timeout" if is_timeout(error) else "server_error"
    return "server_error" if status is not None and status >= 500 else "client_error"


def _judge_exit(status: int | None, error: BaseException | None) -> str:
    if error is not None:
        return "timeout" if is_timeout(error) else "dependency"
    return "server_error" if status is not None and status >= 500 else "client_error"


def is_cancelled(error: BaseException) -> bool:
    """Tell whether *error* says that nobody waits any more: cancelled, closed, interrupted.

    The cancellations of asyncio and trio are known by name: asyncio brings ssl with it,
    which gevent must patch before anybody imports it.
    """
    if isinstance(error, Exception):
        return False
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_cancelled, error.exceptions))
    return isinstance(error, (GeneratorExit, KeyboardInterrupt)) or any(
        kind.__name__ in ("CancelledError", "Cancelled")
        and kind.__module__.partition(".")[0] in ("asyncio", "trio")
        for kind in type(error).__mro__
    )


def is_timeout(error: BaseException) -> bool:
    """Tell whether *error* says that time was up, in any library's words.

    A group says so if all of its errors do.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_timeout, error.exceptions))
    return isinstance(error, TimeoutError) or any(
        word in kind.__name__ for kind in type(error).__mro__ for word in _TIME_IS_UP
    )


def is_normal_end(error: BaseException) -> bool:
    """Tell whether *error* is no error: the program said that it is done."""
    return isinstance(error, SystemExit) and error.code in (None, 0)


def _to_blame(observation: Observation) -> FailedCall | None:
    """Return the failed call that made *observation* fail.

    It is the one that its error comes from. An answer of 5xx without an error is blamed on
    the last call that failed and did not recover.
    """
    here, error = observation.context, observation.error
    calls = here.unit.failed_calls if here is not None else ()
    if not calls:
        return None
    if error is None:
        return calls[0] if (observation.status or 0) >= 500 else None
    errors = _behind(error)
    return next((call for call in calls if any(_is_from(call, item) for item in errors)), None)


def _behind(error: BaseException) -> list[BaseException]:
    """Return *error* and what led to it: causes, contexts, members of groups."""
    found: dict[int, BaseException] = {}
    pending: list[BaseException | None] = [error]
    while pending and len(found) < _MOST_ERRORS:
        item = pending.pop()
        if item is None or id(item) in found:
            continue
        found[id(item)] = item
        pending.append(item.__cause__)
        if not isinstance(item, BUGS):
            pending.append(item.__context__)
        if isinstance(item, BaseExceptionGroup):
            pending.extend(item.exceptions)
    return list(found.values())


def _is_from(failed: FailedCall, error: BaseException) -> bool:
    """Tell whether *error* is that of the *failed* call, or its library's word for the answer."""
    if failed.error is not None:
        return error is failed.error
    if not failed.library or type(error).__module__.partition(".")[0] != failed.library:
        return False
    return _status_of(error) in (None, failed.status)


def _status_of(error: BaseException) -> object:
    """Return the status of the answer that *error* complains about, None if it names none."""
    try:
        response = getattr(error, "response", None)
        return getattr(error if response is None else response, "status_code", None) or getattr(
            error, "status", None
        )
    except Exception:
        return None


def remember_call(observation: Observation) -> None:
    """Note an outgoing call and its failure in the unit of work that made it."""
    here = observation.context
    if here is None:
        return
    unit, outcome = here.unit, observation.outcome
    unit.call_count += 1
    unit.call_seconds += observation.duration_ns / 1e9
    if outcome == "ok":
        if observation.kind is _PRODUCER:
            labels = observation.labels
            place = f"{labels.get('messaging_system')}:{labels.get('messaging_destination_name')}"
            sent_to = unit.sent_to
            # Of many places the first ones only.
            if sent_to is None:
                unit.sent_to = {place: 1}
            elif place in sent_to:
                sent_to[place] += 1
            elif len(sent_to) < MOST_PLACES:
                sent_to[place] = 1
        if not unit.failed_calls:
            return
    peer = observation.peer or ""
    if outcome in FAILURES or outcome == "rejected":
        failed = FailedCall(
            peer, outcome, observation.status, observation.error, observation.library
        )
        unit.failed_calls = (failed, *unit.failed_calls[: MOST_FAILED_CALLS - 1])
    elif unit.failed_calls and outcome in ("ok", "client_error"):
        # The peer has answered a retry.
        unit.failed_calls = tuple(call for call in unit.failed_calls if call.peer != peer)


def dependency(observation: Observation) -> str:
    """Return the peer that is to blame, where the outcome is ``dependency``."""
    if observation.outcome != "dependency":
        return ""
    if observation.kind in EXITS:
        return observation.peer or ""
    failed = _to_blame(observation)
    return failed.peer if failed is not None else ""
