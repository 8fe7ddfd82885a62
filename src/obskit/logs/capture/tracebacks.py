"""Find the tracebacks in lines of text: what belongs to one error stays together."""

from __future__ import annotations

from obskit.pattern import Pattern
from obskit.record import Record

START = Pattern(r"(?:Traceback|  \+ Exception Group Traceback) \(most recent call last\):$")
GROUP_END = Pattern(r" {4}\+-+$")
HEADER = Pattern(r"Exception (?:ignored|in thread|in callback)\b")
CHAIN = frozenset(
    {
        "During handling of the above exception, another exception occurred:",
        "The above exception was the direct cause of the following exception:",
    }
)
MOST_LINES = 1000


class Text(Record):
    """A piece of captured text: one line, or a whole traceback."""

    text: str
    is_traceback: bool = False


class Grouper:
    """Take lines one by one, and give back what is complete."""

    __slots__ = ("_held", "_state")

    def __init__(self) -> None:
        self._held: list[str] = []
        self._state = "outside"

    @property
    def holds(self) -> bool:
        """Whether a traceback has begun and not ended."""
        return bool(self._held)

    def feed(self, line: str) -> list[Text]:
        """Return what is complete now that *line* (without its end) has come."""
        if self._state != "outside" and self._continues(line):
            self._held.append(line)
            return self.flush() if len(self._held) >= MOST_LINES else []
        ready = self.flush()
        if START.match(line):
            self._held, self._state = [line], _frames(line)
        elif HEADER.match(line):
            self._held, self._state = [line], "header"
        else:
            ready.append(Text(line))
        return ready

    def _continues(self, line: str) -> bool:
        """Tell whether *line* belongs to what is held, and go on to the next state."""
        state = self._state
        if state == "header":
            self._state = _frames(line)
            return START.match(line) is not None
        if state == "frames":
            if line[:1] != " ":
                self._state = "ended"
            return True
        if state == "group":
            if GROUP_END.match(line):
                self._state = "ended"
            return line[:1] == " "
        if state == "ended" and line in CHAIN:
            self._state = "chained"
            return True
        if START.match(line):
            self._state = _frames(line)
            return state == "chained"
        return not line

    def settle(self) -> list[Text]:
        """Return the traceback if its last line has been seen; nobody knows if more comes."""
        return self.flush() if self._state == "ended" else []

    def flush(self) -> list[Text]:
        """Return what is held, complete or not."""
        held, self._held = self._held, []
        is_traceback = self._state not in ("outside", "header") and len(held) > 1
        self._state = "outside"
        while held and not held[-1]:
            held.pop()
        if is_traceback:
            return [Text("\n".join(held), True)]
        return [Text(line) for line in held]


def _frames(start: str) -> str:
    return "group" if start[:1] == " " else "frames"
