"""Let the loggers of structlog join: configured by the application, later, again, or never.

What the application has configured stays as it is, and its processors run as they were
written. Only the last step is another one: instead of rendering the event dict as text for
the console, it becomes a line.
"""

from __future__ import annotations

import builtins
import functools
import logging
import sys
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from obskit.logs import consoles, events, levels, pipeline
from obskit.logs.stdlib import MADE, Event, text_of

PRINTING = ("PrintLogger", "WriteLogger", "BytesLogger")
RENDERERS = ("JSONRenderer", "KeyValueRenderer", "LogfmtRenderer")
NAME = "_obskit_name"
# Somebody stops the program or the task.
STOPS = (KeyboardInterrupt, SystemExit, GeneratorExit)
MARK = "_obskit_joined"
# Frames of structlog are never taken for the place that logs; no more must ours be.
THEIR_NAME = "structlog._base"


def adopt(module: Any) -> None:
    """Hook structlog, which has just been imported."""
    base, output, native = module._base.BoundLoggerBase, module._output, module._native
    if hasattr(base._process_event, MARK):
        return
    process = _as_theirs(_processing(base._process_event, _Steps(module)))
    setattr(process, MARK, True)
    base._process_event = process
    for name in PRINTING:
        factory = getattr(output, name + "Factory", None)
        if factory is not None:
            factory.__call__ = _naming(factory.__call__)
    if hasattr(native, "_maybe_interpolate"):
        native._maybe_interpolate = _interpolating(native._maybe_interpolate)
    elif hasattr(native, "LEVEL_TO_FILTERING_LOGGER"):  # in earlier versions each method does it
        for cls in set(native.LEVEL_TO_FILTERING_LOGGER.values()):
            _merge_first(cls)


def _as_theirs(function: Any) -> Any:
    names = {"__builtins__": builtins, "__name__": THEIR_NAME}
    return FunctionType(function.__code__, names, function.__name__, None, function.__closure__)


def _processing(original: Callable[..., Any], steps: _Steps) -> Callable[..., Any]:
    def _process_event(self, method_name, event, event_kw):  # type: ignore[no-untyped-def]
        logger = self._logger
        if not steps.joins(logger):
            return original(self, method_name, event, event_kw)
        if steps.is_unwanted(logger, method_name):
            raise steps.drop
        made = self._context.copy()
        made.update(**event_kw)
        if event is not None:
            made["event"] = event
        given, error = dict(made), steps.passed(made, method_name)
        processors, to_the_end = tuple(self._processors), steps.renders(logger)
        kept = made
        for index, processor in enumerate(processors, 1):
            if index == len(processors) or isinstance(processor, steps.renderers):
                kept = steps.copied(made, kept)
                if not to_the_end and isinstance(processor, steps.renderers):
                    break
            try:
                made = processor(logger, method_name, made)
            except BaseException as fault:
                made = steps.instead(processor, fault, made)
        return steps.end(logger, method_name, made, events_read(kept, given, error))

    events_read = events.read
    return _process_event


class _Steps:
    """What happens to an event before and after the processors."""

    def __init__(self, module: Any) -> None:
        self.drop: type[Exception] = module.exceptions.DropEvent
        self.renderers = (*_classes(module.processors, RENDERERS), module.dev.ConsoleRenderer)
        self._output = module._output
        self._printing = _classes(module._output, PRINTING)
        self._is_configured: Callable[[], bool] = module.is_configured
        self._calling = getattr(module.contextvars, "_ASYNC_CALLING_STACK", None)

    def joins(self, logger: Any) -> bool:
        """Tell whether events of *logger* become lines."""
        if isinstance(logger, self._printing):
            # Who was made for the stdout of structlog's import prints to that of today.
            file = logger._file
            return consoles.joins(sys.stdout if file is self._output.stdout else file)
        return isinstance(logger, logging.Logger) and pipeline.is_on()

    def renders(self, logger: Any) -> bool:
        """Tell whether others than we want to have the event as text."""
        return isinstance(logger, logging.Logger) or pipeline.is_beside()

    def is_unwanted(self, logger: Any, method: str) -> bool:
        """Tell whether the level is too low, where the application has configured nothing."""
        level = events.LEVELS.get(method, logging.INFO)
        return self._is_below(self._name_of(logger), level) and not levels.wanted()

    def _is_below(self, name: str, level: int) -> bool:
        return not self._is_configured() and not pipeline.enabled(name, level)

    def passed(self, event: Mapping[str, Any], method: str) -> BaseException | None:
        """Return the exception of the event, before a processor makes text of it."""
        if method == "exception" and "exc_info" not in event:
            return sys.exc_info()[1]
        return events.passed(event)

    def copied(self, made: Any, kept: Any) -> Any:
        """Return what the last processor is given, as it is before that."""
        return dict(made) if isinstance(made, Mapping) else kept

    def instead(self, processor: Any, fault: BaseException, made: Any) -> Any:
        """Contain errors of structlog's own processors; the application's are its own."""
        module = getattr(processor, "__module__", None)
        if isinstance(fault, (self.drop, *STOPS)) or not str(module).startswith("structlog"):
            raise fault
        if isinstance(processor, self.renderers) and isinstance(made, Mapping):
            return text_of(made.get("event", ""))
        return made

    def end(self, logger: Any, method: str, made: Any, event: events.Event) -> Any:
        """Make a line of an event, and return the arguments for *logger*, if it is to be called."""
        if isinstance(logger, logging.Logger):
            return _for_logging(made, event)
        level = events.LEVELS.get(method, logging.INFO) if event.level is None else event.level
        name, emit, watch = event.logger or self._name_of(logger), pipeline.emit, levels.watch
        if watch is not None and self._is_below(name, level):
            emit = watch.take
        emit(
            level,
            name,
            event.message,
            event.fields,
            error=event.error,
            stack=event.stack,
        )
        if not pipeline.is_beside():
            raise self.drop
        return _arguments(made)

    def _name_of(self, logger: Any) -> str:
        """Return the name that the logger was given, or that of the module that logs."""
        name = getattr(logger, "name", None) or getattr(logger, NAME, None)
        return name if isinstance(name, str) else self._caller()

    def _caller(self) -> str:
        here = (self._calling and self._calling.get(None)) or sys._getframe(1)
        while here is not None:
            name = str(here.f_globals.get("__name__"))
            if not name.startswith(("structlog", "obskit.logs")):
                return name
            here = here.f_back
        return "structlog"


def _classes(module: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(getattr(module, name) for name in names if hasattr(module, name))


def _for_logging(made: Any, event: events.Event) -> Any:
    """Let `logging` have the text, for other handlers, together with what it was made of."""
    if isinstance(made, dict) and isinstance(made.get("extra"), dict):
        names = tuple(name for name in events.MADE if name in made["extra"])
        return (), {**made, "extra": {**made["extra"], MADE: names}}
    if not isinstance(made, str):
        return _arguments(made)
    carrier = Event(made)
    carrier.message, carrier.fields = event.message, event.fields
    carrier.error, carrier.stack = event.error, event.stack
    return (carrier,), {}


def _arguments(made: Any) -> Any:
    if isinstance(made, tuple):
        return made
    return ((), made) if isinstance(made, dict) else ((made,), {})


def _naming(previous: Callable[..., Any]) -> Callable[..., Any]:
    """Remember the name that a logger is asked for: those that print ignore it."""

    @functools.wraps(previous)
    def make(self: Any, *args: Any) -> Any:
        logger = previous(self, *args)
        if args and isinstance(args[0], str):
            try:
                setattr(logger, NAME, args[0])
            except AttributeError:  # it has slots, and a name of its own in later versions
                return logger
        return logger

    return make


def _interpolating(previous: Callable[..., str]) -> Callable[..., str]:
    """Let a log call whose arguments do not fit its message not raise."""

    @functools.wraps(previous)
    def interpolate(event: str, args: tuple[Any, ...]) -> str:
        try:
            return previous(event, args)
        except Exception:
            if not pipeline.is_on():
                raise
            return f"{text_of(event)} {_represented(args)}"

    return interpolate


def _merge_first(cls: Any) -> None:
    merged = _interpolating(lambda event, args: event % args if args else event)
    for level in events.LEVELS:
        for name in (level, "a" + level):
            method = cls.__dict__.get(name)
            if method is not None and level != "log":
                setattr(cls, name, _as_theirs(_merging(method, merged)))


def _merging(method: Callable[..., Any], merged: Callable[..., str]) -> Callable[..., Any]:
    def merge(self, event=None, *args, **fields):  # type: ignore[no-untyped-def]
        return method(self, merged(event, args), **fields)

    return merge


def _represented(args: tuple[Any, ...]) -> str:
    try:
        return repr(args)
    except Exception as fault:
        return f"<{type(fault).__name__}>"
