"""Find out the value of each setting, and where it came from."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from obskit.errors import SettingError
from obskit.settings.parse import shown
from obskit.settings.program import FAMILY, LAUNCH, launch, program_name
from obskit.settings.table import FIELDS, PREFIX, Settings, environment_name

# Ours, but no settings.
FOREIGN = frozenset({FAMILY, LAUNCH, "OBSKIT_REQUIRE_SERVICES"})


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
        return FIELDS[name].parse(str(value).strip())
    except ValueError as error:
        text = shown(str(value))[:100]
        raise SettingError(f"{environment_name(name)}={text!r} {error}") from None


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
    tool = table.get("tool")
    section = tool.get("obskit") if isinstance(tool, dict) else None
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
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, brackets without end
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
    for name in known.keys() & values.keys():
        # A byte of the environment that is no UTF-8 could neither be written nor sent.
        values[name] = values[name].encode("utf-8", "backslashreplace").decode()


def _resource(text: str) -> dict[str, str]:
    if not text:
        return {}
    from urllib.parse import unquote

    pairs = (item.partition("=") for item in text.split(","))
    return {key.strip(): unquote(value.strip()) for key, _, value in pairs if value}
