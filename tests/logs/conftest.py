"""Fixtures for tests of the log.

``logged``
    The log writes to a file, and is taken back after the test. ``logged.lines`` are the lines
    so far, strictly parsed; ``logged.line`` is the only one; ``logged.configure(**settings)``
    changes settings; ``logged.path`` is the file. Context, clock and counts are as new.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from obskit import clock, context, health, logs, settings
from tests.logs.torture import strict


class Logged:
    """A log that is written to a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._settings: dict[str, Any] = {"service": "shop", "log_stream": str(path)}
        self.configure()

    def configure(self, **changes: Any) -> None:
        """Change settings."""
        self._settings.update(changes)
        logs.configure(settings.resolve(self._settings, {}, "/"))

    @property
    def raw(self) -> bytes:
        """What stands in the file."""
        return self.path.read_bytes() if self.path.exists() else b""

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines so far."""
        return [strict(line) for line in self.raw.splitlines(keepends=True)]

    @property
    def line(self) -> dict[str, Any]:
        """The only line."""
        [line] = self.lines
        return line


@pytest.fixture
def logged(floor: None, tmp_path: Path) -> Iterator[Logged]:
    """Give a log in a file."""
    yield Logged(tmp_path / "log")
    logs.undo()
    context.attach(None)
    clock.attach(None)
    health.reset()
