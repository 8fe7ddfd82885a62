"""What ``obskit run`` hands to the program."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from obskit import settings
from obskit.cli import run
from tests.services.processes import environment
from tests.source import ROOT

SHOW = "import os, sys; print(os.getpid(), sys.argv[1:], sys.flags.utf8_mode)"


@pytest.fixture
def observed(start_process, obskit_command):
    """Give the starter of a program under obskit; lines go away, to a file."""

    def start(*words, env=None, **options):
        env = {"OBSKIT_LOG_STREAM": os.devnull, "OBSKIT_METRICS_PORT": "off", **(env or {})}
        return start_process(*obskit_command, "run", *words, env=env, **options)

    return start


def test_the_program_takes_the_place_of_the_command(observed):
    """Process ID and exit code are the program's own."""
    process = observed(
        "--", sys.executable, "-c", "import os, sys; print(os.getpid()); sys.exit(7)"
    )
    output = process.wait()

    assert int(output.stdout) == process.pid
    assert output.returncode == 7


def test_nothing_is_added_to_what_the_program_says(observed):
    """Where lines go elsewhere, both streams are byte for byte what the program wrote."""
    script = r"import sys; sys.stdout.buffer.write(b'a\xff\0\n'); sys.stderr.write('e')"
    output = observed("--", sys.executable, "-c", script).wait()

    assert output.stdout == b"a\xff\0\n"
    assert output.stderr == b"e"


def test_arguments_arrive_as_they_were_given(observed):
    """Options of the program are not options of obskit."""
    output = observed(sys.executable, "-X", "utf8", "-c", SHOW, "--service", "x", "--", "-h").wait()

    assert output.stdout.split(b" ", 1)[1] == b"['--service', 'x', '--', '-h'] 1\n"


def test_signals_reach_the_program(observed):
    """There is no process in between that could keep one back."""
    process = observed(
        "--", sys.executable, "-c", "print('up', flush=True); import time; time.sleep(60)"
    )
    process.wait_for(b"up")

    assert process.stop().returncode == -15


@pytest.mark.parametrize("launch", ["path", "module", "file", "executable", "folder"])
def test_every_way_to_start_python_works(observed, tmp_path, launch):
    """Scripts, modules, bare files, executables and folders have obskit in them."""
    script = tmp_path / "program.py"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nprint('obskit._bootstrap' in sys.modules, sys.argv[1])\n"
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.joinpath("__main__.py").write_text(script.read_text())
    script.chmod(0o755 if launch == "executable" else 0o644)
    words = {
        "path": [sys.executable, "program.py"],
        "module": [sys.executable, "-m", "program"],
        "file": ["program.py"],
        "executable": ["./program.py"],
        "folder": ["folder"],
    }
    output = observed(*words[launch], "argument", cwd=tmp_path).wait()

    assert output.stdout == b"True argument\n", output


def test_children_have_it_too(observed):
    """A Python that the program starts is observed like the program."""
    script = (
        "import subprocess, sys;"
        "inner = 'import sys; print(\"obskit._bootstrap\" in sys.modules)';"
        "subprocess.run([sys.executable, '-c', inner])"
    )
    assert observed(sys.executable, "-c", script).wait().stdout == b"True\n"


def test_the_users_own_path_is_kept(observed, tmp_path):
    """PYTHONPATH of the user still counts, behind ours, and our folder is not on sys.path."""
    tmp_path.joinpath("mine.py").write_text("value = 42")
    script = "import mine, sys; print(mine.value, [p for p in sys.path if '_autostart' in p])"
    path = os.pathsep.join((str(tmp_path), str(ROOT / "src")))

    assert (
        observed(sys.executable, "-c", script, env={"PYTHONPATH": path}).wait().stdout == b"42 []\n"
    )


def test_run_in_run_is_run(observed, obskit_command):
    """Starting it twice changes nothing."""
    script = "import os; print(os.environ['PYTHONPATH'].count('_autostart'))"
    output = observed(*obskit_command, "run", sys.executable, "-c", script).wait()

    assert output.stdout == b"1\n"


def test_options_become_settings(observed):
    """An option counts as environment, so it wins over the variable of the same name."""
    script = (
        "import obskit; s = obskit.status()['settings'];"
        "print(s['service'], s['log_level'], s['redact'])"
    )
    output = observed(
        "--service", "shop", "--log-level", "ERROR", "--set", "redact=iban,vat",
        "--", sys.executable, "-c", script, env={"OBSKIT_SERVICE": "other"},
    ).wait()  # fmt: skip

    assert output.stdout == b"shop ERROR ('iban', 'vat')\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "no program given"),
        (["--"], "no program given"),
        (["--set", "coffee=1", "x"], "--set coffee=1: must be NAME=VALUE"),
        (["--set", "redact", "x"], "--set redact: must be NAME=VALUE"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(words, says, refused):
    """What cannot be started is said in one line on stderr, before anything runs."""
    assert says in refused("run", *words)


@pytest.mark.parametrize("command", ["run", "doctor"])
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["no-such-program"], "no-such-program: not found"),
        (["/etc/passwd"], "/etc/passwd: is not executable"),
        (["--log-level", "LOUD", "x"], "OBSKIT_LOG_LEVEL='LOUD' must be a level"),
        (["--", "--service", "x"], "no option --service"),
    ],
)
def test_what_runs_a_program_refuses_the_same(command, words, says, refused):
    """The command that runs it for good, and the one that tries it."""
    assert says in refused(command, *words)


@pytest.mark.parametrize("command", ["run", "doctor"])
def test_a_program_of_another_format_is_wrong_use(command, broken_program, refused):
    """What the system refuses to execute is named with the reason."""
    assert f"cannot start {broken_program}" in refused(command, broken_program)


def test_the_programs_next_to_this_python_are_found(monkeypatch):
    """``/venv/bin/obskit run uvicorn`` works without an activated environment."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "executable", sys.executable)
    name = Path(sys.executable).name

    assert run.find([name, "-V"]) == (str(Path(sys.executable).parent / name), [name, "-V"])


@pytest.mark.parametrize("off", ["0", "false", "No", " off "])
def test_the_kill_switch_starts_the_bare_program(off):
    """With OBSKIT_ENABLED=0 the environment is handed on untouched."""
    environ = {"OBSKIT_ENABLED": off, "PYTHONPATH": "x"}

    assert run.environment(["python"], environ) == environ


@pytest.mark.parametrize(
    ("before", "after"), [("", []), ("/a", ["/a"]), (":/a::/b:", ["/a", "/b"])]
)
def test_an_empty_path_adds_no_current_folder(before, after):
    """An empty entry would make Python import from the current folder."""
    environ = run.environment(["python"], {"PYTHONPATH": before})

    assert environ["PYTHONPATH"].split(os.pathsep) == [str(run.AUTOSTART), *after]


def test_it_tells_whose_the_streams_are(tmp_path):
    """The program learns which files are its launcher's stdout and stderr."""
    with tmp_path.joinpath("lines").open("wb") as stream:
        chosen = {"OBSKIT_LOG_STREAM": f"fd:{stream.fileno()}"}
        told = settings.launch(run.environment(["python3.12", "-m", "shop"], chosen))
        names = [settings.stream_name(number) for number in (1, 2, stream.fileno())]

    assert told.program == "shop"
    assert list(told.streams) == names


def test_a_python_without_obskit_runs_the_program_all_the_same(observed, tmp_path):
    """Where obskit cannot be imported, one line on stderr says so, and the program runs."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    hidden.joinpath("obskit.py").write_text("raise ImportError('not here')")
    program = (
        "import os, sys;"
        f"path = os.environ['PYTHONPATH'].split(os.pathsep) + [{str(hidden)!r}];"
        "os.environ['PYTHONPATH'] = os.pathsep.join([path[0], path[-1]]);"
        "os.execv(sys.executable, [sys.executable, '-c', 'print(\"still here\")'])"
    )
    output = observed(sys.executable, "-c", program).wait()

    assert output.stdout == b"still here\n", output
    assert output.stderr.count(b"\n") == 1
    assert b"runs unobserved" in output.stderr


def test_a_bad_variable_does_not_stop_the_program(observed):
    """The service starts; the wrong value is a line in its log."""
    output = observed(
        sys.executable, "-c", "print('up')",
        env={"OBSKIT_TRUST": "everybody", "OBSKIT_LOG_STREAM": "stderr"},
    ).wait()  # fmt: skip

    assert output.stdout == b"up\n"
    assert b"OBSKIT_TRUST='everybody' must be auto or internal or edge" in output.stderr


CHILD = "import sys; print('obskit._bootstrap' in sys.modules)"


def test_spawned_children_of_multiprocessing_have_it_too(observed, tmp_path):
    """A process that multiprocessing starts anew is observed like the program."""
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, sys\n"
        "def work():\n"
        "    print('obskit._bootstrap' in sys.modules, flush=True)\n"
        "if __name__ == '__main__':\n"
        "    child = multiprocessing.get_context('spawn').Process(target=work)\n"
        "    child.start(); child.join(); print(child.exitcode)\n"
    )

    assert observed(sys.executable, "program.py", cwd=tmp_path).wait().stdout == b"True\n0\n"


def test_a_wrapper_that_starts_python_is_no_obstacle(observed, tmp_path):
    """Launchers such as uv, poetry and env start the program as a child of theirs."""
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\nenv GREETING=hi {sys.executable} "$@"\n')
    wrapper.chmod(0o755)

    assert observed("./wrapper", "-c", CHILD, cwd=tmp_path).wait().stdout == b"True\n"


def test_console_scripts_have_it(observed, tmp_path):
    """A script that pip has made is found beside this Python, and observed."""
    words = ("flask", "--app", "app", "show")
    tmp_path.joinpath("app.py").write_text(
        "import sys\nfrom flask import Flask\napp = Flask(__name__)\n"
        "@app.cli.command('show')\ndef show(): print('obskit._bootstrap' in sys.modules)\n"
    )

    assert observed(*words, cwd=tmp_path).wait().stdout == b"True\n"


def test_the_users_usercustomize_still_runs(observed, tmp_path):
    """Both of Python's start files of the user work under obskit as without it."""
    tmp_path.joinpath("usercustomize.py").write_text("import builtins; builtins.mine = 42")
    script = "import builtins, site; print(getattr(builtins, 'mine', None), site.ENABLE_USER_SITE)"
    path = os.pathsep.join((str(tmp_path), str(ROOT / "src")))
    plain = subprocess.run(
        [sys._base_executable, "-c", script],
        env=environment({"PYTHONPATH": path}), capture_output=True, check=True, timeout=20,
    ).stdout  # fmt: skip
    there = os.pathsep.join((path, *filter(None, sys.path)))
    output = observed(sys._base_executable, "-c", script, env={"PYTHONPATH": there}).wait()

    assert output.stdout == plain
    assert output.stdout.startswith((b"42 True", b"None"))


def test_a_folder_that_is_no_program_is_wrong_use(tmp_path, refused):
    """A folder needs a __main__.py, and a text file the right to be run."""
    tmp_path.joinpath("notes.txt").write_text("no program")

    assert "is a folder without __main__.py" in refused("run", str(tmp_path))
    assert "is not executable" in refused("run", str(tmp_path / "notes.txt"))


def test_a_text_file_that_may_be_run_is_run_as_a_shell_would(tmp_path, refused):
    """Where the system knows no format, the reason is one line."""
    text = tmp_path / "notes"
    text.write_text("no program\n")
    text.chmod(0o755)

    assert "cannot start" in refused("run", str(text))


def test_what_only_root_may_read_is_wrong_use(tmp_path, refused, monkeypatch):
    """A file that cannot be looked into is no reason for a traceback."""
    secret = tmp_path / "secret"
    secret.write_text("#!/usr/bin/python")

    def refuse(path, mode):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(run, "open", refuse, raising=False)

    assert "is not executable" in refused("run", str(secret))


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "2>&-", "<&-"])
def test_what_is_closed_or_full_is_the_programs_affair(obskit_command, redirection):
    """obskit prints nothing itself: the program ends as it would without it."""
    program = "import os; os._exit(7)"
    command = shlex.join([*obskit_command, "run", "--", sys.executable, "-c", program])
    ended = subprocess.run(
        ["bash", "-c", f"{command} {redirection}"],
        env=environment({"OBSKIT_METRICS_PORT": "off"}), capture_output=True, timeout=60,
        check=False,
    )  # fmt: skip

    assert ended.returncode == 7, ended.stderr
    assert b"Traceback" not in ended.stderr
