"""Format records for those who keep a set-up of `logging` of their own."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

from pythonjsonlogger.core import BaseJsonFormatter

from obskit import clock, context, health
from obskit import settings as settings_
from obskit.logs import budget, facts, levels, pipeline, stdlib
from obskit.logs.formats import json
from obskit.logs.line import carefully

LONGEST_LINE = 16_000

# Attributes of records that stand on a line under a name of ours.
NAMES = {"asctime": "timestamp", "levelname": "level", "name": "logger", "process": "pid"}
USUAL = frozenset({*NAMES, "message", "msg", "args", "exc_info", "exc_text", "stack_info"})
# Options of python-json-logger's own encoders: they have no meaning here, and do no harm.
_FOR_ENCODERS = (
    "json_default", "json_encoder", "json_serializer", "json_indent", "json_ensure_ascii",
)  # fmt: skip


class JsonFormatter(BaseJsonFormatter):
    """Format records as the lines that obskit writes itself.

    Use it in a ``dictConfig`` or in gunicorn's ``--log-config`` where these are to stay in
    charge: ``{"()": "obskit.JsonFormatter"}`` or ``class=obskit.JsonFormatter``. It needs no
    `init`; with it, lines carry the context and the causal clock. What comes out is one line
    of valid JSON, whatever was logged.

    The options are those of python-json-logger: ``rename_fields`` (old name to new, also the
    names that records have, such as ``levelname``), ``static_fields``, ``defaults``,
    ``prefix``, ``timestamp`` (a name for it), ``exc_info_as_array``. What a format string
    names beside the usual, such as ``%(funcName)s``, is added.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        for name in _FOR_ENCODERS:
            options.pop(name, None)
        # Earlier versions of the base do not know these.
        self._defaults = options.pop("defaults", None) or {}
        self._as_lines = options.pop("exc_info_as_array", False)
        options.pop("stack_info_as_array", None)
        super().__init__(*args, **options)
        self._facts: dict[str, Any] | None = None
        self._made_for: object = None

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line of JSON; never raises."""
        try:
            return self.serialize_log_record(self.process_log_record(self._line(record)))
        except Exception as error:
            health.internal_error("logs.formatter", error)
            return self.prefix + json.dumps(_least(record)).decode()

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """Return *log_data* as JSON."""
        return json.dumps(log_data).decode()

    def _line(self, record: logging.LogRecord) -> dict[str, Any]:
        level, name, message, given, error, stack, when_ns = stdlib.read(record)
        here = context.get()
        message, fields = carefully(here, message, given, error, stack)
        line = {
            "timestamp": _timestamp(when_ns),
            "level": json.encodable(levels.name_of(level)),
            "message": "",
            "logger": json.encodable(name),
            **self._constant(),
            **_place(here),
        }
        asked = self._asked(record)
        room = LONGEST_LINE - len(json.dumps(line)) - len(json.dumps(asked))
        line["message"], fields = budget.fit(message, fields, room, json.dumps)
        return self._renamed({**self._defaults, **line, **asked, **fields, **self.static_fields})

    def _constant(self) -> dict[str, Any]:
        """Return what is the same on all lines of a process, which may be a forked one."""
        settings = pipeline.in_force()
        made_for = os.getpid(), settings
        if self._facts is None or made_for != self._made_for:
            self._made_for = made_for
            self._facts = facts.facts(settings or settings_.resolve())
        return self._facts

    def _asked(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the attributes of records that the format string names beside the usual."""
        names = [name for name in self._required_fields if name not in USUAL]
        values = {name: getattr(record, name) for name in names if hasattr(record, name)}
        return carefully(None, "", values, None, None)[1] if values else values

    def _renamed(self, line: dict[str, Any]) -> dict[str, Any]:
        if self._as_lines and "error_stack" in line:
            line["error_stack"] = line["error_stack"].split("\n")
        names = {NAMES.get(old, old): new for old, new in self.rename_fields.items()}
        if isinstance(self.timestamp, str):
            names.setdefault("timestamp", self.timestamp)
        return {names.get(name, name): value for name, value in line.items()} if names else line


def _timestamp(when_ns: int) -> str:
    seconds, rest = divmod(when_ns, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 1000:06d}Z"


def _place(here: context.Context | None) -> dict[str, Any]:
    """Return the unit of work that a line belongs to, and its place in causal order."""
    if here is None:
        return {"scope": "process"}
    pieces = json.unit(here)[1:], clock.tick()
    place: dict[str, Any] = json.loads("{" + ",".join(filter(None, pieces)) + "}")
    return {**place, "synthetic": True} if here.unit.synthetic is not None else place


def _least(record: logging.LogRecord) -> dict[str, Any]:
    """Return a line of what certainly can be written."""
    return {
        "timestamp": _timestamp(time.time_ns()),
        "level": "error",
        "message": "a record could not be formatted",
        "logger": json.encodable(str(record.name)),
    }
