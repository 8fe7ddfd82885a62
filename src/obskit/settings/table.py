"""List every setting, once: its type, default and meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from obskit.settings import parse

PREFIX = "OBSKIT_"


class Setting:
    """What is known of a setting: *parse* reads its text, *shown* is its default for people.

    A *hidden* one is set by obskit alone.
    """

    __slots__ = ("default", "hidden", "meaning", "parse", "shown")

    def __init__(
        self, default: Any, parse: parse.Parse, meaning: str, shown: str | None, hidden: bool
    ) -> None:
        self.default = default
        self.parse = parse
        self.meaning = meaning
        self.shown = shown
        self.hidden = hidden


def _setting(
    default: Any,
    parser: parse.Parse,
    meaning: str,
    shown: str | None = None,
    *,
    hidden: bool = False,
) -> Any:
    return Setting(default, parser, meaning, shown, hidden)


class Settings:
    """The values in force; they never change.

    ``sources`` says of each name where its value came from, ``problems`` which values were
    not understood (the default is used instead).
    """

    # No dataclass: to make one of this size takes longer than all other work on settings.

    service: str = _setting(
        "", parse.as_is, "Name of this service", "`OTEL_SERVICE_NAME`, else the program's name"
    )
    version: str = _setting(
        "", parse.as_is, "Version of this service", "from OpenTelemetry's variables"
    )
    env: str = _setting(
        "",
        parse.as_is,
        "Environment it runs in, such as `production`",
        "from OpenTelemetry's variables",
    )
    enabled: bool = _setting(
        True, parse.boolean, "`0` makes obskit inert: nothing is hooked, loggers print as before"
    )
    log_format: str = _setting(
        "", parse.one_of("", "json", "console", "ecs", "otel", "gelf", "gcp", "logfmt"),
        "Form of the lines: `json` or `console`; `ecs`, `otel`, `gelf`, `gcp` or `logfmt`",
        "`console` on a terminal, else `json`",
    )  # fmt: skip
    log_level: str = _setting(
        "INFO", parse.level, "Lowest level written; also `name=LEVEL,name=LEVEL`"
    )
    log_level_signal: str = _setting(
        "", parse.signal_name,
        "Signal that switches to DEBUG and back, such as `SIGRTMIN+1`; left alone where the"
        " program or its server handles it (gunicorn: HUP, USR1, USR2, TTIN, TTOU, WINCH)",
        "none",
    )  # fmt: skip
    log_stream: str = _setting(
        "stdout", parse.stream, "Where lines go: `stdout`, `stderr`, `fd:N`, or a file's path"
    )
    log_queue: int = _setting(
        8 * 1024**2, parse.size,
        "Bytes kept for a stalled stream, then lines are dropped, counted; `0`: the caller waits",
        "8 MiB",
    )  # fmt: skip
    log_line: int = _setting(
        0, parse.line_size, "Longest line in bytes", "4096 on a pipe or socket, else 16000"
    )
    access_log: str = _setting(
        "replace", parse.one_of("replace", "keep"),
        "`keep` writes the server's own access lines beside the summary line",
    )  # fmt: skip
    capture: bool = _setting(
        True, parse.boolean, "Turn print, warnings, uncaught errors and other loggers into lines"
    )
    capture_fd: bool = _setting(
        False,
        parse.boolean,
        "Also capture what C code and child processes write to descriptors 1 and 2",
    )
    field_types: str = _setting(
        "", parse.as_is,
        "File of `obskit fields --save` with the types of fields: a value of another type goes to"
        " `<field>_<type>`, as it does where the type seen first is another",
        "none",
    )  # fmt: skip
    in_app: tuple[str, ...] = _setting(
        (), parse.names,
        "Installed packages that are the application's own: their frames are shown in stacks",
        "none",
    )  # fmt: skip
    redact: tuple[str, ...] = _setting(
        (), parse.names, "Further key names whose values are never written", "a built-in list"
    )
    metrics_port: int | None = _setting(9464, parse.port, "Port of the metrics endpoint, or `off`")
    metrics_host: str = _setting("127.0.0.1", parse.as_is, "Address of the metrics endpoint")
    series_budget: int = _setting(
        500,
        parse.count,
        "Most label combinations of one metric; the rest is counted as `__overflow__`",
    )
    zipkin: str = _setting(
        "", parse.url, "Base URL of a Zipkin server; without it no span is sent there", "none"
    )
    zipkin_exporter: str = _setting(
        "obskit", parse.one_of("obskit", "otel"),
        "Who sends to Zipkin: `otel` is OpenTelemetry's exporter, of the extra `otel-zipkin`",
    )  # fmt: skip
    otlp: str = _setting(
        "", parse.url,
        "Base URL of an OTLP/HTTP collector that gets the spans; needs the extra `otlp`",
        "none",
    )  # fmt: skip
    span_queue: int = _setting(
        8 * 1024**2, parse.size,
        "Bytes kept for a server that is slow or away, then spans are dropped, counted",
        "8 MiB",
    )  # fmt: skip
    ship: str = _setting(
        "", parse.destinations,
        "Where lines are sent, as well as to the stream: `<backend>+<scheme>://host[:port]/...`;"
        " several with blanks between",
        "none",
    )  # fmt: skip
    spool: str = _setting(
        "", parse.as_is,
        "Folder where lines wait to be sent; `off` keeps them in memory",
        "obskit/spool in the user's state folder",
    )  # fmt: skip
    spool_size: int = _setting(
        512 * 1024**2, parse.size,
        "Bytes that a service's spool may take; then the oldest lines go, counted;"
        " durable ones stay",
        "512 MiB",
    )  # fmt: skip
    spool_fsync: bool = _setting(
        False, parse.boolean, "Let each durable line reach the disk before the call returns"
    )
    durable: tuple[str, ...] = _setting(
        (), parse.durable,
        "Loggers whose lines are in the spool before the call returns, with those below them;"
        " `name=wait` waits where the spool is full",
        "none",
    )  # fmt: skip
    storm: str = _setting(
        "", parse.storm,
        "`N/M`: of lines that say the same, the first N a second are written, then each Mth;"
        " the others are counted",
        "off",
    )  # fmt: skip
    debug_ring: int = _setting(
        0, parse.count,
        "So many lines below the level are kept for each unit of work, and written if it ends badly"
    )  # fmt: skip
    trace_ratio: float = _setting(
        1.0, parse.ratio, "Share of new traces that are sampled, 0 to 1; a caller's decision wins"
    )
    trace_slow: float = _setting(
        2.0, parse.number,
        "Seconds from which on work is kept that the ratio has left out, as errors are; `0`: none",
        "`2`",
    )  # fmt: skip
    trust: str = _setting(
        "auto", parse.one_of("auto", "internal", "edge"),
        "Whether IDs from outside are continued (`internal`) or replaced (`edge`);"
        " `auto` continues those of callers at loopback and private addresses",
    )  # fmt: skip
    internal_hosts: tuple[str, ...] = _setting(
        (), parse.hosts, "Further host suffixes and networks that are ours", "none"
    )
    propagate: tuple[str, ...] = _setting(
        ("correlation", "w3c"), parse.propagators,
        "What is sent on: any of `correlation`, `w3c`, `b3`, `b3multi`",
    )  # fmt: skip
    correlation_header: str = _setting(
        "X-Correlation-ID", parse.header, "Name of the header with the correlation ID"
    )
    instrument: tuple[str, ...] = _setting(
        (), parse.names, "Names of libraries to instrument, or `-name` to leave one out",
        "all that are installed",
    )  # fmt: skip
    request_log: bool = _setting(
        True, parse.boolean, "Write one summary line for each request, message and task"
    )
    server_timing: bool = _setting(True, parse.boolean, "Send `Server-Timing` to internal callers")
    demo_clock_offset: float = _setting(
        0.0,
        parse.number,
        "Seconds added to the timestamp of each line, to play a wrong clock",
        hidden=True,
    )
    report_file: str = _setting(
        "", parse.as_is, "Where each process leaves its status when it ends", "none", hidden=True
    )
    sources: Mapping[str, str] = {}
    problems: tuple[str, ...] = ()

    def __init__(self, **values: Any) -> None:
        for name in values:
            if name not in FIELDS and name not in ("sources", "problems"):
                raise TypeError(f"there is no setting {name!r}")
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("settings cannot be changed")

    __delattr__ = __setattr__  # type: ignore[assignment]

    def but(self, **values: Any) -> Settings:
        """Return these settings with other *values* for some."""
        return Settings(**{**self.__dict__, **values})


FIELDS: dict[str, Setting] = {
    name: found for name, found in vars(Settings).items() if isinstance(found, Setting)
}
for _name, _found in FIELDS.items():
    setattr(Settings, _name, _found.default)


def environment_name(name: str) -> str:
    """Return the environment variable of setting *name*."""
    return PREFIX + name.upper()


def default_text(name: str) -> str:
    """Return the default of setting *name* as people write it."""
    item = FIELDS[name]
    if item.shown is not None:
        return item.shown
    value = item.default
    if isinstance(value, bool):
        return "`1`" if value else "`0`"
    return f"`{','.join(value) if isinstance(value, tuple) else value}`"
