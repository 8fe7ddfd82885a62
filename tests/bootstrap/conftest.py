"""Fixtures for tests of the start.

``started``
    ``started(**settings)`` calls `init` with a log in a file; ``started.lines`` are its lines.
    Everything is undone after the test, and the environment has no settings of ours.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from obskit import _bootstrap, health
from tests.logs.torture import strict

QUIET = {"metrics_port": "off", "capture": False, "instrument": ("none",)}


class Started:
    """A process in which obskit was switched on."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, service: str | None = "shop", **settings: Any) -> None:
        _bootstrap.init(service, **{"log_stream": str(self.path), **QUIET, **settings})

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines so far."""
        raw = self.path.read_bytes() if self.path.exists() else b""
        return [strict(line) for line in raw.splitlines(keepends=True)]

    @property
    def messages(self) -> list[str]:
        """The messages so far."""
        return [line["message"] for line in self.lines]


@pytest.fixture
def started(floor: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    """Give the switch."""
    for name in [name for name in os.environ if name.startswith(("OBSKIT_", "OTEL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    yield Started(tmp_path / "log")
    _bootstrap.undo()
    health.reset()
