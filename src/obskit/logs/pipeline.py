"""Take what happened from all doors and make exactly one line of it, or one count."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from obskit import clock, context, health
from obskit.context import Context
from obskit.logs import kinds, levels, redaction
from obskit.logs.bare import by_logging
from obskit.logs.facts import facts
from obskit.logs.formats import UNLIMITED
from obskit.logs.levels import enabled as enabled
from obskit.logs.line import Error, about, carefully, described, has_strange_number
from obskit.logs.losses import LOST as LOST
from obskit.logs.losses import contain as contain

if TYPE_CHECKING:
    from obskit.logs.constant import Rendered
    from obskit.logs.storm import Gate
    from obskit.logs.writer import Writer
    from obskit.settings import Settings

SHUTDOWN_SECONDS = 1.0
WARNING = 30
_stream_of = attrgetter("log_stream", "log_queue", "log_line")

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
_shape = kinds.shapes.get
_settings: Settings | None = None
_tap: Callable[[bytes], None] | None = None

gate: Gate | None = None
"""Says of each line whether it is written, and with which fields; None for all as they are."""
on_error: Callable[[Context | None, str, str], None] | None = None
"""Hears of each exception on a line of WARNING or above: context, type and fingerprint."""
each_tenth: Callable[[], None] | None = None
"""Is called in each tenth of a second in which there are lines."""


def emit(
    level: int, logger: str, message: object, fields: Mapping[str, Any], template: object = None,
    *, error: Error | None = None, stack: str | None = None, when_ns: int | None = None,
) -> None:  # fmt: skip
    """Write one line. Never raises; what cannot be written is counted.

    Args:
        level: Number of the level, which the caller has found enabled.
        logger: Name of the logger.
        message: What happened; anything but text is converted.
        fields: The user's fields; not changed.
        template: What the message was made of, where that is something else.
        error: An exception, or the description of one.
        stack: Where the line was logged from, if that was asked for.
        when_ns: When it happened, in nanoseconds since 1970; now by default.
    """
    try:
        if _writer is None:
            return by_logging(level, logger, message, fields, error, stack)
        if gate is not None:
            passed = gate(level, logger, message if template is None else template, fields)
            if passed is None:
                return None
            fields = passed
        here = _get()
        rendered = _outside if here is None else here.rendered
        if rendered is None or rendered[0] is not _process:
            rendered = _render(here, _process)
        process, unit, synthetic, after, names = rendered
        body = b""
        try:
            if (
                type(message) is str
                and error is None
                and stack is None
                and (floats := _shape(shape := (*fields, *map(type, fields.values())))) is not None
                and (not names or names.isdisjoint(fields))
            ):
                text, body = _dumps(message), _dumps(fields, None, _newline)
        except Exception:
            body = b""
        if not body or (floats and b"null" in body and has_strange_number(fields)):
            return _slowly(here, rendered, level, logger, message, fields, error, stack, when_ns)
        micros = ((_time_ns() if when_ns is None else when_ns) + _offset) // 1000
        tenth = micros // 100_000
        head = f"{_prefixes[tenth]}{micros - tenth * 100_000:05d}{_after_time[level]}".encode()
        origin, comma = _loggers[logger], "," if shape else ""
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
    here: Context | None, rendered: Rendered, level: int, logger: str, message: Any,
    fields: Mapping[str, Any], error: Error | None, stack: str | None, when_ns: int | None,
    clocks: str | None = None,
) -> None:  # fmt: skip
    """Write a line that has an error or a stack, or of whose values some are not plain."""
    process, unit, synthetic, after, names = rendered
    values, text, body = None, b"", b""
    if error is not None:
        error = described(error)
        if on_error is not None and level >= WARNING:
            on_error(here, error.type, error.fingerprint)
    try:
        if (
            error is not None
            and type(message) is str
            and stack is None
            and _shape((*fields, *map(type, fields.values()))) is not None
            and (not names or names.isdisjoint(fields))
        ):
            text, body = _dumps(message), _dumps(fields, None, _newline)
            if body.find(b"null") > 0 and has_strange_number(fields):
                body = b""
            else:
                body = _behind(body, about(error))
    except Exception:
        body = b""
    if not body:
        message, values = carefully(here, message, fields, error, stack)
        text, body = _dumps(message), _dumps(values, None, _newline)
        kinds.learn(fields)
        after = synthetic
    micros = ((_time_ns() if when_ns is None else when_ns) + _offset) // 1000
    tenth = micros // 100_000
    head = f"{_prefixes[tenth]}{micros - tenth * 100_000:05d}{_after_time[level]}".encode()
    before = f"{_loggers[logger]}{process}{unit}"
    if clocks is None:
        clocks = _tick()
    place = f"{before}{clocks}{after}{',' if len(body) > 3 else ''}".encode()
    line = b"".join((head, text, place, body[1:]))
    if len(line) > _longest:
        before = f"{before}{clocks}{synthetic}"
        line = _shortened(here, head, before, message, fields, values, error)
    _write(line)


def _shortened(here: Context | None, *parts: Any) -> bytes:
    """Return the line with its values so short that it fits."""
    from obskit.logs import budget

    return budget.line(_longest, here, *parts)


def configure(settings: Settings) -> None:
    """Put *settings* in force for all lines from now on."""
    global _writer, _settings, _offset, _dumps, _newline, _after_time, _loggers, _prefixes, _render
    global _behind
    from obskit.logs.constant import render
    from obskit.logs.formats import json
    from obskit.logs.writer import Writer

    redaction.configure(settings.redact)
    kinds.configure(settings.field_types)
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
    """Send lines to *writer*, in the form that suits who reads them, and to who taps them."""
    global _write, _longest
    from obskit.logs import formats

    _write, _longest = formats.chosen(settings.log_format, writer)
    if _tap is not None:
        from obskit.logs.tap import both

        _write = both(_tap, _write)


def tap(take: Callable[[bytes], None] | None) -> None:
    """Hand each line to *take*, as JSON, before it is written; None for nobody."""
    global _tap
    _tap = take
    if _writer is not None and _settings is not None:
        _aim(_settings, _writer)


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
    """Tell whether lines are written for machines, and not for people."""
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
    if each_tenth is not None:
        each_tenth()
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


def give_up() -> None:
    """Say on stderr what is lost with a stream that takes no lines, since the process ends."""
    if _writer is not None:
        _writer.give_up()


def undo() -> None:
    """Leave the lines to `logging` again."""
    global _writer, _settings, on_error
    on_error = None
    shutdown(SHUTDOWN_SECONDS)
    writer, _writer, _settings = _writer, None, None
    levels.forget()
    kinds.forget()
    if writer is not None:
        writer.close(SHUTDOWN_SECONDS)
