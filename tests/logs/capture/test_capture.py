"""What is captured under which settings, and how all is put back."""

import json
import logging
import os
import subprocess
import sys
import threading
import traceback
import warnings

import pytest

from obskit import settings
from obskit.logs import capture, pipeline
from obskit.logs.capture import Plan, console
from obskit.settings import Settings

BOTH = ("stdout", "stderr")
ALL = Plan(BOTH, BOTH, is_beside=False)


@pytest.fixture
def names(monkeypatch):
    """Give a setter of what stdout and stderr are open for, and whether lines are JSON."""

    def put(stdout, stderr, *, is_json=True):
        found = {1: stdout, 2: stderr}
        monkeypatch.setattr(settings, "stream_name", found.__getitem__)
        monkeypatch.setattr(pipeline, "is_json", lambda: is_json)

    return put


@pytest.mark.parametrize(
    ("stream", "stdout", "stderr", "launcher", "plan"),
    [
        ("stdout", "a", "b", (), ALL),
        ("stdout", "a", "b", ("a", "b"), ALL),
        ("stderr", "a", "b", (), Plan(("stderr",), BOTH, is_beside=False)),
        ("stderr", "a", "a", (), ALL),
        ("stderr", "pipe", "b", ("a", "b"), Plan(("stderr",), ("stderr",), is_beside=False)),
        ("stdout", "", "b", (), Plan(("stderr",), ("stderr",), is_beside=False)),
        ("stdout", "a", "", (), Plan(("stdout",), ("stdout",), is_beside=False)),
        ("/var/log/shop", "a", "b", (), Plan((), BOTH, is_beside=True)),
        ("fd:7", "a", "b", (), Plan((), BOTH, is_beside=True)),
    ],
)
def test_what_is_printed_is_taken_where_lines_go(names, stream, stdout, stderr, launcher, plan):
    """The table of the documentation, with streams that are closed, read or the same."""
    names(stdout, stderr)

    assert capture._plan(Settings(log_stream=stream), launcher) == plan


def test_for_people_prints_stay_as_they_are(names):
    """In the console format only records and errors are taken."""
    names("a", "a", is_json=False)

    assert capture._plan(Settings(), ()) == Plan((), BOTH, is_beside=False)


PLACES = [
    (sys, "stdout"), (sys, "stderr"), (sys, "__stdout__"), (sys, "__stderr__"),
    (sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook"),
    (warnings, "showwarning"), (logging.Logger, "callHandlers"),
    (logging.StreamHandler, "handle"), (logging.Handler, "handleError"),
    (traceback.TracebackException, "print"),
]  # fmt: skip


@pytest.mark.parametrize("stream", ["stdout", "lines.log"])
def test_undone_all_is_as_before(tmp_path, stream):
    """Each place that was hooked has what it had."""
    to = stream if stream == "stdout" else str(tmp_path / stream)
    before = [getattr(*place) for place in PLACES]
    pipeline.configure(Settings(log_stream=to))
    try:
        capture.configure(Settings(log_stream=to), ())
        during = [getattr(*place) for place in PLACES]
    finally:
        capture.undo()
        pipeline.undo()

    assert [getattr(*place) for place in PLACES] == before
    assert during != before
    assert not console._known


def test_without_capture_nothing_is_hooked():
    """One setting switches it off."""
    before = [getattr(*place) for place in PLACES]
    capture.configure(Settings(capture=False), ())

    assert [getattr(*place) for place in PLACES] == before


def said(source, **env):
    """Run a program that imports obskit; return what it wrote to stdout and stderr."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OBSKIT_", "PYTHON"))}
    path = os.path.join(os.path.dirname(__file__), "..", "..", "..", "src")
    env = clean | {"PYTHONPATH": path, "OBSKIT_METRICS_PORT": "off"} | env
    done = subprocess.run(
        [sys.executable, "-c", source], env=env, capture_output=True, timeout=60, check=True
    )
    return done.stdout.decode(), done.stderr.decode()


def messages(text):
    """Return the messages of lines."""
    return [json.loads(line)["message"] for line in text.splitlines()]


def test_streams_that_somebody_keeps_go_on_after_undoing():
    """A handler that was made with the stand-in writes text again, then lines again."""
    out, err = said(
        "import logging, obskit, sys\n"
        "from obskit import _bootstrap\n"
        "obskit.init()\n"
        "handler = logging.StreamHandler(sys.stdout)\n"
        "logging.getLogger().addHandler(handler)\n"
        "logging.error('a line')\n"
        "_bootstrap.undo()\n"
        "logging.error('text')\n"
        "print('text, too', flush=True)\n"
        "obskit.init(service='again')\n"
        "logging.error('once more a line')\n"
        "print('so is this')\n"
    )
    lines = out.splitlines()

    assert err == ""
    assert lines[2:4] == ["text", "text, too"]
    rest = [json.loads(line)["message"] for line in lines[:2] + lines[4:]]
    assert rest == [
        "process started", "a line", "process started", "once more a line", "so is this",
    ]  # fmt: skip


def test_settings_can_change_while_the_program_runs():
    """From lines on stdout to lines on stderr; nothing is said twice."""
    out, err = said(
        "import obskit, sys\n"
        "obskit.init()\n"
        "print('one')\n"
        "obskit.init(log_stream='stderr')\n"
        "print('two')\n"
        "print('three', file=sys.stderr)\n"
    )

    assert [json.loads(line)["message"] for line in out.splitlines()[:2]] == [
        "process started", "one",
    ]  # fmt: skip
    assert out.splitlines()[2:] == ["two"]
    assert messages(err) == ["settings changed", "three"]


def test_a_stand_in_of_somebody_elses_is_left_alone():
    """A stream that is none of the system's stays where it is, and so does its text."""
    out, _ = said(
        "import io, obskit, sys\n"
        "real, sys.stdout = sys.stdout, io.StringIO()\n"
        "obskit.init()\n"
        "print('kept')\n"
        "assert sys.stdout.getvalue() == 'kept\\n'\n"
        "real.write('from __stdout__')\n"
        "real.flush()\n"
    )

    assert "kept" not in out


def test_flasks_own_handler_is_passed_over():
    """It writes to the error stream of the server, wherever that leads."""
    pytest.importorskip("flask")
    out, err = said(
        "import logging, obskit\n"
        "obskit.init()\n"
        "import flask.logging\n"
        "logging.getLogger('shop').addHandler(flask.logging.default_handler)\n"
        "logging.getLogger('shop').error('once')\n"
    )

    assert messages(out) == ["process started", "once"]
    assert err == ""


def test_what_c_code_writes_is_captured_on_demand_and_put_back():
    """Behind the end of capturing the descriptor is what it was."""
    out, _ = said(
        "import obskit, os\n"
        "from obskit import _bootstrap\n"
        "obskit.init()\n"
        "os.write(1, b'captured\\n')\n"
        "obskit.shutdown()\n"
        "_bootstrap.undo()\n"
        "os.write(1, b'raw\\n')\n",
        OBSKIT_CAPTURE_FD="1",
    )
    lines = out.splitlines()

    assert messages("\n".join(lines[:2])) == ["process started", "captured"]
    assert lines[2:] == ["raw"]


def test_a_fork_in_the_middle_of_a_line_doubles_nothing():
    """What is unfinished is the parent's to write."""
    out, _ = said(
        "import obskit, os\n"
        "obskit.init()\n"
        "print('begun', end=' ')\n"
        "if os.fork() == 0:\n"
        "    print('by the child')\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "print('and ended')\n"
    )

    assert messages(out) == ["process started", "by the child", "begun and ended"]
