"""A spool that an older version has left is read as it was meant.

``version_1`` holds what version 0.1 of obskit has written: two finished segments of lines, one of
spans, one whose writer was killed, the ledger of a destination that has got the durable line, and
a dead letter. Files of older versions are never changed; a new format gets a folder of its own.
"""

import shutil
from pathlib import Path

import pytest

from obskit.shipping.dead import DeadLetters
from obskit.shipping.spool import Reader, ledger

OLD = Path(__file__).with_name("version_1")
LINES = [
    ("000001c3yvrqy26h2j0jiz-00g", b'{"message":"first"}'),
    ("000001c3yvrqy26h2j0jiz-01i", b'{"message":"second"}'),
]
DURABLE = ("000002jd27xuzulfefmf3v-00g", b'{"message":"paid"}')
KILLED = ("000004i0iz3nqrwn6t4hnk-00g", '{"message":"unfinished é"}'.encode())


@pytest.fixture
def spool(tmp_path):
    """Give a copy of the old spool."""
    return Path(shutil.copytree(OLD, tmp_path / "spool"))


def all_of(reader):
    """Return what *reader* has, each entry decided."""
    found = []
    while batch := reader.batch(100, 10_000):
        found += [(entry.id, entry.body) for entry in batch]
        reader.decide(len(batch))
    return found


def test_a_destination_goes_on_where_it_was(spool):
    """It gets what it has not got yet, under the IDs of old, and the losses are on record."""
    known = ("search", "other")

    assert all_of(Reader(spool, "search", "line", known)) == [*LINES, KILLED]
    [standing] = [one for one in ledger(spool).standings if one.destination == "search"]
    assert (standing.logged, standing.taken, standing.waiting) == (7, 4, 0)
    assert standing.dropped == {"queue full": 3}


def test_a_new_destination_gets_all_of_it(spool):
    """Durable lines first."""
    found = all_of(Reader(spool, "new", "line", ("search", "new")))

    assert found == [DURABLE, *LINES, KILLED]


def test_spans_are_apart(spool):
    """Their segments are of another kind."""
    [(_, body)] = all_of(Reader(spool, "zipkin", "span", ("zipkin", "other")))

    assert body == b'{"name":"span"}'


def test_dead_letters_are_read(spool):
    """With what the server had said."""
    [letter] = DeadLetters(spool, "search").read()

    assert letter.entry == ("x-1", b'{"message":"refused"}')
    assert (letter.to, letter.why, letter.answer) == ("http://search", "status 400", "no")
