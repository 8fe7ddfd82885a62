"""Fixtures for tests of what is observed.

``observed``
    A list of the observations that have ended, in that order. All of the catalog is on.
    Observers, context, the counts of errors and losses are as new, before and after.

``toy(name, source) -> module``
    Make a module of that name importable, import it and forget it after the test.

``broken``
    The places where obskit has contained an error of its own, and how often.

``far_end``, ``tls_far_end``, ``proxy``, ``silent``, ``only_localhost_is_foreign``
    The far end of outgoing calls, as `far_end.py` says.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from obskit import health, instrumentation
from obskit.instrumentation import _imports, _ledger
from obskit.observation import Observation
from tests.instrumentation.far_end import (  # noqa: F401 - fixtures
    far_end,
    only_localhost_is_foreign,
    proxy,
    silent,
    tls_far_end,
)


@pytest.fixture(autouse=True)
def clean(floor: None) -> None:
    """Begin and end without context, observers, policy and counts."""


@pytest.fixture
def observed(ended: list[Observation]) -> Iterator[list[Observation]]:
    """Switch everything on and give the observations that have ended."""
    instrumentation.instrument()
    yield ended
    instrumentation.uninstrument()


@pytest.fixture
def broken() -> dict[str, int]:
    """Give the counts of contained errors."""
    return health.internal_errors


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Path]]:
    """Give what writes a module that can be imported until the test ends."""
    made: list[str] = []
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name: str, source: str) -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(source, encoding="utf-8")
        made.append(name)
        return path

    yield make
    for name in made:
        sys.modules.pop(name, None)
        _imports._waiting.pop(name, None)
    _ledger._foreign.clear()


@pytest.fixture
def library(toy: Callable[[str, str], Path]) -> Callable[[str, str], ModuleType]:
    """Give what writes and imports a module."""
    from importlib import import_module

    def make(name: str, source: str) -> Any:
        toy(name, source)
        return import_module(name)

    return make
