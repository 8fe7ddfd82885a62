"""What a process leaves for the doctor."""

import json
import os
import subprocess
import sys
import threading

import pytest

from obskit import observation
from obskit._bootstrap import rooms
from obskit.cli import _report
from obskit.observation import Observation
from tests.services.ports import wait_until
from tests.services.processes import environment

QUIET = {"OBSKIT_LOG_STREAM": os.devnull, "OBSKIT_METRICS_PORT": "off"}


@pytest.fixture
def watch(tmp_path):
    """Give a watch over this process, as it would be begun."""
    watch = _report.Watch(str(tmp_path / "report"))
    yield watch
    watch.rest()


def reports(folder):
    """Return what was reported, by process."""
    found = [path for path in folder.glob("report.*") if path.suffix != ".new"]
    return {int(path.suffix[1:]): json.loads(path.read_text()) for path in found}


def run(script, folder, **changes):
    """Run a script that reports to a folder."""
    env = environment({**QUIET, "OBSKIT_REPORT_FILE": str(folder / "report"), **changes})
    command = [sys.executable, "-m", "obskit", "run", sys.executable, "-W", "error", "-c", script]
    result = subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)
    assert result.returncode == 0, result


def test_a_short_program_reports_at_its_end(tmp_path):
    """Settings, rooms, libraries and words are in the report of a program that ends at once."""
    run("import requests", tmp_path, OBSKIT_SERVICE="shop")
    (report,) = reports(tmp_path).values()

    assert report["settings"]["service"] == "shop"
    assert report["rooms"]["instrumentation"] == "on"
    assert {row["name"]: row["state"] for row in report["instrumentation"]}["requests"] == "hooked"
    assert report["program"][-1] == "import requests"


def test_forked_children_report_for_themselves(tmp_path):
    """A worker has a report of its own, and no warning about threads comes of it."""
    script = "import os, time\nif os.fork() == 0:\n    time.sleep(0.6); os._exit(0)\nos.wait()\n"
    run(script, tmp_path)

    assert len(reports(tmp_path)) == 2


def test_units_of_work_are_counted_by_library(watch):
    """The doctor says how often a hook was passed."""
    observation.configure([("doctor", watch.tally)])
    for library in ("httpx", "httpx", ""):
        work = Observation("x", library=library)
        observation.start(work)
        observation.end(work)
    observation.configure(())

    assert watch.tally.counts == {"httpx": 2, _report.OWN: 1}


def test_a_child_counts_anew(watch, tmp_path):
    """What the parent has seen is in the parent's report."""
    watch.rest()
    watch.tally.counts["httpx"] = 5
    watch.begin_in_child()

    assert not watch.tally.counts


def test_it_ends_when_nobody_reads(tmp_path):
    """Without the folder there is no doctor, and no thread that waits for one."""
    folder = tmp_path / "gone"
    folder.mkdir()
    watch = _report.Watch(str(folder / "report"))
    wait_until(lambda: reports(folder), lambda: "no report", 10)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()

    assert not watch.write()
    watch._thread.join(10)
    assert not watch._thread.is_alive()


def test_beginning_makes_it_an_observer(tmp_path, monkeypatch):
    """Whatever the settings become, the doctor goes on counting."""
    monkeypatch.setattr(rooms, "listeners", [])
    monkeypatch.setattr(_report.atexit, "register", lambda _: None)
    monkeypatch.setattr(_report.os, "register_at_fork", lambda **_: None)
    watch = _report.begin(str(tmp_path / "report"))
    watch.rest()

    assert rooms.listeners == [("doctor", watch.tally)]
    assert threading.current_thread() is not watch._thread
