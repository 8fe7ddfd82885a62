"""Fixtures for tests of the command line.

``refused(*words) -> str``
    Call a command that refuses what it is told: one line on stderr, nothing on stdout, and exit
    code 2. It returns the line.

``broken_program``
    The path of a file that looks like a program and that the system does not start.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from obskit.cli import main


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Give what calls a command in vain."""

    def call(*words: str) -> str:
        assert main(list(words)) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.count("\n") == 1, shown.err
        return shown.err

    return call


@pytest.fixture
def broken_program(tmp_path: Path) -> str:
    """Give a program of a format that no system knows."""
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF nonsense")
    broken.chmod(0o755)
    return str(broken)
