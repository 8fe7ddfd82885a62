import subprocess

import pytest

from tests.services.processes import ROOT

SCRIPT = ROOT / "scripts" / "pythons"


@pytest.fixture
def machine(tmp_path):
    """Give a maker of machines that have only the given Pythons, and the script run there."""
    for name in ("awk", "sh", "sort"):
        tool = subprocess.run(["which", name], capture_output=True, check=True, text=True).stdout
        tmp_path.joinpath(name).symlink_to(tool.strip())

    def run(*args, **pythons):
        for name, version in pythons.items():
            program = tmp_path / name.replace("_", ".")
            answer = f'echo "{version} {program}"' if version else "exit 1"
            program.write_text(f"#!/bin/sh\n{answer}\n")
            program.chmod(0o755)
        return subprocess.run(
            ["sh", SCRIPT, *args],
            env={"PATH": str(tmp_path)},
            capture_output=True,
            check=False,
            text=True,
            timeout=30,
        )

    return run


def test_the_newest_verified_python_is_chosen(machine, tmp_path):
    """A version that obskit was not tested on is used only where there is no other."""
    found = machine("--newest", python3_14="3.14", python3_12="3.12", python3_11="3.11")
    assert found.stdout == f"{tmp_path}/python3.12\n"


def test_a_newer_python_is_better_than_none(machine, tmp_path):
    """A machine with nothing but a newer Python works too."""
    assert machine("--newest", python3_14="3.14").stdout == f"{tmp_path}/python3.14\n"


def test_all_pythons_are_listed_newest_first(machine, tmp_path):
    """One version found under two names is listed once."""
    found = machine(python3="3.11", python3_11="3.11", python3_13="3.13")

    assert found.stdout == f"3.13 {tmp_path}/python3.13\n3.11 {tmp_path}/python3.11\n"


def test_a_python_that_does_not_run_or_is_too_old_is_left_out(machine):
    """The person learns what is needed and how to name a Python."""
    found = machine("--newest", python3="", python3_13="")

    assert found.returncode == 1
    assert found.stdout == ""
    assert "needs Python 3.11 or newer with venv" in found.stderr
    assert "make PYTHON=" in found.stderr
