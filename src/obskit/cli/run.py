"""``obskit run``: replace this process by a program that starts with obskit in it."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from obskit import settings
from obskit.errors import SettingError

AUTOSTART = Path(__file__).parent / "_autostart"
OPTIONS = (
    "service",
    "env",
    "log_format",
    "log_level",
    "log_stream",
    "metrics_port",
    "zipkin",
    "trust",
)


class WrongUse(Exception):
    """The words after ``obskit run`` cannot be followed; the text says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_settings(parser)
    add_command(parser)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Declare an option for each setting that people often choose, and one for all others."""
    for name in OPTIONS:
        meaning = settings.FIELDS[name].meaning.replace("`", "").replace("%", "%%")
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, metavar="VALUE", help=meaning)
    parser.add_argument(
        "--set",
        dest="others",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="any setting, as in --set redact=iban; can be repeated",
    )


def add_command(parser: argparse.ArgumentParser) -> None:
    """Declare the words of the program that is to run."""
    parser.add_argument(
        "command",
        metavar="[--] CMD ...",
        nargs=argparse.REMAINDER,
        help="the program with its arguments, as in: python app.py",
    )


def run(arguments: argparse.Namespace) -> int:
    """Become the program; return only where it cannot be started."""
    try:
        chosen = chosen_settings(arguments)
        command = words(arguments.command)
        program, command = find(command)
    except (WrongUse, SettingError) as error:
        sys.stderr.write(f"obskit run: {error}\n")
        return 2
    environ = environment(command, os.environ | chosen)
    for stream in filter(None, (sys.stdout, sys.stderr)):  # one that is closed is None
        stream.flush()
    try:
        os.execve(program, command, environ)
    except OSError as error:
        sys.stderr.write(f"obskit run: cannot start {program}: {error.strerror}\n")
        return 2


def chosen_settings(arguments: argparse.Namespace) -> dict[str, str]:
    """Return what the options choose, as environment variables.

    Raises:
        WrongUse: A setting has no such name.
        SettingError: A value is not allowed.
    """
    chosen = {name: value for name in OPTIONS if (value := getattr(arguments, name)) is not None}
    for item in arguments.others:
        name, equals, value = item.partition("=")
        name = name.strip().lower().replace("-", "_").removeprefix("obskit_")
        if not equals or name not in settings.FIELDS:
            raise WrongUse(f"--set {item}: must be NAME=VALUE with the name of a setting")
        chosen[name] = value
    for name, value in chosen.items():
        settings.parsed(name, value)
    return {settings.environment_name(name): value for name, value in chosen.items()}


def words(given: list[str]) -> list[str]:
    """Return the words of the program without the dashes before them.

    Raises:
        WrongUse: There are none.
    """
    command = given[1:] if given[:1] == ["--"] else given
    if not command:
        raise WrongUse("no program given, as in: obskit run -- python app.py")
    if command[0].startswith("-"):
        raise WrongUse(f"no option {command[0]} (see obskit run --help)")
    return command


def find(command: list[str]) -> tuple[str, list[str]]:
    """Return the path of the program and its words; a Python file is run by this Python.

    Raises:
        WrongUse: There is no such program.
    """
    name = command[0]
    found = shutil.which(name) or shutil.which(name, path=os.path.dirname(sys.executable))
    if found is not None:
        return found, command
    if os.path.isfile(name) and (name.endswith(".py") or _is_script_of_python(name)):
        return sys.executable, [sys.executable, *command]
    if os.path.isdir(name) and os.path.isfile(os.path.join(name, "__main__.py")):
        return sys.executable, [sys.executable, *command]
    raise WrongUse(f"{name}: {_why_not(name)}")


def _why_not(name: str) -> str:
    if os.path.isdir(name):
        return "is a folder without __main__.py"
    return "is not executable" if os.path.exists(name) else "not found"


def _is_script_of_python(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            first = file.readline(200)
    except OSError:
        return False
    return first.startswith(b"#!") and b"python" in first


def environment(
    command: list[str], environ: Mapping[str, str], streams: tuple[int, int] = (1, 2)
) -> dict[str, str]:
    """Return *environ* such that Python programs started with it switch obskit on.

    Args:
        command: The words of the program.
        environ: What it would get without obskit.
        streams: The descriptors that become its stdout and stderr.
    """
    environ = dict(environ)
    if environ.get("OBSKIT_ENABLED", "").strip().lower() in settings.FALSE:
        return environ
    own = str(AUTOSTART)
    path = [own, *(part for part in environ.get("PYTHONPATH", "").split(os.pathsep) if part != own)]
    environ["PYTHONPATH"] = os.pathsep.join(part for part in path if part)
    descriptors = (*streams, *_chosen_descriptor(environ))
    names = tuple(filter(None, map(settings.stream_name, descriptors)))
    environ[settings.LAUNCH] = str(settings.Launch(_name(command), names))
    return environ


def _chosen_descriptor(environ: Mapping[str, str]) -> list[int]:
    chosen = environ.get("OBSKIT_LOG_STREAM", "").strip()
    number = chosen[3:]
    is_one = chosen.startswith("fd:") and number.isascii() and number.isdecimal()
    return [int(number)] if is_one and int(number) > 2 else []


def _name(command: list[str]) -> str:
    first = os.path.basename(command[0])
    is_python = first.removesuffix(".exe").rstrip("0123456789.") in ("python", "pypy")
    return settings.program_name(command[1:] if is_python else command)
