"""What the doctor says of an installation."""

import socket
import sys
from importlib import metadata

import pytest

from obskit import settings
from obskit.cli import _installation
from obskit.instrumentation import _catalog
from tests.services.ports import reserve_port


def examine(**environ):
    """Return the checks by name, with some settings."""
    environ = {"OBSKIT_METRICS_PORT": str(reserve_port()), **environ}
    sheet = _installation.examine(settings.resolve(environ=environ))
    return sheet, {check.name: check for check in sheet.checks}


def test_this_installation_is_well():
    """No check has bad news where the tests run."""
    sheet, checks = examine()

    assert sheet.is_well
    assert checks["python"].verdict == "ok"
    assert [library.name for library in sheet.libraries] == [row.name for row in _catalog.ROWS]


def test_settings_are_those_of_this_folder():
    """What would be in force is shown; the name of a service depends on its program."""
    sheet, checks = examine(OBSKIT_TRUST="edge", OBSKIT_LOG_LEVEL="LOUD")
    chosen = {one["name"]: one["value"] for one in sheet.settings if one["source"] != "default"}

    assert chosen["trust"] == "edge"
    assert "service" not in chosen
    assert checks["settings"].verdict == "bad"
    assert "LOUD" in checks["settings"].details[0]


def test_the_kill_switch_is_noted():
    """Who wonders why nothing is observed finds it here."""
    assert "kill switch" in examine(OBSKIT_ENABLED="0")[1]["settings"].says


def test_a_port_that_is_taken_is_noted():
    """The next free one is for the user to choose."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        check = examine(OBSKIT_METRICS_PORT=str(port))[1]["port"]

    assert check.verdict == "note"
    assert "already in use" in check.says
    assert examine(OBSKIT_METRICS_PORT="off")[1]["port"].verdict == "ok"
    assert examine(OBSKIT_METRICS_HOST="no such host")[1]["port"].verdict == "note"


@pytest.mark.parametrize(
    ("stream", "verdict"),
    [("stdout", "ok"), ("fd:7", "note"), ("lines.log", "ok"), (".", "bad"), ("no/where", "bad")],
)
def test_the_stream_must_be_writable(stream, verdict, tmp_path, monkeypatch):
    """A log file in a folder that is not there would be empty."""
    monkeypatch.chdir(tmp_path)

    assert examine(OBSKIT_LOG_STREAM=stream)[1]["stream"].verdict == verdict


def test_dependencies_are_compared_with_what_is_wanted(monkeypatch):
    """One that is missing or too old is named with the wanted version."""
    wanted = ["wrapt>=999.1", "orjson>=3", "no-such-library>=1", "flask>=999; extra == 'flask'"]
    monkeypatch.setattr(metadata, "requires", lambda name: wanted)
    troubles = list(_installation._troubles())

    assert [trouble.partition(" ")[0] for trouble in troubles] == ["wrapt", "no-such-library"]
    assert "wrapt>=999.1" in troubles[0]


def test_obskit_only_on_the_path_is_said(monkeypatch):
    """Without metadata nobody knows what is wanted."""

    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)

    assert "only on the path" in next(_installation._troubles())


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [("version_info", (3, 99, 0), "python"), ("platform", "darwin", "platform")],
)
def test_what_no_test_has_seen_is_noted(monkeypatch, name, value, check):
    """Other Pythons and platforms may work."""
    monkeypatch.setattr(_installation.sys, name, value)
    found = {"python": _installation._python, "platform": _installation._platform}[check]()
    monkeypatch.undo()

    assert found.verdict == "note"
    assert sys.version_info[0] == 3


def test_versions_outside_of_the_tested_range_are_noted(monkeypatch):
    """A library that is newer than the tests is hooked all the same."""
    rows = tuple(
        _catalog.Row(row.name, row.what, row.imports, row.requires, "0.1" if row.tested else "")
        for row in _catalog.ROWS
    )
    monkeypatch.setattr(_installation.instrumentation, "status", lambda: _statuses(rows))
    sheet, checks = examine()

    assert checks["libraries"].verdict == "note"
    assert {one.name: one.state for one in sheet.libraries}["httpx"] == "untested"


def _statuses(rows):
    from obskit.instrumentation import _ledger, _status

    return [_status._status(_ledger.Entry(row, _ledger.Switch(row.name))) for row in rows]
