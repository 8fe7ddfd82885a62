"""``obskit doctor``: run a program for a short time and say what is observed, and what is not."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from obskit import settings
from obskit.cli import _findings, _installation, _observed, _output, _sheet, _trial
from obskit.cli import run as run_
from obskit.cli._masking import command_line
from obskit.cli._sheet import Sheet
from obskit.errors import SettingError
from obskit.fields import VERSION
from obskit.settings import Settings

WELL, BAD_NEWS, WRONG_USE = 0, 1, 2

# Only obskit itself sets these; a trial does so too, and people are shown what they chose.
OURS = ("metrics_port", "metrics_host")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.epilog = "Without a program it looks at this installation."
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument(
        "--path",
        type=_path,
        default="/",
        help="what is asked for once the program listens (default: %(default)s)",
    )
    parser.add_argument(
        "--no-request", action="store_true", help="send no request, only run the program"
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=15.0,
        help="how long the program may take to listen or to end (default: %(default)g)",
    )
    run_.add_settings(parser)
    run_.add_command(parser)


def _path(text: str) -> str:
    if not text.startswith("/") or not text.isascii() or not text.isprintable() or " " in text:
        raise argparse.ArgumentTypeError("must be a path, such as /orders")
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600.0:
        raise argparse.ArgumentTypeError("must be a number from 0.1 to 3600")
    return seconds


def run(arguments: argparse.Namespace) -> int:
    """Examine the program, or this installation, and return the exit code."""
    try:
        sheet = examine(arguments)
    except (run_.WrongUse, SettingError) as error:
        sys.stderr.write(f"obskit doctor: {error}\n")
        return WRONG_USE
    text = _sheet.as_json(sheet) + "\n" if arguments.json else _sheet.as_text(sheet)
    _output.write(text)
    return WELL if sheet.is_well else BAD_NEWS


def examine(arguments: argparse.Namespace) -> Sheet:
    """Return what there is to say.

    Raises:
        WrongUse: The program cannot be started.
        SettingError: A setting chosen by an option is not allowed.
    """
    chosen = os.environ | run_.chosen_settings(arguments)
    in_force = settings.resolve(environ=chosen)
    if arguments.command in ([], ["--"]):
        return _installation.examine(in_force)
    program, command = run_.find(run_.words(arguments.command))
    if not in_force.enabled:
        raise run_.WrongUse("OBSKIT_ENABLED=0 is set, so the program would run without obskit")
    return _try(program, command, arguments, chosen, in_force)


def _try(
    program: str,
    command: list[str],
    arguments: argparse.Namespace,
    environ: Mapping[str, str],
    in_force: Settings,
) -> Sheet:
    port = None if in_force.metrics_port is None else _free_port()
    log = _LogFile(in_force.log_stream)
    with tempfile.TemporaryDirectory(prefix="obskit-doctor-") as name:
        folder = Path(name)
        ours = {"OBSKIT_REPORT_FILE": str(folder / "report")}
        if port is not None:
            ours |= {"OBSKIT_METRICS_PORT": str(port), "OBSKIT_METRICS_HOST": "127.0.0.1"}

        def header() -> str:
            found = _observed.read(folder, 0).settings
            return str(found.get("correlation_header", in_force.correlation_header))

        plan = _trial.Plan(
            program,
            command,
            lambda streams: run_.environment(command, {**environ, **ours}, streams),
            arguments.seconds,
            None if arguments.no_request else arguments.path,
            header,
            port,
        )
        try:
            trial = _trial.hold(plan)
        except OSError as error:
            raise run_.WrongUse(f"cannot start {program}: {error.strerror}") from None
        observed = _observed.read(folder, trial.pid)
    output = _judged(trial, observed, log)
    asked = not arguments.no_request
    case = _findings.Case(command, trial, observed, output, asked, port is not None)
    return _sheet_of(case, in_force)


def _sheet_of(case: _findings.Case, in_force: Settings) -> Sheet:
    observed, trial = case.observed, case.trial
    sheet = Sheet(f"obskit {VERSION} doctor: {command_line(case.command)}")
    sheet.checks, strays = _findings.examine(case)
    sheet.libraries = observed.libraries()
    values = dict(observed.settings) | {name: getattr(in_force, name) for name in OURS}
    sources = dict(observed.main.get("sources", {}))
    sources |= {name: in_force.sources[name] for name in OURS}
    if observed.reports:
        sheet.settings = _observed.settings_of(values, sources)
    sheet.more = {
        "escapees": strays,
        "processes": [
            {"pid": pid, "command": command_line(words)}
            for pid, words in observed.processes.items()
        ],
        "ports": trial.ports,
        "exit_code": trial.exit_code,
    }
    return sheet


def _judged(trial: _trial.Trial, observed: _observed.Observed, log: _LogFile) -> dict[str, bytes]:
    """Return the output that has to be lines: what the settings make of the streams."""
    chosen = observed.settings
    stream = chosen.get("log_stream", "stdout")
    if chosen.get("log_format") == "console":
        return {}
    if stream in ("stdout", "fd:1"):
        return {"stdout": trial.stdout, "stderr": trial.stderr}
    if stream in ("stderr", "fd:2"):
        return {"stderr": trial.stderr}
    return {} if stream.startswith("fd:") else {stream: log.added(stream)}


class _LogFile:
    """Remember how long a log file is, to read later only what was added."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._before = os.path.getsize(path) if os.path.isfile(path) else 0

    def added(self, path: str) -> bytes:
        """Return what was added to *path*: all of it, if it is another file."""
        try:
            with open(path, "rb") as file:
                file.seek(self._before if path == self._path else 0)
                return file.read(_trial.MOST_KEPT)
        except OSError:
            return b""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
