"""The public surface."""

import subprocess
import sys

import pytest

import obskit


def python(code):
    """Run *code* in a new interpreter and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_obskit_imports_none_of_its_rooms():
    """`import obskit` alone costs nothing."""
    before = "import sys; before = set(sys.modules); import obskit; "
    loaded = python(before + "print(*(set(sys.modules) - before))").split()

    assert "obskit" in loaded
    assert not [name for name in loaded if name.startswith("obskit.")]


def test_a_room_is_entered_when_one_of_its_names_is_used():
    """And no other room that is not needed."""
    code = "import sys, obskit; obskit.bind; print(*(m for m in sys.modules if 'obskit.' in m))"

    assert python(code).split() == ["obskit.context"]


def test_every_name_is_a_place():
    """What is announced is found, once, and stays the same object."""
    assert set(obskit._PLACES) | {"__version__"} == set(obskit.__all__)
    assert obskit.bind is obskit.bind
    assert obskit.__version__


def test_every_name_is_shown():
    """Completion in an interpreter finds them all."""

    assert set(obskit.__all__) <= set(dir(obskit))


def test_an_unknown_name_is_an_error_like_any_other():
    """With the name of the module and of what was asked for."""
    with pytest.raises(AttributeError, match=r"module 'obskit' has no attribute 'trace'"):
        obskit.trace  # noqa: B018


def test_star_import_brings_the_public_names():
    """Nobody should, everybody may."""
    code = "from obskit import *; print(bind.__name__, observe.__name__, init.__name__)"

    assert python(code).split() == ["bind", "observe", "init"]


@pytest.mark.parametrize("words", [("-m", "obskit"), ("-m", "obskit.__main__")])
def test_the_module_runs_the_command_line(words):
    """`python -m obskit` says how it is used, and ends as the command does."""
    done = subprocess.run(
        [sys.executable, *words, "--help"], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0
    assert "run" in done.stdout
    assert done.stderr == ""


def test_a_wrong_command_is_a_wrong_use():
    """Exit code 2, and the words that would be right."""
    done = subprocess.run(
        [sys.executable, "-m", "obskit", "trace"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert "trace" in done.stderr
    assert "Traceback" not in done.stderr
