"""Make lines of what a process says beside the log: prints, warnings, errors, foreign set-ups.

Only what would reach the process's own stdout or stderr is taken, and only where lines go
to the same place; a file stays beside a console that is left as it was.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

from obskit import settings as settings_
from obskit.logs import pipeline, stdlib
from obskit.logs.capture import console, errors, handlers, said, servers
from obskit.logs.capture.streams import LineStream
from obskit.record import Record
from obskit.settings import Settings

if TYPE_CHECKING:
    from obskit.logs.capture.descriptors import Descriptor

__all__ = ["HOOKS", "ON_IMPORT", "configure", "flush", "undo"]

NUMBERS = {"stdout": 1, "stderr": 2}


def _know_flasks_stream(module: Any) -> None:
    """Its handler writes to the server's error stream, which is stderr."""
    if _undos:
        console.know(module.wsgi_errors_stream)


HOOKS = servers.HOOKS
ON_IMPORT: tuple[tuple[str, Callable[[Any], None]], ...] = (("flask.logging", _know_flasks_stream),)

_undos: list[Callable[[], None]] = []
_streams: list[LineStream] = []
_made: dict[str, LineStream] = {}
# Somebody may hold them still, and with the last one the bytes below would be closed.
_kept: list[LineStream] = []
_descriptors: list[Descriptor] = []


class Plan(Record):
    """What is taken: *printed* are the streams whose text becomes lines, *consoles* those that
    handlers are passed over for; *is_beside* says that the console stays as it is."""

    printed: tuple[str, ...]
    consoles: tuple[str, ...]
    is_beside: bool


def configure(settings: Settings, launch_streams: tuple[str, ...]) -> None:
    """Capture what *settings* say; *launch_streams* are those that `obskit run` was started with.

    Use it after the log is configured. What was captured before is not any more.
    """
    undo()
    if not settings.capture:
        return
    plan = _plan(settings, launch_streams)
    for name in plan.consoles:
        console.know(getattr(sys, name), getattr(sys, f"__{name}__"))
        console.know_file(console.file_of(NUMBERS[name]))
    if settings.capture_fd:
        for name in plan.printed:
            _take_descriptor(name, settings.log_stream)
    for name in plan.printed:
        _take_stream(name)
    way = handlers.Way(
        stdlib.take,
        plan.is_beside,
        settings.access_log == "replace" and settings.request_log,
    )
    _undos.append(handlers.install(way))
    _undos.extend(errors.install(said.event, beside=plan.is_beside))


def _plan(settings: Settings, launch_streams: tuple[str, ...]) -> Plan:
    names = {number: settings_.stream_name(number) for number in (1, 2)}
    own = [
        name
        for name, number in NUMBERS.items()
        if names[number] and (not launch_streams or names[number] in launch_streams)
    ]
    to = settings.log_stream
    if to not in NUMBERS:
        return Plan((), tuple(own), is_beside=True)
    if to == "stderr" and names[1] != names[2] and "stdout" in own:
        printed = [name for name in own if name != "stdout"]
    else:
        printed = own
    return Plan(tuple(printed) if pipeline.is_json() else (), tuple(own), is_beside=False)


def _take_stream(name: str) -> None:
    original: TextIO | None = getattr(sys, name)
    stream = _stand_in(name, original)
    if stream is None or original is None:
        return
    console.know(stream)
    _streams.append(stream)
    for place in (name, f"__{name}__"):
        if getattr(sys, place) is original:
            setattr(sys, place, stream)
            _undos.append(_putting_back(place, stream, original))


def _stand_in(name: str, original: TextIO | None) -> LineStream | None:
    """Return what stands in for *original*, or None where that is no stream of the system's.

    It is the same one as before, if there was one: handlers keep what they were made with.
    """
    if original is None or isinstance(original, LineStream):
        return None
    try:
        if console.file_of(original.fileno()) != console.file_of(NUMBERS[name]):
            return None
        made = _made.get(name)
        if made is not None and made.original is original:
            made.resume()
            return made
        stream = _made[name] = LineStream(original, name, said.text)
        _kept.append(stream)
    except (AttributeError, OSError, ValueError):
        return None
    return stream


def _putting_back(place: str, stream: LineStream, original: TextIO) -> Callable[[], None]:
    def put_back() -> None:
        if getattr(sys, place) is stream:
            setattr(sys, place, original)

    return put_back


def _take_descriptor(name: str, to: str) -> None:
    from obskit.logs.capture.descriptors import Descriptor

    descriptor = Descriptor(NUMBERS[name], name)
    _descriptors.append(descriptor)
    if name == to:
        pipeline.divert(descriptor.original)
    _adopt_children(descriptor)
    descriptor.begin(said.text)


def _adopt_children(descriptor: Descriptor) -> None:
    """Let the processes that we start speak for themselves, where they can."""
    told = settings_.launch()
    if told.streams:
        streams = (*told.streams, settings_.stream_name(descriptor.number))
        settings_.bequeath_launch(told._replace(streams=streams))
        _undos.append(partial(settings_.bequeath_launch, told))


def flush() -> None:
    """Write out what has been captured and is no whole line yet."""
    for stream in list(_streams):
        stream.finish()
    for descriptor in list(_descriptors):
        descriptor.drain()


def undo() -> None:
    """Capture nothing any more; all is put back that nobody has replaced since."""
    flush()
    while _undos:
        _undos.pop()()
    while _streams:
        _streams.pop().retire()
    while _descriptors:
        _descriptors.pop().end()
    console.forget()


def _begin_anew() -> None:
    """In a forked child, what is pending is the parent's to write."""
    for stream in _kept:
        stream.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
