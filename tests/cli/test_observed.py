"""What the processes of a program have reported."""

import json

import pytest

from obskit.cli import _observed
from obskit.cli._observed import Observed

ROW = {
    "name": "httpx",
    "state": "hooked",
    "version": "0.28.1",
    "tested": True,
    "requires": "httpx>=0.26",
    "newest_tested": "0.28",
    "reason": "",
    "missing": {},
    "late": {},
}


def report(pid=1, **more):
    """Return the report of a process."""
    return {"pid": pid, "program": ["python"], "process": "service", **more}


@pytest.mark.parametrize(
    ("changes", "state", "says"),
    [
        ({}, "hooked", ""),
        ({"version": None, "state": "armed"}, "absent", "not installed"),
        ({"state": "armed", "reason": "not imported yet"}, "skipped", "not imported"),
        ({"state": "known"}, "skipped", "OBSKIT_INSTRUMENT"),
        ({"state": "disarmed"}, "skipped", "OBSKIT_INSTRUMENT"),
        ({"tested": False, "version": "0.99"}, "untested", "httpx>=0.26 to 0.28"),
        ({"state": "failed", "reason": "ImportError: no"}, "failed", "ImportError: no"),
        ({"missing": {"httpx:X.y": "not there"}}, "failed", "httpx:X.y: not there"),
        ({"late": {"ssl:X": ["app"]}}, "failed", "ssl:X is held by app"),
        ({"requires": "", "version": None}, "hooked", ""),
    ],
)
def test_each_state_of_a_row_has_a_word_and_a_reason(changes, state, says):
    """People read whether it is hooked, skipped, untested, absent or failed, and why."""
    library = _observed.library_of(ROW | changes)

    assert library.state == state
    assert says in library.why


def test_the_worst_news_of_a_library_counts():
    """Where it failed in one process, it is not hooked in the program."""
    rows = [ROW | {"state": "armed"}, ROW, ROW | {"state": "failed", "reason": "x"}]
    observed = Observed([report(instrumentation=[row], seen={"httpx": 2}) for row in rows])
    (library,) = observed.libraries()

    assert library.state == "failed"
    assert library.seen == 6


def test_counts_of_all_processes_are_added():
    """Errors and losses of each worker are the program's."""
    one = report(
        internal_errors={"hook.x": 2}, last_errors={"hook.x": "boom"}, lost={"logs/full": 1},
        rooms={"logs": "on", "metrics": "failed: OSError"}, problems=["bad"],
    )  # fmt: skip
    observed = Observed([one, one])

    assert observed.internal_errors() == {"hook.x": (4, "boom")}
    assert observed.lost() == {"logs/full": 2}
    assert list(observed.troubles()) == ["metrics failed: OSError"]
    assert observed.problems() == ["bad"]


def test_helpers_of_multiprocessing_are_not_the_program():
    """Settings are those of the first process that serves."""
    helper = report(process="helper", settings={"service": "helper"})
    observed = Observed([helper, report(2, settings={"service": "shop"})])

    assert observed.settings["service"] == "shop"
    assert observed.processes == {1: ["python"], 2: ["python"]}
    assert Observed([]).settings == {}


def test_reports_are_read_with_the_program_itself_first(tmp_path):
    """What is being written at the moment is left out."""
    for pid in (1, 2, 3):
        (tmp_path / f"report.{pid}").write_text(json.dumps(report(pid)))
    (tmp_path / "report.4.new").write_text('{"pid": ')

    assert list(_observed.read(tmp_path, 2).processes) == [2, 1, 3]


def test_settings_for_people_hide_secrets_and_what_is_ours():
    """No password of a URL is shown, and no setting that only obskit sets."""
    values = {"zipkin": "http://ada:hunter2@zipkin/", "redact": ("iban",), "report_file": "/tmp/x"}
    shown = _observed.settings_of(values, {"zipkin": "OBSKIT_ZIPKIN"})

    assert shown == [
        {"name": "zipkin", "value": "http://***@zipkin/", "source": "OBSKIT_ZIPKIN"},
        {"name": "redact", "value": ["iban"], "source": "default"},
    ]
