"""What the spools of services tell, and what becomes of their dead letters."""

import json

import pytest

from obskit.cli import _spools
from obskit.settings import Settings
from obskit.shipping.spool import Appender, Reader


@pytest.fixture
def spool(tmp_path):
    """Give the folder of a service with three lines, of which one is delivered and one dropped."""
    folder = tmp_path / "shop"
    appender = Appender(folder, 10**7)
    appender.append([b"a", b"b"], False)
    appender.dropped("queue full", 1)
    appender.close()
    reader = Reader(folder, "search", "line", {"search"})
    assert len(reader.batch(1, 1000)) == 1
    reader.decide(1)
    return tmp_path


def test_a_table_tells_how_it_stands(spool, capsys):
    """What was dropped is told with the reason, and is bad news once it is accounted for."""
    _spools.show(Settings(spool=str(spool)), None, as_json=False)
    head, row, *_ = capsys.readouterr().out.splitlines()

    assert head.split() == [
        "SERVICE",
        "DESTINATION",
        "LOGGED",
        "TAKEN",
        "DEAD",
        "DROPPED",
        "WAITING",
    ]
    service, destination, logged, taken, dead, dropped, waiting = row.split()
    assert (service, destination, taken, dead) == ("shop", "search", "1", "0")
    assert int(logged) == int(taken) + int(dead) + int(dropped) + int(waiting)


def test_json_has_all_of_it(spool, capsys):
    """For whoever watches it by a program."""
    _spools.show(Settings(spool=str(spool)), "shop", as_json=True)
    told = json.loads(capsys.readouterr().out)

    assert told["shop"]["destinations"]["search"]["taken"] == 1
    assert told["shop"]["bytes"] > 0


def test_nothing_was_ever_shipped(tmp_path, capsys):
    """That is told in words."""
    (tmp_path / "shop").mkdir()

    assert _spools.show(Settings(spool=str(tmp_path)), None, as_json=False) == 0
    assert capsys.readouterr().out == "nothing was ever shipped from here\n"


def test_a_service_that_is_not_there_is_named(tmp_path):
    """With the place where it was looked for."""
    with pytest.raises(_spools.NoSpool, match="service shop has no spool in"):
        _spools.show(Settings(spool=str(tmp_path)), "shop", as_json=False)
    with pytest.raises(_spools.NoSpool, match="is no folder"):
        _spools.show(Settings(spool=str(tmp_path / "x")), None, as_json=False)


def test_what_may_not_be_read_is_left_out_and_told(spool, capsys, monkeypatch):
    """Other services are shown; it is bad news, since nobody knows what is in there."""
    (spool / "other").mkdir()
    found = _spools_ledger()
    monkeypatch.setattr("obskit.shipping.spool.ledger", found)
    code = _spools.show(Settings(spool=str(spool)), None, as_json=False)
    out, err = capsys.readouterr()

    assert code == 1
    assert "shop" in out
    assert err == f"obskit ship: {spool}/other is another user's, and left out\n"
    with pytest.raises(PermissionError):
        _spools.show(Settings(spool=str(spool)), "other", as_json=False)


def _spools_ledger():
    from obskit.shipping.spool import ledger

    def found(folder):
        if folder.endswith("other"):
            raise PermissionError(13, "Permission denied", folder)
        return ledger(folder)

    return found
