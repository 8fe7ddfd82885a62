"""Know what the levels are called elsewhere."""

from __future__ import annotations

# Number of OpenTelemetry, number of syslog, name of Google Cloud.
_LEVELS: dict[str, tuple[int, int, str]] = {
    "trace": (1, 7, "DEBUG"),
    "debug": (5, 7, "DEBUG"),
    "info": (9, 6, "INFO"),
    "success": (10, 6, "INFO"),
    "notice": (10, 5, "NOTICE"),
    "warning": (13, 4, "WARNING"),
    "warn": (13, 4, "WARNING"),
    "error": (17, 3, "ERROR"),
    "critical": (21, 2, "CRITICAL"),
    "fatal": (21, 2, "CRITICAL"),
    "alert": (22, 1, "ALERT"),
    "emergency": (24, 0, "EMERGENCY"),
}
# A level of the application's own says nothing of how bad it is.
_UNKNOWN = (0, 6, "DEFAULT")
_OF_GOOGLE = {
    name: level
    for level, (_, _, name) in reversed(_LEVELS.items())
    if level not in ("trace", "success", "warn", "fatal")
}


def otel(level: str) -> int:
    """Return the severity number of OpenTelemetry, 1 to 24, or 0 where nothing is known."""
    return _LEVELS.get(level, _UNKNOWN)[0]


def syslog(level: str) -> int:
    """Return the severity of syslog, 0 (worst) to 7."""
    return _LEVELS.get(level, _UNKNOWN)[1]


def google(level: str) -> str:
    """Return the severity of Google Cloud Logging."""
    return _LEVELS.get(level, _UNKNOWN)[2]


def of_google(severity: str) -> str | None:
    """Return the level that is meant by a severity of Google Cloud Logging."""
    return _OF_GOOGLE.get(severity)
