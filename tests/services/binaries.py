"""Find the real servers and tools; the table of them is in scripts/services."""

import importlib.util
import os
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def load_table() -> ModuleType:
    """Return scripts/services as a module."""
    loader = SourceFileLoader("obskit_scripts_services", str(ROOT / "scripts" / "services"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def require(name: str) -> str:
    """Return the path of the named program, or skip the test, or fail it if services are a must."""
    table = load_table()
    if name not in {row.name for row in table.SERVICES}:
        raise LookupError(f"{name!r} is not in the table of scripts/services")
    found: str | None = table.find(name)
    if found is not None:
        return found
    reason = f"{name} is not installed: scripts/services install {name}"
    if os.environ.get("OBSKIT_REQUIRE_SERVICES") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def service_binary() -> Callable[[str], str]:
    """Give the finder of real servers and tools."""
    return require
