"""Watch many services as one: correlated logs, metrics and traces in causal order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obskit._bootstrap import init, instrument, shutdown, status, uninstrument
    from obskit.context import (
        bind,
        correlation_id,
        current,
        debug_operation,
        is_synthetic,
        unbind,
    )
    from obskit.errors import ObskitError, SettingError, UnknownInstrumentation
    from obskit.fields import VERSION as __version__  # noqa: N811
    from obskit.logs import Secret, get_logger
    from obskit.logs.formatter import JsonFormatter
    from obskit.metrics import metrics_app, metrics_wsgi_app
    from obskit.observation import (
        extract,
        inject,
        message_context,
        observe,
        suppress,
        unit_of_work,
    )

__all__ = [
    "JsonFormatter",
    "ObskitError",
    "Secret",
    "SettingError",
    "UnknownInstrumentation",
    "__version__",
    "bind",
    "correlation_id",
    "current",
    "debug_operation",
    "extract",
    "get_logger",
    "init",
    "inject",
    "instrument",
    "is_synthetic",
    "message_context",
    "metrics_app",
    "metrics_wsgi_app",
    "observe",
    "shutdown",
    "status",
    "suppress",
    "unbind",
    "uninstrument",
    "unit_of_work",
]

# A room is entered when one of its names is used: `import obskit` alone costs nothing.
_ROOMS = {
    "obskit._bootstrap": ("init", "instrument", "shutdown", "status", "uninstrument"),
    "obskit.context": (
        "bind",
        "correlation_id",
        "current",
        "debug_operation",
        "is_synthetic",
        "unbind",
    ),
    "obskit.errors": ("ObskitError", "SettingError", "UnknownInstrumentation"),
    "obskit.logs": ("Secret", "get_logger"),
    "obskit.logs.formatter": ("JsonFormatter",),
    "obskit.metrics": ("metrics_app", "metrics_wsgi_app"),
    "obskit.observation": (
        "extract",
        "inject",
        "message_context",
        "observe",
        "suppress",
        "unit_of_work",
    ),
}
_PLACES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> object:
    room = _PLACES.get(name)
    if name == "__version__":
        from obskit.fields import VERSION

        return VERSION
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(room), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
