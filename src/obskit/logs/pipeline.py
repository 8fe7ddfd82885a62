"""Take what happened from all doors and make exactly one line of it, or one count."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from obskit import clock, context, health
from obskit import settings as settings_
from obskit.context import Context
from obskit.logs import levels, redaction
from obskit.logs.bare import by_logging
from obskit.logs.facts import facts
from obskit.logs.levels import enabled as enabled
from obskit.logs.line import RESERVED as RESERVED
from obskit.logs.line import Error, about, carefully, described, has_strange_number, is_plain

if TYPE_CHECKING:
    from obskit.logs.writer import Writer
    from obskit.settings import Settings

MOST_NAMES = 4096
SHUTDOWN_SECONDS = 1.0
UNLIMITED = 2**62
_SCALARS = {str, int, float, bool, type(None)}
_COMMA = (b"", b",")
LOST = ("logs", "internal error")


class _Everything:
    """Stand for the names of bound fields that each line must look at anew."""

    def isdisjoint(self, names: object) -> bool:
        """Return False, whatever the names are."""
        return False


# The constant part of a context's lines: what it was made for, what stands before the clock,
# the mark of a synthetic operation, the same with the bound fields, and the names of these.
Rendered = tuple[object, bytes, bytes, bytes, Any]

_get = context.get
_tick = clock.tick
_time_ns = time.time_ns
_write: Callable[[bytes], None]
_writer: Writer | None = None
_dumps: Callable[..., bytes]
_unit: Callable[[Context], bytes]
_newline = 0
_after_time: Any = {}
_loggers: Any = {}
_prefixes: Any = {}
_longest = 0
_offset = 0
_process = b""
_outside: Rendered = (_process, b"", b"", b"", frozenset())
# Names of fields that are neither reserved nor secret.
_plain: set[str] = set()
_settings: Settings | None = None


def emit(
    level: int,
    logger: str,
    message: object,
    fields: Mapping[str, Any],
    *,
    error: Error | None = None,
    stack: str | None = None,
    when_ns: int | None = None,
) -> None:
    """Write one line. Never raises; what cannot be written is counted.

    Args:
        level: Number of the level, which the caller has found enabled.
        logger: Name of the logger.
        message: What happened; anything but text is converted.
        fields: The user's fields; not changed.
        error: An exception, or the description of one.
        stack: Where the line was logged from, if that was asked for.
        when_ns: When it happened, in nanoseconds since 1970; now by default.
    """
    try:
        if _writer is None:
            by_logging(level, logger, message, fields, error, stack)
        else:
            _write(_line(level, logger, message, fields, error, stack, when_ns))
    except Exception as fault:
        contain(fault)
    except BaseException:
        health.lose("logs", "interrupted")
        raise


def _line(
    level: int,
    logger: str,
    message: Any,
    fields: Mapping[str, Any],
    error: Error | None,
    stack: str | None,
    when_ns: int | None,
) -> bytes:
    here = _get()
    rendered = _outside if here is None else here.rendered
    if rendered is None or rendered[0] is not _process:
        rendered = _render(here)
    _, before, synthetic, after, names = rendered
    values, text, body = None, b"", b""
    if (
        type(message) is str
        and _plain.issuperset(fields)
        and _SCALARS.issuperset(map(type, fields.values()))
        and stack is None
        and (not names or names.isdisjoint(fields))
    ):
        try:
            text, body = _dumps(message), _dumps(fields, None, _newline)
            if body.find(b"null") > 0 and has_strange_number(fields):
                body = b""
            elif error is not None:
                error = described(error)
                body = _with_error(body, error)
        except Exception:
            body = b""
    if not body:
        message, values = carefully(here, message, fields, error, stack)
        text, body = _dumps(message), _dumps(values, None, _newline)
        _learn(fields)
        after = synthetic
    micros = ((_time_ns() if when_ns is None else when_ns) + _offset) // 1000
    second = micros // 1_000_000
    prefix = _prefixes[second]
    head = f"{prefix}{micros - second * 1_000_000:06d}{_after_time[level]}".encode()
    name = _loggers[logger]
    # The number is taken last: a line that has one is written or counted.
    clocks = _tick().encode()
    if clocks:
        clocks = b"," + clocks
    line = b"".join((head, text, name, before, clocks, after, _COMMA[len(body) > 3], body[1:]))
    if len(line) > _longest:
        fixed = head, name, before, clocks, synthetic
        line = _shortened(here, fixed, message, fields, values, error)
    return line


def _with_error(body: bytes, error: Error) -> bytes:
    """Return the fields in *body* with those about *error* behind them."""
    return body[:-2] + _COMMA[len(body) > 3] + _dumps(about(error), None, _newline)[1:]


def _learn(fields: Mapping[str, Any]) -> None:
    """Remember names that may be written as they are."""
    if len(_plain) >= MOST_NAMES:
        _plain.clear()
    _plain.update(name for name in fields if type(name) is str and is_plain(name))


def _shortened(
    here: Context | None,
    fixed: tuple[bytes, bytes, bytes, bytes, bytes],
    message: Any,
    fields: Mapping[str, Any],
    values: dict[str, Any] | None,
    error: Error | None,
) -> bytes:
    """Return the line with its values so short that it fits."""
    from obskit.logs import budget

    if values is None:
        message, values = carefully(here, message, fields, error, None)
    room = _longest - sum(map(len, fixed)) - 2
    message, values = budget.fit(message, values, room, _dumps)
    body = _dumps(values, None, _newline)
    head, *rest = fixed
    return b"".join((head, _dumps(message), *rest, _COMMA[len(body) > 3], body[1:]))


def _render(here: Context | None) -> Rendered:
    """Make the constant part of the lines of *here*, and keep it there."""
    if here is None:
        return _outside
    before = _process + _unit(here)
    synthetic = b',"synthetic":true' if here.unit.synthetic is not None else b""
    bound = here.fields
    ready = _ready(bound)
    names = frozenset(bound) if ready is not None else _Everything()
    rendered: Rendered = (_process, before, synthetic, synthetic + (ready or b""), names)
    here.rendered = rendered
    return rendered


def _ready(bound: dict[str, Any]) -> bytes | None:
    """Return bound fields as bytes; None where each line must look at them anew."""
    if not bound:
        return b""
    if not (_SCALARS.issuperset(map(type, bound.values())) and all(map(is_plain, bound))):
        return None
    try:
        body = _dumps(bound)
    except Exception:
        return None
    return None if b"null" in body and has_strange_number(bound) else b"," + body[1:-1]


def contain(fault: Exception) -> None:
    """Count a line that an error of ours has cost; never raises if there is room for one call."""
    before = health.lost.get(LOST, 0)
    try:
        health.lose(*LOST)
        health.internal_error("logs.pipeline", fault)
    except Exception:
        # At the end of the stack's space nothing more can be called.
        if health.lost.get(LOST, 0) == before:
            health.lost[LOST] = before + 1


def configure(settings: Settings) -> None:
    """Put *settings* in force for all lines from now on."""
    global _writer, _settings, _offset, _dumps, _newline, _after_time, _loggers, _prefixes, _unit
    from obskit.logs.formats import json
    from obskit.logs.writer import Writer

    redaction.configure(settings.redact)
    _plain.clear()
    previous, before = _writer, _settings
    if previous is None or before is None or _stream_of(before) != _stream_of(settings):
        writer = Writer(settings.log_stream, settings.log_queue, settings.log_line)
    else:
        writer = previous
    _dumps, _newline = json.dumps, json.NEWLINE
    _after_time, _loggers, _unit = json.after_time, json.logger, json.unit
    _prefixes = json.Pieces(_prefix)
    _offset = int(settings.demo_clock_offset * 1_000_000_000)
    _settings = settings
    _know_process()
    _aim(settings, writer)
    _writer = writer
    levels.configure(settings.log_level)
    levels.listen(settings.log_level_signal)
    if previous is not None and previous is not writer:
        previous.close(SHUTDOWN_SECONDS)


def _stream_of(settings: Settings) -> tuple[str, int, int]:
    return settings.log_stream, settings.log_queue, settings.log_line


def _aim(settings: Settings, writer: Writer) -> None:
    """Send lines to *writer*, in the form that suits who reads them."""
    global _write, _longest
    if settings.log_format == "console" or (not settings.log_format and writer.is_terminal):
        from obskit.logs.formats import console, json

        render = console.renderer(settings_.colours(writer.is_terminal))

        def write(line: bytes) -> None:
            writer.write(render(json.loads(line)).encode("utf-8", "backslashreplace"))

        _write, _longest = write, UNLIMITED
    else:
        _write, _longest = writer.write, writer.longest


def divert(descriptor: int) -> None:
    """Write to *descriptor* from now on, since the stream's own number is captured."""
    if _writer is not None:
        _writer.divert(descriptor)


def is_on() -> bool:
    """Tell whether lines are written: not before `init`, and not where the switch is off."""
    return _writer is not None


def in_force() -> Settings | None:
    """Return the settings that lines are written by, or None where none are."""
    return _settings


def is_beside() -> bool:
    """Tell whether lines go elsewhere than to the console, which then stays as it is."""
    return _settings is not None and _settings.log_stream not in ("stdout", "stderr")


def is_json() -> bool:
    """Tell whether lines are written as JSON, and not for people."""
    return _writer is not None and _longest != UNLIMITED


def _prefix(second: int) -> str:
    """Return the beginning of all lines of a *second*; a good time to look after the stream."""
    global _longest
    if _writer is not None:
        _writer.check()
        if _longest != UNLIMITED:
            _longest = _writer.longest
    return time.strftime('{"timestamp":"%Y-%m-%dT%H:%M:%S.', time.gmtime(second))


def _know_process() -> None:
    """Make anew what is the same on all lines of this process."""
    global _process, _outside
    if _settings is None:
        return
    from obskit.logs.formats import json

    _process = json.piece(facts(_settings))
    _outside = (_process, _process + json.piece({"scope": "process"}), b"", b"", frozenset())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_know_process)


def shutdown(timeout: float) -> None:
    """Write out what waits for a stalled stream, for at most *timeout* seconds."""
    if _writer is not None:
        _writer.flush(timeout)


def undo() -> None:
    """Leave the lines to `logging` again."""
    global _writer, _settings
    writer, _writer, _settings = _writer, None, None
    levels.forget()
    if writer is not None:
        writer.close(SHUTDOWN_SECONDS)
