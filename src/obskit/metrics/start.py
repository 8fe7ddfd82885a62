"""Find out when a program has started, without asking it."""

from __future__ import annotations

import sys
import threading
import time

# It has when nothing was imported, and no child forked, for so many seconds.
QUIET = 1.0
LONGEST = 10.0


class Start:
    """Tell when the start of a program is over, so that what it opens by then is open."""

    def __init__(self) -> None:
        self.is_over = False
        self._began: float | None = None
        self._busy = 0.0

    def begin_again(self) -> None:
        """Wait once more until all is quiet, if it is not over."""
        self._busy = time.monotonic()

    def ends(self) -> bool:
        """Tell whether it is over, having had a look."""
        if not self.is_over:
            now = time.monotonic()
            if self._began is None:
                self._began = self._busy = now
            if _main_thread_imports():
                self._busy = now
            if now >= min(self._busy + QUIET, self._began + LONGEST):
                self.is_over = True
        return self.is_over


def _main_thread_imports() -> bool:
    main = threading.main_thread().ident
    frame = None if main is None else sys._current_frames().get(main)
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
