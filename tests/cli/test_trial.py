"""A program that is run for a short time."""

import os
import sys
import time

import pytest

from obskit.cli import _trial
from tests.services.ports import accepts, reserve_port
from tests.services.processes import environment

SERVES = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header('X-Id', self.headers['X-Id']); self.end_headers()
    def log_message(self, *args): pass
HTTPServer(('127.0.0.1', int(sys.argv[1])), Hello).serve_forever()
"""


def plan(*words, **changes):
    """Return a plan to run this Python with some words."""
    chosen = {
        "environ": lambda streams: environment(None),
        "seconds": 20.0,
        "path": "/",
        "header": lambda: "X-Id",
        "metrics_port": None,
    }
    return _trial.Plan(sys.executable, [sys.executable, *words], **(chosen | changes))


def test_a_program_that_ends_leaves_output_and_exit_code():
    """Both streams are kept byte for byte."""
    script = r"import sys; sys.stdout.buffer.write(b'\xffa\n'); sys.stderr.write('b'); sys.exit(3)"
    trial = _trial.hold(plan("-c", script))

    assert (trial.stdout, trial.stderr, trial.exit_code) == (b"\xffa\n", b"b", 3)
    assert not trial.stopped
    assert trial.answers == []


def test_a_program_that_listens_is_asked_and_told_to_end():
    """Each request has an ID of its own, and nothing is left."""
    port = reserve_port()
    trial = _trial.hold(plan("-c", SERVES, str(port)))

    assert trial.ports == [port]
    assert trial.stopped
    assert not trial.killed
    assert [answer.status for answer in trial.answers] == [200] * _trial.REQUESTS
    assert all(answer.returned == (answer.sent,) for answer in trial.answers)
    assert len({answer.sent for answer in trial.answers}) == _trial.REQUESTS
    assert list(trial.pythons) == [trial.pid]
    assert not accepts(port)


def test_it_need_not_be_asked():
    """Without a path no request is sent."""
    trial = _trial.hold(plan("-c", SERVES, str(reserve_port()), path=None))

    assert trial.ports
    assert trial.answers == []


def test_a_program_that_does_neither_is_ended_after_the_time():
    """A worker without a port runs as long as was said, with its children."""
    script = (
        "import subprocess, sys, time;"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)']); time.sleep(99)"
    )
    begun = time.monotonic()
    trial = _trial.hold(plan("-c", script, seconds=0.5))

    assert trial.stopped
    assert trial.exit_code == -15
    assert time.monotonic() - begun < 20


def test_a_program_that_does_not_end_is_killed(monkeypatch):
    """Who ignores SIGTERM is not waited for."""
    monkeypatch.setattr(_trial, "GRACE", 0.5)
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(99)"
    trial = _trial.hold(plan("-c", script, seconds=2.0))

    assert trial.killed
    assert trial.exit_code == -9


def test_output_without_an_end_is_cut(monkeypatch):
    """A program that floods its stream fills no memory, and is not kept waiting."""
    monkeypatch.setattr(_trial, "MOST_KEPT", 100_000)
    trial = _trial.hold(plan("-c", "import sys; sys.stdout.write('x' * 1_000_000)"))

    assert trial.exit_code == 0
    assert trial.cut
    assert len(trial.stdout) < 200_000


def test_the_streams_are_known_before():
    """The environment can name the pipes that become the program's own."""
    told = []

    def environ(streams):
        told.extend(os.fstat(stream).st_ino for stream in streams)
        return environment(None)

    script = "import os; print(os.fstat(1).st_ino, os.fstat(2).st_ino)"
    trial = _trial.hold(plan("-c", script, environ=environ))

    assert list(map(int, trial.stdout.split())) == told


def test_what_cannot_be_started_raises(tmp_path):
    """The error of the system is the caller's, and no descriptor is left open."""
    before = len(os.listdir("/proc/self/fd"))
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF nonsense")
    broken.chmod(0o755)
    hopeless = plan()
    with pytest.raises(OSError):
        _trial.hold(
            _trial.Plan(str(broken), ["x"], hopeless.environ, 1.0, None, hopeless.header, None)
        )

    assert len(os.listdir("/proc/self/fd")) == before
