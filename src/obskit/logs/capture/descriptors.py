"""Take what C code and child processes write to the descriptors 1 and 2."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable
from time import monotonic, sleep

from obskit import health
from obskit.logs.capture.streams import Emit, shown
from obskit.logs.capture.tracebacks import Grouper

LONGEST_LINE = 64 * 1024
DRAIN_SECONDS = 1.0
TICK_SECONDS = 0.002
# So begin the lines of children that speak for themselves.
OWN = b'{"timestamp":"'


class Descriptor:
    """A descriptor whose bytes are read back through a pipe, line by line, by one thread.

    What is in the pipe when the process is killed is lost, and a child that outlives the
    process finds nobody at the other end. *original* is where lines go.
    """

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.original = os.dup(number)
        os.set_inheritable(self.original, False)
        self._read_end, write_end = os.pipe()
        os.dup2(write_end, number, inheritable=True)
        os.close(write_end)
        self._thread: threading.Thread | None = None
        self._is_reading = False
        # What is no whole line yet, and who takes the next one: the thread, or whoever drains.
        self._rest = b""
        self._grouper = Grouper()
        self._turn = threading.RLock()
        self._owner = os.getpid()

    def begin(self, emit: Emit) -> None:
        """Start to make lines of what is written."""
        self._emit = emit
        self._thread = threading.Thread(target=self._read, name=f"obskit-{self.name}", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while chunk := self._next():
            with self._turn:
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                if len(self._rest) > LONGEST_LINE:
                    lines, self._rest = [*lines, self._rest], b""
                self._say(lines)
            self._is_reading = False
        self._say_rest()
        os.close(self._read_end)

    def _next(self) -> bytes:
        try:
            self._readable(None)
            # Said before the bytes are gone from the pipe: whoever drains sees one or the other.
            self._is_reading = True
            return os.read(self._read_end, 65536)
        except OSError:
            return b""

    def _say_rest(self) -> None:
        if not self._turn.acquire(timeout=DRAIN_SECONDS):  # a line of before is not out yet
            return
        try:
            lines, self._rest = [self._rest] if self._rest else [], b""
            self._say(lines, last=True)
        finally:
            self._turn.release()

    def _say(self, lines: list[bytes], *, last: bool = False) -> None:
        try:
            for line in lines:
                if line.startswith(OWN):
                    os.write(self.original, line + b"\n")
                    continue
                text = shown(line.decode("utf-8", "backslashreplace"))
                for part in self._grouper.feed(text):
                    if part.text.strip():
                        self._emit(self.name, part)
            for part in self._grouper.flush() if last else self._grouper.settle():
                self._emit(self.name, part)
        except Exception as error:
            health.internal_error("logs.capture.descriptors", error)

    def drain(self) -> None:
        """Wait a little until what was written is out, a line without an end too."""
        flush_python()
        if self._owner != os.getpid() or self._thread is None or not self._thread.is_alive():
            return
        deadline = monotonic() + DRAIN_SECONDS
        while self._is_behind():
            if monotonic() > deadline:
                return
            sleep(TICK_SECONDS)
        self._say_rest()

    def _is_behind(self) -> bool:
        return self._readable(0) or self._is_reading

    def _readable(self, milliseconds: int | None) -> bool:
        poll = select.poll()
        poll.register(self._read_end, select.POLLIN)
        return bool(poll.poll(milliseconds))

    def end(self) -> None:
        """Put the descriptor back, and wait a little for what is still in the pipe."""
        os.dup2(self.original, self.number)
        if self._thread is not None and self._owner == os.getpid():
            # A child that goes on may hold the other end: the thread then reads on.
            self._thread.join(DRAIN_SECONDS)


def flush_python() -> None:
    """Write out what Python itself keeps for the descriptors."""
    for stream in (sys.stdout, sys.stderr):
        flush: Callable[[], None] | None = getattr(stream, "flush", None)
        if flush is not None:
            flush()
