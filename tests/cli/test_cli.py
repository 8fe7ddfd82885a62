"""The command ``obskit`` itself."""

import io
import os
import re
import subprocess
import sys

import pytest

import obskit
from obskit.cli import COMMANDS, main, parser_of
from tests.source import ROOT

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


def test_a_reader_that_has_seen_enough_is_no_error(obskit_command):
    """``obskit --help | head -1`` ends quietly."""
    process = subprocess.Popen(
        [*obskit_command, "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(20) in (0, 120)
    process.stderr.close()


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
    assert shown.stdout.splitlines()[1] == "['obskit', 'obskit.cli', 'obskit.fields']"


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
