"""Know the program that runs: its name, and whose its streams are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import pairwise

from obskit.record import Record

# What `obskit run` tells the program that it starts, beside the settings.
LAUNCH = "OBSKIT_LAUNCH"
# What a process tells those that it starts: with whom they share their metrics.
FAMILY = "OBSKIT_METRICS_FAMILY"


class Launch(Record):
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


def colours(is_terminal: bool) -> bool:
    """Tell whether text for people is coloured, as NO_COLOR and FORCE_COLOR ask for it."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_terminal


def bequeath_launch(told: Launch) -> None:
    """Tell the processes that we start what *told* says in place of what we were told."""
    os.environ[LAUNCH] = str(told)


def inherited_family() -> str:
    """Return the name of the family that an ancestor shares its metrics with, or nothing."""
    return os.environ.get(FAMILY, "")


def bequeath_family(name: str | None) -> None:
    """Leave the *name* of our family to the processes that we start; None takes it back."""
    if name is None:
        os.environ.pop(FAMILY, None)
    else:
        os.environ[FAMILY] = name


# Names that manifests give to the downward API, the most usual one first.
_KUBERNETES = {
    "pod": ("POD_NAME", "K8S_POD_NAME", "MY_POD_NAME", "OTEL_RESOURCE_ATTRIBUTES_POD_NAME"),
    "namespace": ("POD_NAMESPACE", "K8S_NAMESPACE", "MY_POD_NAMESPACE"),
    "node": ("NODE_NAME", "K8S_NODE_NAME", "MY_NODE_NAME", "OTEL_RESOURCE_ATTRIBUTES_NODE_NAME"),
}


def kubernetes(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return pod, namespace and node as far as the downward API has put them in the environment."""
    environ = os.environ if environ is None else environ
    found = {
        field: next(filter(None, map(environ.get, variables)), None)
        for field, variables in _KUBERNETES.items()
    }
    return {field: value for field, value in found.items() if value}


def google_project(environ: Mapping[str, str] | None = None) -> str:
    """Return the ID of the Google Cloud project that the process belongs to, where it is said."""
    environ = os.environ if environ is None else environ
    return environ.get("GOOGLE_CLOUD_PROJECT", "")


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


def state_folder(environ: Mapping[str, str] | None = None) -> str:
    """Return the folder of obskit's spools below the user's state folder (XDG Base Directory)."""
    environ = os.environ if environ is None else environ
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        state = os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "obskit", "spool")
