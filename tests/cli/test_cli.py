"""The command ``obskit`` itself."""

import io
import json
import os
import re
import shlex
import subprocess
import sys

import pytest

import obskit
from obskit.cli import COMMANDS, main, parser_of
from tests.services.processes import environment
from tests.source import ROOT
from tests.story.scenes import failing_order

PAGE = ROOT / "docs" / "reference" / "cli.md"


def test_without_a_command_it_says_what_there_is(capsys):
    """Who types the name only gets the list, and the exit code of wrong use."""
    assert main([]) == 2
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]])
def test_help_is_no_error(words, capsys):
    """Who asks for help gets it with exit code 0."""
    assert main(words) == 0
    assert "obskit COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_it_says_its_version(word, capsys):
    """The version is that of the library."""
    assert main([word]) == 0
    assert capsys.readouterr().out == f"obskit {obskit.__version__}\n"


@pytest.mark.parametrize(
    ("word", "guess"), [("rum", "obskit run"), ("docter", "obskit doctor"), ("xyz", "--help")]
)
def test_an_unknown_command_gets_a_guess(word, guess, capsys):
    """Who mistypes a command is told which one was meant."""
    assert main([word]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert guess in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize("name", ["run", "doctor"])
def test_a_wrong_option_is_one_line_and_exit_code_2(name, capsys):
    """Wrong use has no wall of text."""
    assert main([name, "--nonsense"]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "--nonsense" in shown


COMMAND_LINES = {
    "overview": ["--help"],
    "help": ["story", "--help"],
    "version": ["--version"],
    "story": ["story", "op-1", "LOG"],
    "table": ["story", "LOG"],
    "doctor": ["doctor", "--metrics-port", "off"],
}


@pytest.fixture
def into(obskit_command, tmp_path):
    """Give what runs a command line with a stdout of a shell's making."""
    log = tmp_path / "lines.log"
    log.write_text("".join(json.dumps(line) + "\n" for line in failing_order().lines))

    def run(words, redirection):
        command = shlex.join(
            [*obskit_command, *(str(log) if word == "LOG" else word for word in words)]
        )
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", f"{command} {redirection}"],
            env=environment({}), cwd=tmp_path, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip

    return run


@pytest.mark.parametrize("name", COMMAND_LINES)
@pytest.mark.parametrize(
    ("redirection", "why"), [(">/dev/full", "No space left on device"), (">&-", "it is closed")]
)
def test_an_answer_that_does_not_get_out_is_said(into, name, redirection, why):
    """In one line, with the exit code of wrong use: nobody may take it for an answer."""
    ended = into(COMMAND_LINES[name], redirection)

    assert ended.stderr == f"obskit: cannot write to stdout: {why}\n"
    assert ended.returncode == 2


@pytest.mark.parametrize("name", COMMAND_LINES)
def test_a_reader_that_has_seen_enough_is_no_error(into, name):
    """``obskit story | head -1`` ends quietly, also where the reader has not even begun."""
    ended = into(COMMAND_LINES[name], "| head -1")
    assert ended.stderr == ""
    assert ended.stdout.count("\n") == 1
    ended = into(COMMAND_LINES[name], "| true")
    assert (ended.stdout, ended.stderr) == ("", "")
    assert ended.returncode in (0, 1)


def test_wrong_use_is_wrong_use_where_nothing_is_heard(into):
    """A closed stderr is no reason to fail in another way."""
    ended = into(["rum"], "2>&-")

    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", "")


def test_only_the_command_that_is_called_is_imported(obskit_command):
    """The other commands cost nothing, nor does the library."""
    script = (
        "import sys; from obskit.cli import main; main(['--version']);"
        "print([m for m in sys.modules if m.startswith('obskit')])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        timeout=20,
        check=True,
    )
    found = set(shown.stdout.splitlines()[1].strip("[]").replace("'", "").split(", "))
    floor = {"obskit", "obskit.fields", "obskit.record"}
    assert found <= floor | {"obskit.cli", "obskit.cli._output"}


def test_the_module_is_the_command(obskit_command):
    """``python -m obskit`` works where the script is not on the path."""
    shown = subprocess.run(
        [sys.executable, "-m", "obskit", "--version"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        timeout=20,
        check=True,
    )
    assert shown.stdout == f"obskit {obskit.__version__}\n"


@pytest.mark.parametrize("name", ["run", "doctor"])
def test_the_reference_page_names_every_option(name):
    """The page on commands has what --help has."""
    section = PAGE.read_text(encoding="utf-8").partition(f"## obskit {name}\n")[2]
    section = section.partition("\n## ")[0]
    help_ = io.StringIO()
    parser_of(name).print_help(help_)
    options = set(re.findall(r"(?<!\S)--[a-z][a-z-]+", help_.getvalue())) - {"--help"}

    assert options
    assert options <= set(re.findall(r"--[a-z][a-z-]+", section))
