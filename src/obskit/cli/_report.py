"""Leave the status of this process where ``obskit doctor`` looks for it."""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
from collections import Counter
from typing import Any

EVERY_SECONDS = 0.25
PATIENCE = 1.0

OWN = "own code"


class Tally:
    """Count the units of work by the library that they were seen in."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def start(self, observation: Any) -> None:
        """Wait for its end."""

    def end(self, observation: Any) -> None:
        """Count one."""
        self.counts[observation.library or OWN] += 1


class Watch:
    """Write the status to ``<path>.<pid>`` now and then, in each forked child too.

    Servers often end by a signal, which runs no atexit: so a thread keeps the report fresh.
    It rests while the process forks, so that it holds no lock that a child would inherit.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.tally = Tally()
        self.begin()

    def begin(self) -> None:
        """Start to write."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="obskit-report", daemon=True)
        self._thread.start()

    def rest(self) -> None:
        """Stop writing."""
        self._over.set()
        if self._thread is not threading.current_thread():
            self._thread.join(PATIENCE)

    def begin_in_child(self) -> None:
        """Start to write and count anew: what the parent has seen is in its own report."""
        self.tally.counts.clear()
        self.begin()

    def write(self) -> bool:
        """Write the status; return whether there is still somebody to read it."""
        target = f"{self.path}.{os.getpid()}"
        try:
            text = json.dumps(self._status(), default=str)
            with open(target + ".new", "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(target + ".new", target)
        except (OSError, RuntimeError):  # the folder is gone, or a dict changed meanwhile
            return os.path.isdir(os.path.dirname(target))
        return True

    def _status(self) -> dict[str, Any]:
        from obskit import status

        return status() | {"program": sys.orig_argv, "seen": dict(self.tally.counts)}

    def _run(self) -> None:
        over = self._over
        while self.write() and not over.wait(EVERY_SECONDS):
            pass


def begin(path: str) -> Watch:
    """Begin to report to *path*; call it before obskit is switched on."""
    from obskit._bootstrap import rooms

    watch = Watch(path)
    rooms.listeners.append(("doctor", watch.tally))
    atexit.register(watch.write)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=watch.rest, after_in_parent=watch.begin, after_in_child=watch.begin_in_child
        )
    return watch
