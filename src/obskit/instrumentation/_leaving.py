"""Tell how a loop over a generator was left, where the generator itself is told only that it was.

What is collected because nobody holds it any more learns nothing of why. The instruction at
which that happened says it: a loop that is left on purpose drops what it iterates over by one
of its own, an error drops it wherever it came from.
"""

from __future__ import annotations

import dis
import gc
import sys
from types import FrameType
from typing import Any, Literal, cast

# Where the caller of a generator stood: its frame, and the instruction in there.
Place = tuple[int, int]
Leaving = Literal["one", "done", "failed"]

_ON_PURPOSE = ("POP_", "STORE_", "DELETE_", "RETURN_", "END_")
# More than the collector lets come together, unless it was told to.
MOST_YOUNG = 10_000
_HAS_GENERATIONS: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
_traceback_of: Any = vars(BaseException)["__traceback__"].__get__
_CALLS = ("CALL", "PRECALL", "CACHE")


def place() -> Place:
    """Return where the caller of the generator that asks stands."""
    caller = sys._getframe(2)
    return id(caller), caller.f_lasti


def why(asked_at: Place) -> Leaving:
    """Tell what has become of a generator that is being closed, and was *asked_at* last.

    ``one``: it was made for one item, which may still be at work (``next(generate())``);
    ``failed``: an error went through its loop. What cannot be told is ``done``.
    """
    caller = sys._getframe(2)
    if id(caller) != asked_at[0]:
        return "done"
    name = dis.opname[caller.f_code.co_code[caller.f_lasti]]
    if caller.f_lasti == asked_at[1]:
        # What has taken as many as it wanted (`islice`) ends where a loop asks for one more.
        return "done" if name == "FOR_ITER" else "one"
    return "done" if name.startswith(_ON_PURPOSE) or _is_closing(caller) else "failed"


def _is_closing(caller: FrameType) -> bool:
    """Tell whether somebody calls the generator's own method."""
    code, last = caller.f_code, caller.f_lasti
    before = [
        step
        for step in dis.get_instructions(code)
        if step.offset <= last and not step.opname.startswith(_CALLS)
    ]
    return bool(before) and before[-1].argval == "close"


def error() -> BaseException | None:
    """Return the error that goes through the loop of a generator that is being closed, if found.

    No interpreter hands it out before it is caught. But it has been raised a moment ago, so it
    is among the youngest objects, and its traceback has come to the frame of the loop.
    """
    caller = sys._getframe(2)
    if not _HAS_GENERATIONS or max(gc.get_count()[0], gc.get_threshold()[0]) > MOST_YOUNG:
        return None
    return _through(caller, gc.get_objects(0)) or _through(caller, gc.get_objects(1))


def _through(frame: FrameType, objects: list[object]) -> BaseException | None:
    """Return the error among *objects*, of which the youngest come last, that has left *frame*."""
    passed: list[BaseException] = []
    for one in objects:
        # Asked of the type: an object may be half made, or say of itself what it likes.
        if issubclass(type(one), BaseException):
            traceback = _traceback_of(one)
            if traceback is not None and traceback.tb_frame is frame:
                passed.append(cast("BaseException", one))
    here = [one for one in passed if _traceback_of(one).tb_lasti == frame.f_lasti]
    if here:
        return here[-1]
    # It was raised again by a handler; one that is kept from an earlier time looks the same.
    return passed[0] if len(passed) == 1 else None
