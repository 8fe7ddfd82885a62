"""What init, shutdown, status and their like do to a process."""

import json
import logging
import os
import subprocess
import sys
import threading

import pytest

import obskit
from obskit import _bootstrap, health
from obskit._bootstrap import rooms
from obskit.errors import UnknownInstrumentation
from tests.logs.torture import strict

# What a start imports of obskit. Each module costs about 0.1 ms and 15 KiB: what only a request,
# a scrape or a rare error needs is imported by whoever needs it, not here.
START = {
    "": "_bootstrap clock context conventions errors fields health instrumentation logs metrics"
    " observation pattern pointers propagation record settings signals traces urls",
    "_bootstrap": "rooms",
    "instrumentation": "_answer _catalog _drive _imports _ledger _patch _served _wire threads",
    "logs": "bare capture constant exceptions facts formats frames kinds levels line logger losses"
    " pipeline redaction rendering secret shortcut shortening sinks stdlib summary writer",
    "logs.capture": "console errors handlers said servers streams tracebacks",
    "logs.formats": "json",
    "metrics": "budget catalogue exemplars family lifecycle locks red rows runtime server start"
    " values workers",
    "observation": "failure lifecycle outcome record",
    "propagation": "causal correlation inbound outgoing policy w3c",
    "settings": "parse program resolve table",
    "traces": "finished naming recorder sampling",
}
# And what more where FastAPI is imported before or afterwards, with all that it may bring along.
FASTAPI = {
    "instrumentation": "_applications _asgi _carried _outgoing executors fastapi httpx"
    " multiprocessing requests starlette",
    "traces": "baggage bridge current live places provider spans",
}
# Of the standard library: slow to import, or too early for gevent.
SLOW = {
    "asyncio", "concurrent", "ctypes", "email", "gzip", "http", "importlib.metadata", "mmap",
    "multiprocessing", "random", "shutil", "socketserver", "ssl", "subprocess", "tempfile",
    "unittest", "xml",
}  # fmt: skip


def modules(*listed):
    """Return the whole names of the modules of obskit in each of *listed*."""
    return {
        ".".join(filter(None, ("obskit", room, name)))
        for rooms in listed
        for room, names in rooms.items()
        for name in names.split()
    }


def imported(begin, end=""):
    """Return the modules that a program has imported that begins and ends so."""
    init = "import obskit; obskit.init('shop', log_stream='/dev/null', metrics_port=False)"
    show = "import os, sys; os.write(1, ' '.join(sys.modules).encode())"
    done = subprocess.run(
        [sys.executable, "-c", f"{begin}\n{init}\n{end}\n{show}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stdout.split())


def test_a_start_imports_just_what_it_needs():
    """A module more is to be a decision: it makes the start of every service slower."""
    loaded = imported("")

    assert {name for name in loaded if name.startswith("obskit.")} == modules(START)
    assert not SLOW & loaded


@pytest.mark.parametrize("program", [("import fastapi", ""), ("", "import fastapi")])
def test_a_start_with_fastapi_imports_little_more(program):
    """The engine and the hooks come in; what one request in a thousand needs does not."""
    loaded = {name for name in imported(*program) if name.startswith("obskit.")}

    assert modules({"instrumentation": "_asgi fastapi starlette"}) <= loaded
    assert loaded <= modules(START, FASTAPI)


def test_init_switches_everything_on_once(started):
    """A second call with the same arguments does nothing."""
    started()
    started()

    assert started.messages == ["process started"]
    assert set(rooms.states.values()) == {"on"}
    assert _bootstrap.active().service == "shop"


def test_init_with_other_arguments_puts_them_in_force(started):
    """What was given before stays, unless it is given anew."""
    started(env="test")
    _bootstrap.init(log_level="WARNING")
    obskit.get_logger("x").info("no")
    _bootstrap.init(log_level="INFO", version="2")
    obskit.get_logger("x").info("yes")

    assert started.messages == ["process started", "settings changed", "yes"]
    assert [line.get("version") for line in started.lines] == [None, "2", "2"]
    assert {line["env"] for line in started.lines} == {"test"}
    assert {line["service"] for line in started.lines} == {"shop"}


def test_the_first_line_says_what_runs(started):
    """Schema and versions stand on the first line of a process."""
    started()

    assert started.lines[0]["schema"] == obskit.fields.SCHEMA
    assert started.lines[0]["obskit_version"] == obskit.__version__
    assert started.lines[0]["python_version"] == sys.version.split()[0]


def test_wrong_settings_are_reported_and_stop_nothing(started, monkeypatch):
    """Each is one line that names the allowed values."""
    monkeypatch.setenv("OBSKIT_TRUST", "everybody")
    started(log_levle="DEBUG", instrument="htpx")

    problems = [line["obskit_problem"] for line in started.lines[1:]]
    assert problems[0] == "unknown argument log_levle; did you mean log_level?"
    assert problems[1].startswith("OBSKIT_TRUST='everybody' must be auto or internal or edge")
    assert problems[2].startswith("OBSKIT_INSTRUMENT='htpx' names htpx; must be any of ")
    assert {line["level"] for line in started.lines[1:]} == {"warning"}
    assert obskit.status()["problems"] == problems


def test_the_kill_switch_leaves_a_process_as_it_was(started, caplog, monkeypatch):
    """Nothing is hooked, no file is opened, and loggers print as before."""
    monkeypatch.setenv("OBSKIT_ENABLED", "0")
    before = (sys.excepthook, sys.stdout, logging.Logger.callHandlers, threading.excepthook)
    started(capture=True)
    obskit.get_logger("shop").warning("hello")
    obskit.instrument("httpx")
    obskit.uninstrument()
    obskit.shutdown()

    assert (sys.excepthook, sys.stdout, logging.Logger.callHandlers, threading.excepthook) == before
    assert not started.path.exists()
    assert caplog.messages == ["hello"]
    assert obskit.status()["enabled"] is False
    assert rooms.states == {}


def test_the_switch_works_in_a_running_process(started, caplog):
    """What was on can be switched off, and on again."""
    started()
    started(enabled=False)
    assert rooms.states == {}
    obskit.get_logger("shop").warning("off")
    started(enabled=True)
    obskit.get_logger("shop").warning("on")

    assert started.messages[-1] == "on"
    assert "off" not in started.messages
    assert "off" in caplog.messages


def test_shutdown_is_no_end(started):
    """Lines that come later are still written; calling it twice, or too early, is no error."""
    obskit.shutdown()
    started()
    obskit.shutdown(0.5)
    obskit.shutdown()
    obskit.get_logger("x").info("late")

    assert started.messages[-1] == "late"


def test_undo_gives_the_process_back(started):
    """Arguments are forgotten, and the next init is the first."""
    started(env="test")
    _bootstrap.undo()
    assert _bootstrap.active() is None
    assert rooms.states == {}
    started()

    assert started.messages == ["process started", "process started"]
    assert "env" not in started.lines[1]


def test_status_tells_all_and_can_be_written_as_json(started):
    """Whoever asks gets rooms, settings, losses and problems."""
    assert obskit.status()["enabled"] is False
    started(log_line="not a size")
    health.lose("logs", "queue full", 2)
    report = json.loads(json.dumps(obskit.status()))

    assert report["enabled"] is True
    assert report["pid"] == os.getpid()
    assert report["rooms"]["logs"] == "on"
    assert report["settings"]["service"] == "shop"
    assert report["sources"]["service"] == "argument"
    assert report["lost"] == {"logs/queue full": 2}
    assert "OBSKIT_LOG_LINE" in report["problems"][0]
    assert isinstance(report["instrumentation"], list)


def test_names_that_no_catalog_has_are_refused(started):
    """A slip in a call is the programmer's to repair."""
    started()
    with pytest.raises(UnknownInstrumentation):
        obskit.instrument("nothing")
    with pytest.raises(UnknownInstrumentation):
        obskit.uninstrument("nothing")


def test_two_threads_may_start_it(started):
    """Whoever comes second finds it done."""
    threads = [threading.Thread(target=started) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert started.messages == ["process started"]


def test_an_error_of_ours_is_one_line(started):
    """What was contained is reported when it happens the first time, and counted after that."""
    started()
    for _ in range(3):
        health.internal_error("somewhere", ValueError("no"))

    assert [line["obskit_where"] for line in started.lines[1:]] == ["somewhere"]
    assert started.lines[1]["obskit_error"] == "ValueError: no"
    assert health.internal_errors["somewhere"] == 3


def test_the_end_of_a_process_writes_what_is_kept(start_process):
    """No call is needed at the end."""
    code = (
        "import obskit; obskit.init(metrics_port='off', log_queue='0');print('half a line', end='')"
    )
    output = start_process(sys.executable, "-c", code).wait()

    assert [strict(line)["message"] for line in output.stdout.splitlines(keepends=True)] == [
        "process started", "half a line",
    ]  # fmt: skip


def test_autostart_leaves_the_answer_of_a_child_alone(start_process):
    """Where a parent reads the output of this process, no byte of it changes."""
    code = (
        "from obskit import _bootstrap; _bootstrap.autostart();"
        "import obskit; obskit.get_logger().info('no'); print('answer')"
    )
    env = {"OBSKIT_METRICS_PORT": "off", "OBSKIT_LAUNCH": "1:2,3:4 shop"}
    output = start_process(sys.executable, "-c", code, env=env).wait()

    assert (output.stdout, output.stderr) == (b"answer\n", b"")
