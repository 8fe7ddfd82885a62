"""What Python runs first in a program under ``obskit run``."""

import os
import sys

import pytest

from tests.source import ROOT

QUIET = {"OBSKIT_LOG_STREAM": os.devnull, "OBSKIT_METRICS_PORT": "off"}


@pytest.fixture
def observed(start_process, obskit_command, tmp_path):
    """Give the starter of a script with a folder of the user's own on PYTHONPATH."""

    def start(script, env=None):
        path = os.pathsep.join((str(tmp_path), str(ROOT / "src")))
        env = QUIET | {"PYTHONPATH": path} | (env or {})
        return start_process(*obskit_command, "run", sys.executable, "-c", script, env=env)

    return start


def test_the_users_own_start_file_still_runs(observed, tmp_path):
    """Our start file hides the user's one from Python, and imports it in its place."""
    tmp_path.joinpath("sitecustomize.py").write_text("import builtins; builtins.mine = 42")
    script = "import sys; print(mine, sys.modules['sitecustomize'].__file__)"

    output = observed(script).wait()

    assert output.stdout.decode() == f"42 {tmp_path / 'sitecustomize.py'}\n"


def test_an_error_in_it_is_shown_as_python_shows_it(observed, tmp_path, start_process):
    """A broken start file of the user neither stops the program nor goes unnoticed."""
    tmp_path.joinpath("sitecustomize.py").write_text("raise RuntimeError('broken start')")
    path = os.pathsep.join((str(tmp_path), str(ROOT / "src")))
    bare = start_process(sys.executable, "-c", "print('up')", env={"PYTHONPATH": path}).wait()

    output = observed("print('up')").wait()

    assert output.stdout == bare.stdout == b"up\n"
    assert b"broken start" in bare.stderr
    assert output.stderr == bare.stderr * 2  # the command itself is a Python too


def test_without_one_nothing_is_missing(observed):
    """A program may import sitecustomize whether or not the user has one."""
    output = observed("import sitecustomize, sys; print(len(sys.path) > 0)").wait()

    assert output.stdout == b"True\n"
    assert output.stderr == b""


def test_a_module_missing_in_it_is_an_error_of_its_own(observed, tmp_path):
    """Only the absence of the file itself is normal."""
    tmp_path.joinpath("sitecustomize.py").write_text("import no_such_module")

    assert b"no_such_module" in observed("print('up')").wait().stderr


def test_the_kill_switch_imports_nothing(observed):
    """A child with OBSKIT_ENABLED=0 has no part of obskit in it."""
    script = (
        "import os, subprocess, sys; os.environ['OBSKIT_ENABLED'] = '0';"
        "subprocess.run([sys.executable, '-c',"
        " 'import sys; print([m for m in sys.modules if \"obskit\" in m])'])"
    )
    assert observed(script).wait().stdout == b"[]\n"


@pytest.mark.parametrize("option", ["-S", "-I", "-E"])
def test_options_that_hide_it_leave_the_program_bare(start_process, obskit_command, option):
    """Python options that ignore PYTHONPATH or site switch obskit off, and break nothing."""
    output = start_process(
        *obskit_command, "run", sys.executable, option, "-c",
        "import sys; print('obskit' in sys.modules)", env=QUIET,
    ).wait()  # fmt: skip

    assert output.stdout == b"False\n"
    assert output.returncode == 0
