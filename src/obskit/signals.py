"""Leave the signals of a process to its own threads."""

from __future__ import annotations

import os
import signal
from _thread import get_native_id


def leave() -> None:
    """Block all signals in this thread, which is one of ours.

    A signal that it took would be noted and wake nobody: the main thread, whose handler is to
    run, may wait for a lock or a reader. Under gevent our threads are run by the main thread.
    """
    try:
        if get_native_id() != os.getpid():
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    except (AttributeError, ValueError):
        pass  # not on this platform
