import subprocess
import sys

from packaging.requirements import Requirement

from tests.source import ROOT


def test_every_dependency_is_pinned_to_its_lower_bound():
    """The constraints name one exact version of each base dependency and extra."""
    command = [sys.executable, ROOT / "scripts" / "oldest"]
    printed = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout
    pins = {pin.name: str(pin.specifier) for pin in map(Requirement, printed.splitlines())}

    assert {"structlog", "wrapt", "fastapi", "gunicorn"} <= pins.keys()
    assert all(version.startswith("==") for version in pins.values())
