"""The command ``obskit``: one file a command, imported only when it is called."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from obskit.cli import _output
from obskit.cli._output import Unwritten

__all__ = ["COMMANDS", "main", "parser_of"]

COMMANDS: dict[str, str] = {
    "run": "run a program fully instrumented, without a change to its code",
    "doctor": "run a program and say what is observed, what is not, and why",
    "story": "show one operation in causal order, and who is to blame",
    "hops": "show on which edges between services the ID or the clock gets lost",
    "ship": "send the lines of any program, and what waits in the spool, to a backend",
    "fields": "show the fields that services write, their types, and where they disagree",
    "demo": "show a mystery in a shop of several services, then solve it",
}

WELL, BAD_NEWS, WRONG_USE = 0, 1, 2


class _Parser(argparse.ArgumentParser):
    """Say what is wrong in one line, and where help is."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(WRONG_USE, f"{self.prog}: {message} (see {self.prog} --help)\n")

    def print_help(self, file: Any = None) -> None:
        if file is None:
            _output.write(self.format_help())
        else:
            super().print_help(file)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 well, 1 bad news, 2 wrong use.

    Args:
        argv: The words after ``obskit``; those of this process by default.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if sys.stderr is None:  # closed by who has started us; a file would get its number
        sys.stderr = io.StringIO()
    try:
        code = _main(words)
        _output.finish()
        return code
    except Unwritten as error:
        _output.give_up()
        if not error.reason:  # the reader, such as head, has seen enough
            return WELL
        sys.stderr.write(f"obskit: cannot write to stdout: {error.reason}\n")
        return WRONG_USE
    except KeyboardInterrupt:
        return 130


def _main(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        _output.write(_overview())
        return WELL if words else WRONG_USE
    if words[0] in ("-V", "--version"):
        from obskit.fields import VERSION

        _output.write(f"obskit {VERSION}\n")
        return WELL
    name, *rest = words
    if name not in COMMANDS:
        sys.stderr.write(f"obskit: {_unknown(name)}\n")
        return WRONG_USE
    try:
        arguments = parser_of(name).parse_args(rest)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else WELL
    result: int = import_module(f"obskit.cli.{name}").run(arguments)
    return result


def parser_of(name: str) -> argparse.ArgumentParser:
    """Return the parser of the command *name*."""
    parser = _Parser(
        prog=f"obskit {name}",
        description=COMMANDS[name][0].upper() + COMMANDS[name][1:] + ".",
        allow_abbrev=False,
    )
    import_module(f"obskit.cli.{name}").add_arguments(parser)
    return parser


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {meaning}" for name, meaning in COMMANDS.items()]
    return "\n".join(
        [
            "usage: obskit COMMAND [OPTION...]",
            "",
            *lines,
            "",
            "obskit COMMAND --help says more; obskit --version says which one this is.",
            "Exit codes: 0 all well, 1 bad news, 2 wrong use.",
            "",
        ]
    )


def _unknown(name: str) -> str:
    import difflib

    if name.startswith("-"):
        return f"no option {name} (see obskit --help)"
    close = difflib.get_close_matches(name, COMMANDS, 1, 0.5)
    guess = f"did you mean obskit {close[0]}?" if close else "see obskit --help"
    return f"no command {name!r}; {guess}"
