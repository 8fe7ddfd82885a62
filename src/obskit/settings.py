"""List every setting, once: its type, default and meaning; find out its value and where from."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from obskit.errors import SettingError

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})

Parse = Callable[[str], Any]


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in TRUE:
        return True
    if word in FALSE or not word:
        return False
    raise ValueError("must be 1 or 0")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _one_of(*allowed: str) -> Parse:
    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return word

    return parse


def _propagators(text: str) -> tuple[str, ...]:
    names = _names(text.lower())
    unknown = sorted(set(names) - {"correlation", "w3c", "b3", "b3multi"})
    if unknown:
        raise ValueError("must be any of correlation, w3c, b3, b3multi")
    return names


def _ratio(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise ValueError("must be from 0 to 1")
    return value


_SIZES = {"kib": 1024, "mib": 1024**2, "gib": 1024**3, "k": 1024, "m": 1024**2, "g": 1024**3}


def _size(text: str) -> int:
    word = text.strip().lower()
    for suffix, factor in _SIZES.items():
        if word.endswith(suffix):
            return int(float(word.removesuffix(suffix)) * factor)
    value = int(word)
    if value < 0:
        raise ValueError("must not be negative")
    return value


def _port(text: str) -> int | None:
    word = text.strip().lower()
    if word in ("off", "none", ""):
        return None
    value = int(word)
    if not 0 <= value <= 65535:
        raise ValueError("must be a port from 0 to 65535, or off")
    return value


def _text(text: str) -> str:
    return text


def _level(text: str) -> str:
    from logging import getLevelNamesMapping

    known = getLevelNamesMapping()
    for item in _names(text):
        level = item.rpartition("=")[2].strip().upper()
        if level not in known and not level.isdigit():
            raise ValueError("must be a level (DEBUG, INFO, ...), or name=LEVEL,name=LEVEL")
    return text


def _stream(text: str) -> str:
    word = text.strip()
    if word.startswith("fd:") and not word[3:].isdigit():
        raise ValueError("must be stdout, stderr, fd:N or a path")
    return word


def _setting(default: Any, parse: Parse, meaning: str, shown: str | None = None) -> Any:
    return field(
        default=default,
        metadata={"parse": parse, "meaning": meaning, "shown": shown},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The values in force. ``sources`` says of each name where its value came from."""

    service: str = _setting("", _text, "Name of this service", "from OpenTelemetry's variables or the program")
    version: str = _setting("", _text, "Version of this service")
    env: str = _setting("", _text, "Environment it runs in, such as `production`")
    enabled: bool = _setting(True, _boolean, "`0` makes obskit inert: nothing is hooked, loggers print as before")
    log_format: str = _setting(
        "", _one_of("", "json", "console"), "Form of the lines: `json` or `console`", "`console` on a terminal, else `json`"
    )
    log_level: str = _setting("INFO", _level, "Lowest level written; also `name=LEVEL,name=LEVEL`")
    log_stream: str = _setting("stdout", _stream, "Where lines go: `stdout`, `stderr`, `fd:N`, or a file's path")
    log_queue: int = _setting(
        8 * 1024**2, _size, "Bytes kept for a stalled stream, then lines are dropped and counted; `0`: the caller waits", "8 MiB"
    )
    log_line: int = _setting(0, _size, "Longest line in bytes", "4096 on a pipe or socket, else 16000")
    access_log: str = _setting(
        "replace", _one_of("replace", "keep"), "`keep` writes the server's own access lines beside the summary line"
    )
    capture: bool = _setting(True, _boolean, "Turn print, warnings, uncaught errors and other loggers into lines")
    capture_fd: bool = _setting(False, _boolean, "Also capture what C code writes to descriptors 1 and 2")
    redact: tuple[str, ...] = _setting((), _names, "Further key names whose values are never written", "a built-in list")
    metrics_port: int | None = _setting(9464, _port, "Port of the metrics endpoint, or `off`")
    metrics_host: str = _setting("127.0.0.1", _text, "Address of the metrics endpoint")
    series_budget: int = _setting(500, int, "Most label combinations of one metric; the rest is counted as `__overflow__`")
    zipkin: str = _setting("", _text, "Base URL of a Zipkin server; without it no span is sent")
    trace_ratio: float = _setting(1.0, _ratio, "Share of new traces that are sampled, 0 to 1; a caller's decision wins")
    trust: str = _setting(
        "auto", _one_of("auto", "internal", "edge"), "Whether IDs from outside are continued (`internal`) or replaced (`edge`)"
    )
    internal_hosts: tuple[str, ...] = _setting((), _names, "Further host suffixes and networks that are ours")
    propagate: tuple[str, ...] = _setting(
        ("correlation", "w3c"), _propagators, "What is sent on: any of `correlation`, `w3c`, `b3`, `b3multi`"
    )
    correlation_header: str = _setting("X-Correlation-ID", _text, "Name of the header with the correlation ID")
    instrument: tuple[str, ...] = _setting((), _names, "Names of libraries to instrument, or `-name` to leave one out", "all that are installed")
    request_log: bool = _setting(True, _boolean, "Write one summary line for each request, message and task")
    server_timing: bool = _setting(True, _boolean, "Send `Server-Timing` to internal callers")
    sources: Mapping[str, str] = field(default_factory=dict, metadata={"internal": True})


FIELDS: dict[str, dataclasses.Field[Any]] = {
    item.name: item for item in dataclasses.fields(Settings) if "internal" not in item.metadata
}


def environment_name(name: str) -> str:
    """Return the environment variable of setting *name*."""
    return "OBSKIT_" + name.upper()


def resolve(
    arguments: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Return the settings in force: environment, then arguments, then file, then default.

    Args:
        arguments: What `init` was given; None counts as not given.
        environ: The environment; of this process by default.
        folder: Where the search for ``obskit.toml`` and ``pyproject.toml`` begins; the
            current folder by default.

    Raises:
        SettingError: A name is unknown or a value is not allowed.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in (arguments or {}).items() if value is not None}
    unknown = sorted(set(given) - set(FIELDS))
    if unknown:
        raise SettingError(f"unknown setting {unknown[0]!r}; known are {', '.join(FIELDS)}")
    path, listed = _file(folder or Path.cwd())
    unknown = sorted(set(listed) - set(FIELDS))
    if unknown:
        raise SettingError(f"unknown setting {unknown[0]!r} in {path}")
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, item in FIELDS.items():
        variable = environment_name(name)
        if variable in environ:
            values[name] = _parsed(name, item, environ[variable], variable)
            sources[name] = variable
        elif name in given:
            values[name] = _checked(name, item, given[name], f"argument {name}")
            sources[name] = "argument"
        elif name in listed:
            values[name] = _checked(name, item, listed[name], f"{name} in {path}")
            sources[name] = str(path)
        else:
            sources[name] = "default"
    _identify(values, sources, environ)
    return Settings(**values, sources=sources)


def _parsed(name: str, item: dataclasses.Field[Any], text: str, where: str) -> Any:
    try:
        return item.metadata["parse"](text)
    except ValueError as error:
        raise SettingError(f"{where}={text!r}: {_reason(error, item)}") from None


def _reason(error: ValueError, item: dataclasses.Field[Any]) -> str:
    text = str(error)
    return text if text.startswith("must") else "must be a number"


def _checked(name: str, item: dataclasses.Field[Any], value: Any, where: str) -> Any:
    if isinstance(value, (list, tuple, set, frozenset)):
        value = ",".join(map(str, value))
    elif isinstance(value, bool):
        value = "1" if value else "0" if name != "metrics_port" else "off"
    return _parsed(name, item, str(value), where)


def _file(folder: Path) -> tuple[Path | None, dict[str, Any]]:
    """Return the nearest obskit.toml or [tool.obskit], going up from *folder*."""
    for place in (folder, *folder.parents):
        path = place / "obskit.toml"
        if (table := _table(path)) is not None:
            return path, table
        path = place / "pyproject.toml"
        table = _table(path)
        if table is not None and "obskit" in table.get("tool", {}):
            return path, dict(table["tool"]["obskit"])
    return None, {}


def _table(path: Path) -> dict[str, Any] | None:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        if path.name == "obskit.toml":
            raise SettingError(f"{path} is not valid TOML: {error}") from None
        return None


def _identify(values: dict[str, Any], sources: dict[str, str], environ: Mapping[str, str]) -> None:
    """Fill service, version and env from OpenTelemetry's variables and the main module."""
    resource = _resource(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    known = {
        "service": environ.get("OTEL_SERVICE_NAME") or resource.get("service.name"),
        "version": resource.get("service.version"),
        "env": resource.get("deployment.environment.name")
        or resource.get("deployment.environment"),
    }
    for name, value in known.items():
        if value and not values.get(name):
            values[name], sources[name] = value, "OpenTelemetry"
    if not values.get("service"):
        values["service"], sources["service"] = _program(), "program"


def _resource(text: str) -> dict[str, str]:
    from urllib.parse import unquote

    pairs = (item.partition("=") for item in text.split(","))
    return {key.strip(): unquote(value.strip()) for key, _, value in pairs if value}


def _program() -> str:
    """Return the name of the program that runs, for a service that nobody has named."""
    import sys

    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return str(spec.name).removesuffix(".__main__").partition(".")[0]
    path = getattr(main, "__file__", None) or (sys.argv[0] if sys.argv else "")
    return Path(path).stem or "python"
