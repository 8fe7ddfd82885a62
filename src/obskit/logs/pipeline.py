"""Take what happened from all doors and make exactly one line of it, or one count."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from obskit import clock, context, health
from obskit import settings as settings_
from obskit.context import Context
from obskit.logs import levels, redaction
from obskit.logs.bare import by_logging
from obskit.logs.facts import facts
from obskit.logs.levels import enabled as enabled
from obskit.logs.line import Error, about, carefully, described, has_strange_number, is_plain

if TYPE_CHECKING:
    from obskit.logs.constant import Rendered
    from obskit.logs.writer import Writer
    from obskit.settings import Settings

MOST_NAMES = 4096
SHUTDOWN_SECONDS = 1.0
UNLIMITED = 2**62
_stream_of = attrgetter("log_stream", "log_queue", "log_line")
_SCALARS = {str, int, float, bool, type(None)}
LOST = ("logs", "internal error")

_get = context.get
_tick = clock.fields
_time_ns = time.time_ns
_write: Callable[[bytes], None]
_writer: Writer | None = None
_dumps: Callable[..., bytes]
_render: Callable[[Context | None, str], Rendered]
_behind: Callable[..., bytes]
_newline = 0
_after_time: Any = {}
_loggers: Any = {}
_prefixes: Any = {}
_longest = 0
_offset = 0
_process = ""
_outside: Rendered = (_process, "", "", "", frozenset())
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
            return by_logging(level, logger, message, fields, error, stack)
        here = _get()
        rendered = _outside if here is None else here.rendered
        if rendered is None or rendered[0] is not _process:
            rendered = _render(here, _process)
        process, unit, synthetic, after, names = rendered
        body = b""
        if (
            type(message) is str
            and error is None
            and stack is None
            and _plain.issuperset(fields)
            and _SCALARS.issuperset(map(type, fields.values()))
            and (not names or names.isdisjoint(fields))
        ):
            try:
                text, body = _dumps(message), _dumps(fields, None, _newline)
            except Exception:
                body = b""
        if not body or (b"null" in body and has_strange_number(fields)):
            return _slowly(here, rendered, level, logger, message, fields, error, stack, when_ns)
        micros = ((_time_ns() if when_ns is None else when_ns) + _offset) // 1000
        tenth = micros // 100_000
        head = f"{_prefixes[tenth]}{micros - tenth * 100_000:05d}{_after_time[level]}".encode()
        origin, comma = _loggers[logger], "" if body == b"{}\n" else ","
        # The number is taken last: a line that has one is written or counted.
        clocks = _tick()
        place = f"{origin}{process}{unit}{clocks}{after}{comma}".encode()
        line = b"".join((head, text, place, body[1:]))
        if len(line) > _longest:
            before = f"{origin}{process}{unit}{clocks}{synthetic}"
            line = _shortened(here, head, before, message, fields)
        _write(line)
    except Exception as fault:
        contain(fault)
    except BaseException:
        health.lose("logs", "interrupted")
        raise


def emit_ready(start: str, body: str, names: frozenset[str]) -> bool:
    """Write a line of our own that is JSON already; False where `emit` must do it with care.

    Args:
        start: Level, message and logger, from what stands behind the microseconds on.
        body: The fields, without the braces; at least one.
        names: Their names; none of them is reserved or secret.
    """
    try:
        if _writer is None:
            return False
        here = _get()
        rendered = _outside if here is None else here.rendered
        if rendered is None or rendered[0] is not _process:
            rendered = _render(here, _process)
        process, unit, synthetic, after, bound = rendered
        if bound and not bound.isdisjoint(names):
            return False
        micros = (_time_ns() + _offset) // 1000
        tenth = micros // 100_000
        prefix = _prefixes[tenth]
        micros -= tenth * 100_000
        clocks = _tick()
        line = f"{prefix}{micros:05d}{start}{process}{unit}{clocks}{after},{body}}}\n".encode()
        if len(line) > _longest:
            from obskit.logs import budget

            place = f"{process}{unit}{clocks}{synthetic}"
            line = budget.ready_line(_longest, here, f"{prefix}{micros:05d}", start, place, body)
        _write(line)
    except Exception as fault:
        contain(fault)
    except BaseException:
        health.lose("logs", "interrupted")
        raise
    return True


def _slowly(
    here: Context | None,
    rendered: Rendered,
    level: int,
    logger: str,
    message: Any,
    fields: Mapping[str, Any],
    error: Error | None,
    stack: str | None,
    when_ns: int | None,
) -> None:
    """Write a line that has an error or a stack, or of whose values some are not plain."""
    process, unit, synthetic, after, names = rendered
    values, text, body = None, b"", b""
    if (
        error is not None
        and type(message) is str
        and stack is None
        and _plain.issuperset(fields)
        and _SCALARS.issuperset(map(type, fields.values()))
        and (not names or names.isdisjoint(fields))
    ):
        try:
            text, body = _dumps(message), _dumps(fields, None, _newline)
            if body.find(b"null") > 0 and has_strange_number(fields):
                body = b""
            else:
                error = described(error)
                body = _behind(body, about(error))
        except Exception:
            body = b""
    if not body:
        message, values = carefully(here, message, fields, error, stack)
        text, body = _dumps(message), _dumps(values, None, _newline)
        _learn(fields)
        after = synthetic
    micros = ((_time_ns() if when_ns is None else when_ns) + _offset) // 1000
    tenth = micros // 100_000
    head = f"{_prefixes[tenth]}{micros - tenth * 100_000:05d}{_after_time[level]}".encode()
    before = f"{_loggers[logger]}{process}{unit}"
    clocks = _tick()
    place = f"{before}{clocks}{after}{',' if len(body) > 3 else ''}".encode()
    line = b"".join((head, text, place, body[1:]))
    if len(line) > _longest:
        before = f"{before}{clocks}{synthetic}"
        line = _shortened(here, head, before, message, fields, values, error)
    _write(line)


def _learn(fields: Mapping[str, Any]) -> None:
    """Remember names that may be written as they are."""
    if len(_plain) >= MOST_NAMES:
        _plain.clear()
    _plain.update(name for name in fields if type(name) is str and is_plain(name))


def _shortened(here: Context | None, *parts: Any) -> bytes:
    """Return the line with its values so short that it fits."""
    from obskit.logs import budget

    return budget.line(_longest, here, *parts)


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
    global _writer, _settings, _offset, _dumps, _newline, _after_time, _loggers, _prefixes, _render
    global _behind
    from obskit.logs.constant import render
    from obskit.logs.formats import json
    from obskit.logs.writer import Writer

    redaction.configure(settings.redact)
    _plain.clear()
    previous, before = _writer, _settings
    if previous is None or before is None or _stream_of(before) != _stream_of(settings):
        writer = Writer(settings.log_stream, settings.log_queue, settings.log_line)
    else:
        writer = previous
    _dumps, _newline, _behind = json.dumps, json.NEWLINE, json.behind
    _after_time, _loggers, _render = json.after_time, json.logger, render
    _prefixes = json.Pieces(_prefix)
    _offset = int(settings.demo_clock_offset * 1_000_000_000)
    _settings = settings
    _know_process()
    _aim(settings, writer)
    _writer = writer
    levels.configure(settings.log_level, settings.instrument)
    levels.listen(settings.log_level_signal)
    if previous is not None and previous is not writer:
        previous.close(SHUTDOWN_SECONDS)


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


def _prefix(tenth: int) -> str:
    """Return the beginning of all lines of a *tenth* of a second; a time to look after the stream.

    Lines are lost from when a file is deleted until that is noticed: no line waits for a look.
    """
    global _longest
    if _writer is not None:
        _writer.check()
        if _longest != UNLIMITED:
            _longest = _writer.longest
    second = time.gmtime(tenth // 10)
    return time.strftime('{"timestamp":"%Y-%m-%dT%H:%M:%S.', second) + str(tenth % 10)


def _know_process() -> None:
    """Make anew what is the same on all lines of this process."""
    global _process, _outside
    if _settings is None:
        return
    from obskit.logs.constant import outside
    from obskit.logs.formats import json

    _process = json.piece(facts(_settings))
    _outside = outside(_process)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_know_process)


def shutdown(timeout: float) -> None:
    """Write out what waits for a stalled stream, for at most *timeout* seconds."""
    if _writer is not None:
        _writer.flush(timeout)


def undo() -> None:
    """Leave the lines to `logging` again."""
    global _writer, _settings
    shutdown(SHUTDOWN_SECONDS)
    writer, _writer, _settings = _writer, None, None
    levels.forget()
    if writer is not None:
        writer.close(SHUTDOWN_SECONDS)
