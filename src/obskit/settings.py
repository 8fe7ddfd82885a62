"""List every setting, once: its type, default and meaning; find out its value and where from."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from obskit.errors import SettingError

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})
PREFIX = "OBSKIT_"

# What `obskit run` tells the program that it starts, beside the settings.
LAUNCH = "OBSKIT_LAUNCH"
FOREIGN = frozenset({LAUNCH, "OBSKIT_REQUIRE_SERVICES"})

Parse = Callable[[str], Any]


def _boolean(text: str) -> bool:
    word = text.lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise ValueError("must be 1 or 0")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _one_of(*allowed: str) -> Parse:
    def parse(text: str) -> str:
        word = text.lower()
        if word not in allowed:
            raise ValueError(f"must be {' or '.join(filter(None, allowed))}")
        return word

    return parse


def _propagators(text: str) -> tuple[str, ...]:
    names = _names(text.lower())
    if not set(names) <= {"correlation", "w3c", "b3", "b3multi"}:
        raise ValueError("must be any of correlation, w3c, b3, b3multi, with commas between")
    return names


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("must be a number") from None
    if value - value != 0.0:
        raise ValueError("must be a finite number")
    return value


def _ratio(text: str) -> float:
    value = _number(text)
    if not 0.0 <= value <= 1.0:
        raise ValueError("must be from 0 to 1")
    return value


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 15:
        raise ValueError("must be a whole number from 0 on")
    return int(text)


_SIZES = {"kib": 1024, "mib": 1024**2, "gib": 1024**3, "k": 1024, "m": 1024**2, "g": 1024**3}


def _size(text: str) -> int:
    word, factor = text.lower(), 1
    for suffix, size in _SIZES.items():
        if word.endswith(suffix):
            word, factor = word.removesuffix(suffix), size
            break
    try:
        value = _number(word.strip())
    except ValueError:
        value = -1
    if not 0 <= value <= 2**50:
        raise ValueError("must be a number of bytes, also with KiB, MiB or GiB behind it")
    return int(value * factor)


def _port(text: str) -> int | None:
    word = text.lower()
    if word in ("off", "none"):
        return None
    if not (word.isascii() and word.isdecimal()) or len(word) > 5 or int(word) > 65535:
        raise ValueError("must be a port from 0 to 65535, or off")
    return int(word)


def _text(text: str) -> str:
    return text


def _header(text: str) -> str:
    if not all(char.isascii() and (char.isalnum() or char in "!#$%&'*+-.^_`|~") for char in text):
        raise ValueError("must be the name of a header")
    return text


def _level(text: str) -> str:
    from logging import getLevelNamesMapping

    known = getLevelNamesMapping()
    for item in _names(text):
        level = item.rpartition("=")[2].strip().upper()
        if level not in known and not (level.isascii() and level.isdecimal()):
            raise ValueError("must be a level (DEBUG, INFO, ...), or name=LEVEL,name=LEVEL")
    return text


def _stream(text: str) -> str:
    number = text[3:]
    if text.startswith("fd:") and not (number.isascii() and number.isdecimal()):
        raise ValueError("must be stdout, stderr, fd:N or a path")
    return text


def _setting(
    default: Any, parse: Parse, meaning: str, shown: str | None = None, *, hidden: bool = False
) -> Any:
    metadata = {"parse": parse, "meaning": meaning, "shown": shown, "hidden": hidden}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The values in force.

    ``sources`` says of each name where its value came from, ``problems`` which values were
    not understood (the default is used instead).
    """

    service: str = _setting(
        "", _text, "Name of this service", "`OTEL_SERVICE_NAME`, else the program's name"
    )
    version: str = _setting("", _text, "Version of this service", "from OpenTelemetry's variables")
    env: str = _setting(
        "", _text, "Environment it runs in, such as `production`", "from OpenTelemetry's variables"
    )
    enabled: bool = _setting(
        True, _boolean, "`0` makes obskit inert: nothing is hooked, loggers print as before"
    )
    log_format: str = _setting(
        "", _one_of("", "json", "console"), "Form of the lines: `json` or `console`",
        "`console` on a terminal, else `json`",
    )  # fmt: skip
    log_level: str = _setting("INFO", _level, "Lowest level written; also `name=LEVEL,name=LEVEL`")
    log_stream: str = _setting(
        "stdout", _stream, "Where lines go: `stdout`, `stderr`, `fd:N`, or a file's path"
    )
    log_queue: int = _setting(
        8 * 1024**2, _size,
        "Bytes kept for a stalled stream, then lines are dropped, counted; `0`: the caller waits",
        "8 MiB",
    )  # fmt: skip
    log_line: int = _setting(
        0, _size, "Longest line in bytes", "4096 on a pipe or socket, else 16000"
    )
    access_log: str = _setting(
        "replace", _one_of("replace", "keep"),
        "`keep` writes the server's own access lines beside the summary line",
    )  # fmt: skip
    capture: bool = _setting(
        True, _boolean, "Turn print, warnings, uncaught errors and other loggers into lines"
    )
    capture_fd: bool = _setting(
        False, _boolean, "Also capture what C code and child processes write to descriptors 1 and 2"
    )
    redact: tuple[str, ...] = _setting(
        (), _names, "Further key names whose values are never written", "a built-in list"
    )
    metrics_port: int | None = _setting(9464, _port, "Port of the metrics endpoint, or `off`")
    metrics_host: str = _setting("127.0.0.1", _text, "Address of the metrics endpoint")
    series_budget: int = _setting(
        500, _count, "Most label combinations of one metric; the rest is counted as `__overflow__`"
    )
    zipkin: str = _setting(
        "", _text, "Base URL of a Zipkin server; without it no span is sent", "none"
    )
    trace_ratio: float = _setting(
        1.0, _ratio, "Share of new traces that are sampled, 0 to 1; a caller's decision wins"
    )
    trust: str = _setting(
        "auto", _one_of("auto", "internal", "edge"),
        "Whether IDs from outside are continued (`internal`) or replaced (`edge`);"
        " `auto` continues those of callers at loopback and private addresses",
    )  # fmt: skip
    internal_hosts: tuple[str, ...] = _setting(
        (), _names, "Further host suffixes and networks that are ours", "none"
    )
    propagate: tuple[str, ...] = _setting(
        ("correlation", "w3c"), _propagators,
        "What is sent on: any of `correlation`, `w3c`, `b3`, `b3multi`",
    )  # fmt: skip
    correlation_header: str = _setting(
        "X-Correlation-ID", _header, "Name of the header with the correlation ID"
    )
    instrument: tuple[str, ...] = _setting(
        (), _names, "Names of libraries to instrument, or `-name` to leave one out",
        "all that are installed",
    )  # fmt: skip
    request_log: bool = _setting(
        True, _boolean, "Write one summary line for each request, message and task"
    )
    server_timing: bool = _setting(True, _boolean, "Send `Server-Timing` to internal callers")
    demo_clock_offset: float = _setting(
        0.0,
        _number,
        "Seconds added to the timestamp of each line, to play a wrong clock",
        hidden=True,
    )
    report_file: str = _setting(
        "", _text, "Where each process leaves its status when it ends", "none", hidden=True
    )
    sources: Mapping[str, str] = field(default_factory=dict, metadata={"internal": True})
    problems: tuple[str, ...] = field(default=(), metadata={"internal": True})


FIELDS: dict[str, dataclasses.Field[Any]] = {
    item.name: item for item in dataclasses.fields(Settings) if "internal" not in item.metadata
}


def environment_name(name: str) -> str:
    """Return the environment variable of setting *name*."""
    return PREFIX + name.upper()


def default_text(name: str) -> str:
    """Return the default of setting *name* as people write it."""
    item = FIELDS[name]
    shown: str | None = item.metadata["shown"]
    if shown is not None:
        return shown
    value = item.default
    if isinstance(value, bool):
        return "`1`" if value else "`0`"
    return f"`{','.join(value) if isinstance(value, tuple) else value}`"


def resolve(
    arguments: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Settings:
    """Return the settings in force: environment, then arguments, then file, then default.

    What is not understood does not stop the service: the default is used, and the
    ``problems`` of the result say which value and what would be allowed.

    Args:
        arguments: What `init` was given; None counts as not given.
        environ: The environment; of this process by default. An empty value counts as not set.
        folder: Where the search for ``obskit.toml`` and ``pyproject.toml`` begins; the
            current folder by default.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in (arguments or {}).items() if value is not None}
    problems: list[str] = []
    path, listed = _file(folder, problems)
    _find_unknown(given, listed, path, environ, problems)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name in FIELDS:
        variable = environment_name(name)
        candidates = (
            (environ.get(variable, "").strip() or None, variable),
            (given.get(name), "argument"),
            (listed.get(name), path),
        )
        sources[name] = _first(name, candidates, values, problems)
    _identify(values, sources, environ)
    return Settings(**values, sources=sources, problems=tuple(problems))


def _first(
    name: str,
    candidates: tuple[tuple[Any, str], ...],
    values: dict[str, Any],
    problems: list[str],
) -> str:
    """Take the first candidate that is there and understood; return where it came from."""
    for value, where in candidates:
        if value is None:
            continue
        try:
            values[name] = parsed(name, value)
        except SettingError as error:
            problems.append(f"{error} (from {where})" if where[:7] != PREFIX else str(error))
        else:
            return where
    return "default"


def parsed(name: str, value: Any) -> Any:
    """Return *value*, text or a Python value, as setting *name* has it.

    Raises:
        SettingError: The value is not allowed; the message says which are.
    """
    if isinstance(value, (list, tuple, set, frozenset)):
        value = ",".join(map(str, value))
    elif isinstance(value, bool):
        value = "1" if value else "off" if name == "metrics_port" else "0"
    try:
        return FIELDS[name].metadata["parse"](str(value).strip())
    except ValueError as error:
        raise SettingError(f"{environment_name(name)}={str(value)[:100]!r} {error}") from None


def _find_unknown(
    given: Mapping[str, Any],
    listed: Mapping[str, Any],
    path: str,
    environ: Mapping[str, str],
    problems: list[str],
) -> None:
    problems += [f"unknown argument {_guess(name)}" for name in given if name not in FIELDS]
    problems += [
        f"unknown setting {_guess(name)} in {path}" for name in listed if name not in FIELDS
    ]
    for variable in environ:
        name = variable.removeprefix(PREFIX).lower()
        if variable.startswith(PREFIX) and name not in FIELDS and variable not in FOREIGN:
            problems.append(f"unknown environment variable {_guess(name, environment_name)}")


def _guess(name: str, spell: Callable[[str], str] = str) -> str:
    import difflib

    close = difflib.get_close_matches(name, FIELDS, 1)
    return f"{spell(name)}; did you mean {spell(close[0])}?" if close else spell(name)


def _file(folder: str | os.PathLike[str] | None, problems: list[str]) -> tuple[str, dict[str, Any]]:
    """Return the nearest obskit.toml or [tool.obskit], going up from *folder*."""
    try:
        place = os.path.abspath(folder or os.getcwd())
    except OSError:  # the current folder was removed
        return "", {}
    while True:
        path = os.path.join(place, "obskit.toml")
        if (table := _table(path, "", problems)) is not None:
            return path, table
        path = os.path.join(place, "pyproject.toml")
        if (table := _table(path, "[tool.obskit", problems)) is not None:
            return path, _section(table)
        place, below = os.path.dirname(place), place
        if place == below:
            return "", {}


def _section(table: dict[str, Any]) -> dict[str, Any]:
    section = table.get("tool", {}).get("obskit", {})
    return dict(section) if isinstance(section, dict) else {}


def _table(path: str, mark: str, problems: list[str]) -> dict[str, Any] | None:
    """Return what *path* holds; None where it is not there or has not the *mark*."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if mark not in text:
            return None
        import tomllib

        return tomllib.loads(text)
    except OSError:
        return None
    except ValueError as error:  # not TOML, not UTF-8
        problems.append(f"{path} is not valid TOML: {error}")
        return {}


def _identify(values: dict[str, Any], sources: dict[str, str], environ: Mapping[str, str]) -> None:
    """Fill service, version and env from OpenTelemetry's variables and the program."""
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
        name = launch(environ).program or program_name(sys.orig_argv[1:])
        values["service"], sources["service"] = name, "program"


def _resource(text: str) -> dict[str, str]:
    if not text:
        return {}
    from urllib.parse import unquote

    pairs = (item.partition("=") for item in text.split(","))
    return {key.strip(): unquote(value.strip()) for key, _, value in pairs if value}


@dataclass(frozen=True, slots=True)
class Launch:
    """What `obskit run` tells: the program's name, and which streams are its launcher's own.

    A stream is named by device and inode, so that a child whose output its parent reads
    knows that this is not where lines belong.
    """

    program: str = ""
    streams: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{','.join(self.streams)} {self.program}"


def stream_name(descriptor: int) -> str:
    """Return device and inode of what *descriptor* is open for; empty where it is closed."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


def launch(environ: Mapping[str, str] | None = None) -> Launch:
    """Return what `obskit run` told this process; an empty Launch if it did not start it."""
    text = (os.environ if environ is None else environ).get(LAUNCH, "")
    streams, space, program = text.partition(" ")
    return Launch(program, tuple(filter(None, streams.split(",")))) if space else Launch()


# Programs that run another one, which stands in their arguments.
SERVERS = frozenset(
    {"uvicorn", "gunicorn", "hypercorn", "daphne", "granian", "waitress-serve", "flask", "celery"}
)
_TAKES_A_VALUE = frozenset({"-W", "-X", "--check-hash-based-pycs"})


def program_name(words: list[str]) -> str:
    """Return a name for the service that the command *words* (without `python`) starts."""
    words = _without_interpreter_options(words)
    if not words or words[0].startswith("-c"):
        return "python"
    name = words[1] if words[0] == "-m" and len(words) > 1 else words[0]
    name = os.path.basename(name).removesuffix(".py").partition(".")[0]
    if name in SERVERS:
        return _application(words) or name
    return name.lstrip("-") or "python"


def _without_interpreter_options(words: list[str]) -> list[str]:
    while words and words[0].startswith("-") and words[0][:2] not in ("-m", "-c"):
        words = words[2:] if words[0] in _TAKES_A_VALUE else words[1:]
    if words and words[0][:2] == "-m" and len(words[0]) > 2:
        words = ["-m", words[0][2:], *words[1:]]
    return words


def _application(words: list[str]) -> str:
    """Return ``shop`` for ``shop.main:app``, ``--app shop`` and ``-A shop``."""
    for before, word in pairwise(words):
        option, _, value = word.partition("=")
        if before in ("-A", "--app"):
            option, value = "--app", word
        module, colon, variable = (value if option == "--app" else word).partition(":")
        named = option == "--app" or (colon and variable[:1].isalpha())
        if named and module.replace(".", "").isidentifier():
            return module.partition(".")[0]
    return ""
