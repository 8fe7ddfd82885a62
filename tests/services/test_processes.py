import os
import signal
import sys
import time

import pytest

from tests.services.processes import bare_environment

CHILD_THAT_STAYS = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("child", child.pid, flush=True)
time.sleep(60)
"""


def is_alive(pid):
    """Tell whether a process runs; one that only waits to be reaped does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("capture", ["pipe", "file"])
def test_both_streams_are_kept_byte_for_byte(start_process, capture):
    """Nothing is decoded, stripped or mixed."""
    script = "import os; os.write(1, b'\\xff a\\r\\n' * 50000); os.write(2, b'b\\0')"
    output = start_process(sys.executable, "-c", script, capture=capture).wait()

    assert output.returncode == 0
    assert output.stdout == b"\xff a\r\n" * 50000
    assert output.stderr == b"b\0"


@pytest.mark.parametrize("capture", ["pipe", "file", "tty"])
def test_the_child_writes_to_the_kind_of_stream_that_was_asked_for(start_process, capture):
    """A program that looks at its descriptor sees a pipe, a file or a terminal."""
    script = (
        "import os, stat; mode = os.fstat(1).st_mode;"
        "print('tty' if os.isatty(1) else 'pipe' if stat.S_ISFIFO(mode) else 'file')"
    )
    output = start_process(sys.executable, "-c", script, capture=capture).wait()

    assert output.stdout.strip() == capture.encode()


def test_merged_streams_keep_their_order(start_process):
    """With merge both streams are one descriptor."""
    script = "import os; os.write(2, b'1'); os.write(1, b'2'); os.write(2, b'3')"
    output = start_process(sys.executable, "-c", script, merge=True).wait()

    assert (output.stdout, output.stderr) == (b"123", b"")


def test_standard_input_is_given_and_ends(start_process):
    """A program that reads all of its input comes to the end of it."""
    script = "import sys; print(len(sys.stdin.buffer.read()))"
    output = start_process(sys.executable, "-c", script, stdin=b"x" * 100_000).wait()

    assert output.stdout == b"100000\n"


def test_the_environment_is_clean_and_can_be_changed(start_process, monkeypatch):
    """Settings of the person who runs the tests do not reach the child; those of the test do."""
    monkeypatch.setenv("OBSKIT_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "tests")
    monkeypatch.setenv("KEPT", "1")
    script = (
        "import os; print(sorted(k for k in os.environ if k[:5] in ('OBSKI', 'OTEL_', 'KEPT')))"
    )
    env = {"OBSKIT_SERVICE": "invoice", "HOME": None}
    output = start_process(sys.executable, "-c", script, env=env).wait()

    assert output.stdout == b"['KEPT', 'OBSKIT_SERVICE']\n"


def test_a_bare_environment_has_nothing_of_ours(monkeypatch, tmp_path):
    """A server finds programs and its own folder; no other name is passed on."""
    monkeypatch.setenv("STORAGE_TYPE", "elasticsearch")
    env = bare_environment(tmp_path, PORT="1")

    assert set(env) == {"HOME", "LC_ALL", "PATH", "PORT"}
    assert env["HOME"] == str(tmp_path)


def test_obskit_is_importable_in_the_child(start_process):
    """A child imports the same source tree as the tests."""
    output = start_process(sys.executable, "-c", "import obskit; print(obskit.__name__)").wait()

    assert output.stdout == b"obskit\n"


def test_the_command_line_can_be_started(start_process, obskit_command):
    """The words given are those of a working program."""
    output = start_process(*obskit_command, "--help").wait()

    assert output.returncode == 0
    assert b"obskit" in output.stdout


def test_wait_for_finds_output_while_the_process_runs(start_process):
    """A test can act at a moment that the output shows."""
    script = "import time; print('ready: 42', flush=True); time.sleep(60)"
    process = start_process(sys.executable, "-c", script)
    match = process.wait_for(rb"ready: (\d+)")

    assert match[1] == b"42"
    assert process.running
    assert process.stop().returncode == -signal.SIGTERM


def test_wait_for_raises_with_the_output_when_the_process_ends_early(start_process):
    """A crash at start is shown at once instead of after the time limit."""
    process = start_process(sys.executable, "-c", "raise SystemExit('no disk')")

    with pytest.raises(AssertionError, match="no disk"):
        process.wait_for(rb"ready")


def test_wait_raises_when_the_process_does_not_end(start_process):
    """A program that hangs is killed, and the error shows what it wrote."""
    script = "import time; print('stuck here', flush=True); time.sleep(60)"
    process = start_process(sys.executable, "-c", script)
    process.wait_for(b"stuck")

    with pytest.raises(TimeoutError, match="stuck here"):
        process.wait(timeout=0.2)
    assert not process.running


def test_children_of_a_process_end_with_it(start_process):
    """A grandchild does not outlive the test."""
    process = start_process(sys.executable, "-c", CHILD_THAT_STAYS)
    child = int(process.wait_for(rb"child (\d+)")[1])
    process.stop()
    deadline = time.monotonic() + 5.0
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert not is_alive(child)


def test_what_a_test_leaves_running_is_killed(left_running):
    """A test that fails in the middle leaves no process and no descriptor."""
    pid, descriptors_before, descriptors_after = left_running

    assert not is_alive(pid)
    assert descriptors_after == descriptors_before


@pytest.fixture
def left_running(request):
    """Start a process by the fixture's own generator, and end that as pytest does."""
    from tests.services import processes

    maker = processes.start_process.__wrapped__(request.getfixturevalue("tmp_path"))
    before = len(os.listdir("/proc/self/fd"))
    process = next(maker)(sys.executable, "-c", "import time; time.sleep(60)")
    assert is_alive(process.pid)
    next(maker, None)
    return process.pid, before, len(os.listdir("/proc/self/fd"))
