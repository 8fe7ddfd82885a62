"""See that a process which ends does not take along what waits to be sent, or says how much it was.

A signal that nobody handles ends a process without a word to Python: so SIGTERM is handled where
nobody else does, and the process then ends by it as it would have. A server that was there before
puts the signal back to what it was and raises it anew when it is done: that is heard, too.
`os._exit` sends nothing; what is lost by it is counted.
"""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Callable
from functools import wraps
from types import FrameType
from typing import Any

from obskit import health

FLUSH_SECONDS = 5.0


class _State:
    """What is called at the end; None while nothing is to be sent."""

    flush: Callable[[float], None] | None = None
    abandon: Callable[[str], None] | None = None
    is_ending = False


_state = _State()


def install(flush: Callable[[float], None], abandon: Callable[[str], None]) -> None:
    """Call *flush* with seconds, then *abandon* with the reason, when the process ends.

    No seconds mean that nothing is to be sent any more.

    A handler for SIGTERM that is there already stays, and one that comes later takes the place
    of ours: these programs end in a way of their own.
    """
    _state.flush, _state.abandon = flush, abandon
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)
    _wrap_exit()
    _wrap_raise()
    try:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _on_signal)
    except ValueError:
        pass  # only the main thread may


def undo() -> None:
    """Give the signal back, if it is still ours."""
    _state.flush = _state.abandon = None
    atexit.unregister(_at_exit)
    give_back()


def give_back() -> None:
    """Let the signal end this process as if we were not there, if it is still ours."""
    try:
        if signal.getsignal(signal.SIGTERM) is _on_signal:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    except ValueError:
        pass


def _at_exit() -> None:
    """Send what waits, unless somebody has done so by now, and count what is left."""
    _flush()
    _give_up("process ended")


def _flush(seconds: float = FLUSH_SECONDS) -> None:
    try:
        if _state.flush is not None:
            _state.flush(seconds)
    except Exception as error:
        health.internal_error("shipping.end", error)


def _give_up(reason: str) -> None:
    try:
        if _state.abandon is not None:
            _state.abandon(reason)
    except Exception as error:
        health.internal_error("shipping.end", error)


def _end_by_signal() -> None:
    """Send what waits, before the process ends by a signal."""
    if not _state.is_ending:
        _state.is_ending = True
        _flush()
        _state.is_ending = False
    if os.getpid() != 1:
        _give_up("terminated")


def _on_signal(number: int, frame: FrameType | None) -> None:
    """Send what waits, then end by the signal as if it had not been handled."""
    if signal.getsignal(number) is not _on_signal:
        # A handler that was put in front calls us as the one before it. It has its own way.
        return
    _end_by_signal()
    if os.getpid() != 1:
        # The first process of a container does not end by a signal that nobody handles.
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _wrap_raise() -> None:
    original: Any = signal.raise_signal
    if hasattr(original, "_obskit"):
        return

    @wraps(original)
    def raise_signal(signalnum: int, /) -> None:
        try:
            if signalnum == signal.SIGTERM and signal.getsignal(signalnum) is signal.SIG_DFL:
                _end_by_signal()
        except Exception as error:
            health.internal_error("shipping.end", error)
        original(signalnum)

    raise_signal._obskit = True  # type: ignore[attr-defined]
    signal.raise_signal = raise_signal


def _wrap_exit() -> None:
    original: Any = os._exit
    if hasattr(original, "_obskit"):
        return

    @wraps(original)
    def _exit(status: int) -> None:
        _flush(0.0)
        _give_up("os._exit")
        original(status)

    _exit._obskit = True  # type: ignore[attr-defined]
    os._exit = _exit  # type: ignore[assignment]
