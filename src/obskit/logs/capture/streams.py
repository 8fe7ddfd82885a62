"""Make lines of what is printed: stand-ins for sys.stdout and sys.stderr."""

from __future__ import annotations

import contextvars
import io
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, TextIO

from obskit import health
from obskit.logs.capture.console import file_of
from obskit.logs.capture.tracebacks import Grouper, Text
from obskit.pattern import Pattern

# A flushed piece of a line is written out when nothing has been added to it for so long.
IDLE_SECONDS = 1.0
LONGEST_PIECE = 64 * 1024
MOST_NESTED = 100
MOST_THREADS = 100

_STYLE = Pattern(r"\x1b\[[0-9;?]*[A-Za-z]")

Emit = Callable[[str, Text], None]


class _Pending:
    """What one thread has printed and what is no whole line yet."""

    __slots__ = ("context", "emitting", "grouper", "piece", "queue", "touched")

    def __init__(self) -> None:
        self.piece = ""
        self.grouper = Grouper()
        self.queue: list[Text] = []
        self.emitting = False
        self.touched = 0.0
        self.context: contextvars.Context | None = None

    def take(self, text: str) -> list[Text]:
        """Return what is complete now that *text* has come."""
        *lines, piece = (self.piece + text).split("\n")
        ready = [part for line in lines for part in self.grouper.feed(shown(line))]
        ready += self.grouper.settle()
        if len(piece) > LONGEST_PIECE:
            ready.append(Text(shown(piece)))
            piece = ""
        self.piece = piece
        return ready

    def rest(self) -> list[Text]:
        """Return what is there, complete or not."""
        piece, self.piece = self.piece, ""
        ready = self.grouper.feed(shown(piece)) if piece else []
        return ready + self.grouper.flush()

    @property
    def empty(self) -> bool:
        """Whether nothing waits for its end."""
        return not (self.piece or self.queue or self.grouper.holds)


def shown(line: str) -> str:
    """Return *line* as a terminal would leave it: overwritten, and without its colours."""
    if "\r" in line:
        line = next((part for part in reversed(line.split("\r")) if part), "")
    return _STYLE.sub("", line) if "\x1b" in line else line


class LineStream(io.TextIOWrapper):
    """A text stream whose lines go to the log; all else is as in the stream it stands for.

    Bytes written to ``buffer`` and to the descriptor stay what they are. While the
    descriptor is open for another file than at first, text goes there unchanged.
    """

    def __init__(self, original: TextIO, name: str, emit: Emit) -> None:
        super().__init__(
            original.buffer,
            encoding=original.encoding,
            errors=original.errors,
            line_buffering=bool(original.line_buffering),
        )
        self.original = original
        self._log_name = name
        self._emit = emit
        self._file: tuple[int, int] | None = file_of(original.fileno())
        self.mode = getattr(original, "mode", "w")  # type: ignore[misc]
        self.renew()

    def renew(self) -> None:
        """Begin anew, as a forked child must: what is pending is the parent's to write."""
        self._lock = threading.RLock()
        # By thread, not by its number: that of an ended one is given out again.
        self._local = threading.local()
        self._unfinished: set[_Pending] = set()
        self._alarm: threading.Timer | None = None

    def write(self, text: str, /) -> int:
        """Take *text*; each whole line in it goes to the log."""
        if not isinstance(text, str) or not self._is_ours():  # type: ignore[redundant-expr]
            return super().write(text)
        try:
            with self._lock:
                pending = self._mine()
                pending.queue += pending.take(text)
        except Exception as error:
            self._contain(error)
            return super().write(text)
        self._drain(pending)
        self._note(pending)
        return len(text)

    def take_traceback(self, text: str) -> None:
        """Take the text of a whole traceback as one line."""
        with self._lock:
            pending = self._mine()
            pending.queue += [*pending.rest(), Text(text.rstrip("\n"), True)]
        self._drain(pending)

    def flush(self) -> None:
        """Flush the bytes; an unfinished line is written out if nothing is added to it soon."""
        super().flush()
        pending: _Pending | None = getattr(self._local, "pending", None)
        if pending is not None and not pending.empty:
            self._watch(pending)

    def finish(self) -> None:
        """Write out the unfinished lines of all threads."""
        self._write_out(list(self._unfinished))

    def retire(self) -> None:
        """Write text as it is from now on: whoever holds this stream can go on to use it."""
        self.finish()
        if self._alarm is not None:
            self._alarm.cancel()
        self._file = None
        self.reconfigure(write_through=True)

    def resume(self) -> None:
        """Make lines again."""
        self._file = file_of(self.fileno())
        self.renew()

    def _is_ours(self) -> bool:
        try:
            return file_of(self.fileno()) == self._file
        except (OSError, ValueError):
            return False

    def _contain(self, error: Exception) -> None:
        try:
            health.internal_error("logs.capture.stream", error)
        except Exception:
            self._alarm = None

    def _mine(self) -> _Pending:
        pending: _Pending | None = getattr(self._local, "pending", None)
        if pending is None:
            pending = self._local.pending = _Pending()
        return pending

    def _note(self, pending: _Pending) -> None:
        """Keep what is unfinished, also when its thread ends; not of endlessly many threads."""
        if pending.empty:
            self._unfinished.discard(pending)
            return
        self._unfinished.add(pending)
        if len(self._unfinished) > MOST_THREADS:
            self.finish()

    def _drain(self, pending: _Pending) -> None:
        """Emit what is complete; what is printed while that happens waits for its turn."""
        if pending.emitting:
            if len(pending.queue) > MOST_NESTED:
                health.lose("logs", "printed while logging", len(pending.queue))
                pending.queue.clear()
            return
        pending.emitting = True
        try:
            while pending.queue:
                text = pending.queue.pop(0)
                if text.text and not text.text.isspace():
                    self._say(text)
        finally:
            pending.emitting = False

    def _say(self, text: Text) -> None:
        """Emit *text*; what cannot become a line is written as it is."""
        try:
            self._emit(self._log_name, text)
        except Exception as error:  # such as an interpreter that is half gone
            self._contain(error)
            super().write(text.text + "\n")
            super().flush()

    def _watch(self, pending: _Pending) -> None:
        pending.touched = monotonic()
        pending.context = contextvars.copy_context()
        if self._alarm is None:
            self._set_alarm()

    def _set_alarm(self) -> None:
        alarm = threading.Timer(IDLE_SECONDS, self._wake)
        alarm.daemon = True
        try:
            alarm.start()
        except RuntimeError:  # at the end of the interpreter, or at the limit of threads
            self.finish()
            return
        self._alarm = alarm

    def _wake(self) -> None:
        self._alarm = None
        now = monotonic()
        waiting = [item for item in list(self._unfinished) if item.touched]
        old = [item for item in waiting if now - item.touched >= IDLE_SECONDS * 0.9]
        self._write_out(old)
        if len(old) < len(waiting):
            self._set_alarm()

    def _write_out(self, items: list[_Pending]) -> None:
        for pending in items:
            with self._lock:
                texts, context = pending.rest(), pending.context
                pending.touched, pending.context = 0.0, None
                self._unfinished.discard(pending)
            run: Any = context.run if context is not None else _run
            for text in texts:
                if text.text and not text.text.isspace():
                    run(self._say, text)


def _run(function: Callable[..., None], *arguments: Any) -> None:
    function(*arguments)
