"""Look at this installation: Python, platform, libraries, settings, port. No program runs."""

from __future__ import annotations

import os
import platform
import re
import socket
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata

from obskit import instrumentation
from obskit.cli._masking import mask
from obskit.cli._observed import library_of, settings_of
from obskit.cli._sheet import Check, Library, Sheet
from obskit.fields import VERSION
from obskit.settings import FIELDS, Settings

OLDEST, NEWEST = (3, 11), (3, 13)


def examine(settings: Settings) -> Sheet:
    """Return what is well in this installation, and what is not."""
    sheet = Sheet(f"obskit {VERSION} in {sys.prefix}")
    sheet.libraries = libraries()
    values = {name: getattr(settings, name) for name in FIELDS}
    if settings.sources["service"] == "program":  # which would be this command
        del values["service"]
    sheet.settings = settings_of(values, settings.sources)
    sheet.checks = [
        _python(),
        _platform(),
        _dependencies(),
        _libraries(sheet.libraries),
        _settings(settings),
        _stream(settings),
        _port(settings),
        _folder(),
    ]
    return sheet


def libraries() -> list[Library]:
    """Return which rows of the catalog are installed, and whether in a tested version."""
    found = []
    for status in instrumentation.status():
        row: dict[str, object] = {
            "name": status.name,
            "version": status.version,
            "state": "hooked",
            "reason": status.reason,
            "requires": status.requires,
            "newest_tested": status.newest_tested,
            "tested": status.tested,
            "missing": {},
            "late": {},
        }
        library = library_of(row)
        state = "ready" if library.state == "hooked" else library.state
        found.append(Library(library.name, library.version, state, library.why))
    return found


def _python() -> Check:
    name = f"{platform.python_implementation()} {platform.python_version()}"
    here = sys.version_info[:2]
    if platform.python_implementation() != "CPython" or not OLDEST <= here <= NEWEST:
        wanted = "CPython {}.{} to {}.{}".format(*OLDEST, *NEWEST)
        return Check("python", "note", f"{name} is not tested; {wanted} are")
    return Check("python", "ok", f"{name}, {sys.executable}")


def _platform() -> Check:
    name = f"{platform.system()} {platform.machine()}"
    if not sys.platform.startswith("linux"):
        return Check(
            "platform", "note",
            f"{name} is not tested: lines and correlation work, metrics of several workers do not",
        )  # fmt: skip
    return Check("platform", "ok", name)


def _dependencies() -> Check:
    troubles = tuple(_troubles())
    if troubles:
        return Check("dependencies", "bad", "not all are as they must be", troubles)
    return Check("dependencies", "ok", "all are installed")


def _troubles() -> Iterator[str]:
    try:
        wanted = metadata.requires("obskit") or []
    except metadata.PackageNotFoundError:
        yield "obskit itself is not installed, only on the path: its dependencies are unknown"
        return
    for requirement in wanted:
        if ";" in requirement:  # what an extra wants
            continue
        name, _, lowest = requirement.partition(">=")
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield f"{name} is not installed; wanted is {requirement}"
            continue
        if _numbers(version) < _numbers(lowest):
            yield f"{name} {version} is too old; wanted is {requirement}"


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def _libraries(found: list[Library]) -> Check:
    untested = [one for one in found if one.state == "untested"]
    ready = [one.name for one in found if one.state in ("ready", "untested")]
    says = f"{', '.join(ready)} would be hooked"
    told = tuple(f"{one.name} {one.version}: {one.why}" for one in untested)
    return Check("libraries", "note" if untested else "ok", says, told)


def _settings(settings: Settings) -> Check:
    found = (*settings.problems, *instrumentation.problems(settings))
    problems = tuple(map(mask, found))
    if problems:
        return Check("settings", "bad", "not all are understood; defaults are used", problems)
    if not settings.enabled:
        return Check("settings", "note", "OBSKIT_ENABLED=0: the kill switch is on")
    return Check("settings", "ok", "all are understood")


def _stream(settings: Settings) -> Check:
    stream = settings.log_stream
    if stream in ("stdout", "stderr"):
        return Check("stream", "ok", f"lines go to {stream}")
    if stream.startswith("fd:"):
        return Check("stream", "note", f"lines go to {stream}, which only the program has")
    folder = os.path.dirname(os.path.abspath(stream))
    if os.path.isdir(stream) or not os.access(
        stream if os.path.exists(stream) else folder, os.W_OK
    ):
        return Check("stream", "bad", f"{stream} cannot be written")
    return Check("stream", "ok", f"lines go to {stream}")


def _port(settings: Settings) -> Check:
    host, port = settings.metrics_host, settings.metrics_port
    if port is None:
        return Check("port", "ok", "metrics have no port (OBSKIT_METRICS_PORT=off)")
    trouble = port_trouble(host, port)
    if trouble:
        return Check(
            "port", "note",
            f"{host}:{port} is not free ({trouble}): another service may have its metrics there",
            ("give each service of a machine its own OBSKIT_METRICS_PORT",),
        )  # fmt: skip
    return Check("port", "ok", f"metrics will be at http://{host}:{port}/metrics")


def port_trouble(host: str, port: int) -> str:
    """Return why nothing can listen at *port* of *host*; empty if it can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _folder() -> Check:
    folder = tempfile.gettempdir()
    if not os.access(folder, os.W_OK):
        return Check("folder", "bad", f"{folder} cannot be written: workers cannot share metrics")
    return Check("folder", "ok", f"workers share their metrics in {folder}")
