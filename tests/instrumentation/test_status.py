"""The report on what is instrumented."""

import dataclasses
import json

import pytest

from obskit.instrumentation import _ledger, _status
from obskit.instrumentation._catalog import ROWS, Row
from obskit.instrumentation._ledger import Entry, Switch


def entry(**changes):
    """Return the entry of a made up row."""
    return Entry(Row("toy", "x", **changes), Switch("toy"))


def test_every_row_has_its_line(observed):
    """The report follows the catalog."""
    names = [status.name for status in _status.status()]

    assert names[: len(ROWS)] == [row.name for row in ROWS]


def test_the_report_can_be_written_as_json(observed):
    """Tools read it."""
    report = [dataclasses.asdict(status) for status in _status.status()]

    assert json.loads(json.dumps(report))[0]["name"] == ROWS[0].name


def test_a_record_cannot_be_changed(observed):
    """A report is a report."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        _status.status()[0].state = "hooked"


@pytest.mark.parametrize(
    ("lowest", "newest", "tested"),
    [
        ("1.0", "99", True),
        ("99.0", "100", False),
        ("0.1", "1.0", False),
    ],
)
def test_the_installed_version_is_compared_with_the_tested_ones(lowest, newest, tested):
    """Outside of the range a library is hooked all the same, and said to be untested."""
    status = _status._status(
        entry(requires=f"pytest>={lowest}", tested=newest, imports=("pytest",))
    )

    assert status.version == pytest.__version__
    assert status.tested is tested
    assert ("is not tested" in status.reason) is not tested


def test_a_patch_release_of_a_tested_version_is_tested():
    """1.10.3 lies in the range up to 1.10, 1.11 does not."""
    row = Row("toy", "x", requires="toy>=1.0", tested="1.10")

    assert _status._is_tested("1.10.3", row)
    assert not _status._is_tested("1.11", row)
    assert not _status._is_tested("0.9", row)
    assert _status._is_tested("1.10rc1", row)


def test_what_is_not_installed_is_said_so():
    """An absent library is no failure."""
    status = _status._status(entry(requires="obskit-toy>=1.0", tested="2"))

    assert (status.version, status.state, status.reason) == (None, "known", "not installed")


def test_an_armed_row_says_what_it_waits_for():
    """Installed and not imported is no failure either."""
    waiting = entry(requires="pytest>=1.0", tested="99", imports=("obskit_toy_absent",))
    _ledger.arm(waiting)

    assert _status._status(waiting).state == "armed"
    assert _status._status(waiting).reason == "not imported yet"


def test_reasons_come_in_their_order():
    """What went wrong is said before what is only unusual."""
    found = entry(requires="pytest>=1.0", tested="99", imports=("pytest",))
    found.missing["a:b"] = "a has no b"
    assert _status._status(found).reason == "not all targets are there"
    found.late["a:C"] = ["early"]
    assert "imported before" in _status._status(found).reason
    found.error = "RuntimeError: broken"
    assert _status._status(found).reason == "RuntimeError: broken"
