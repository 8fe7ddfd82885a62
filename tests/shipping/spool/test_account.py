"""The account adds up, and outlives what happens to its file."""

import os
import time

import pytest

from obskit.shipping.dead import DeadLetters
from obskit.shipping.spool import Reader, account, ledger, sweep
from obskit.shipping.spool.account import State
from obskit.shipping.verdict import ALL_TAKEN, REFUSED, Verdict
from tests.shipping.spool.spools import drain, lines, standing


def made(folder, taken):
    """Return a state that has been saved."""
    state = State("line")
    state.logged = state.taken = taken
    account.save(folder, "es", state)
    return state


def test_what_is_saved_is_loaded(folder):
    """All of it comes back."""
    state = made(folder, 7)
    state.cursors["a" * 22] = (100, 7)
    state.dropped["queue full"] = 2
    account.save(folder, "es", state)
    found = account.load(folder, "es")

    for name in State.__slots__:
        assert getattr(found, name) == getattr(state, name)


@pytest.mark.parametrize("saves", [1, 2])
def test_a_crash_amid_a_save_leaves_the_state_before(folder, saves):
    """Whatever byte of the newer half is damaged, the older one is whole."""
    state = made(folder, 7)
    for _ in range(saves):
        state.taken = state.logged = state.taken + 1
        account.save(folder, "es", state)
    path = account.path_of(folder, "es")
    with open(path, "rb") as file:
        data = file.read()
    half = len(data) // 2
    newer = half * (state.serial % 2)
    text = data[newer : newer + half].rstrip()
    for at in range(newer, newer + len(text)):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        with open(path, "wb") as file:
            file.write(damaged)
        assert account.load(folder, "es").taken == state.taken - 1, at


def test_a_save_takes_no_more_room(folder):
    """A disk that is full now does not stop it; where halves get too small the file grows."""
    state = made(folder, 7)
    path = account.path_of(folder, "es")
    size = os.path.getsize(path)
    for _ in range(5):
        account.save(folder, "es", state)
    assert os.path.getsize(path) == size

    for number in range(200):
        state.cursors[f"{number:022}"] = (100, 7)
    account.save(folder, "es", state)
    assert os.path.getsize(path) > size
    assert len(account.load(folder, "es").cursors) == 200


@pytest.mark.parametrize(
    "name", ["es", "elasticsearch+https://h:9200/x", "../up", ".", "ü", "a" * 300]
)
def test_any_name_makes_a_file(folder, name):
    """A destination may be called what it is; its file stays in the folder."""
    Reader(folder, name)

    assert [one.destination for one in ledger(folder).standings] == [name]
    assert len(os.listdir(folder)) == 1


def test_an_empty_folder_has_an_account(folder):
    """Nothing is there, and that is said."""
    assert ledger(folder) == (0, 0, (), ())


def test_waiting_is_what_is_behind_the_cursor(folder, appender):
    """In finished segments and in those that are being written."""
    reader = Reader(folder, "es")
    appender.append(lines(10), True)
    appender.dropped("queue full", 3)
    appender.close()
    appender.append(lines(10), True)
    assert (standing(folder).waiting, standing(folder).logged) == (23, 23)
    reader.batch(4, 1 << 20)
    reader.decide(taken=4)

    assert standing(folder).waiting == 19
    drain(reader)
    one = standing(folder)
    assert (one.waiting, one.taken, one.dropped) == (0, 20, {"queue full": 3})
    assert one.bytes == 0


def test_dead_letters_that_were_taken_later_count_as_taken(folder, appender):
    """A retry moves them in the account."""
    appender.append(lines(2), True)
    reader = Reader(folder, "es")
    for entry in reader.batch(9, 999):
        DeadLetters(folder, "es").write("to", entry, Verdict(REFUSED, "status 400"))
    reader.decide(dead=2)
    assert standing(folder).dead == 2
    DeadLetters(folder, "es").retry("to", lambda batch: ALL_TAKEN)

    one = standing(folder)
    assert (one.taken, one.dead) == (2, 0)


def test_old_ledgers_of_unknown_destinations_go(folder):
    """A week after nobody named it any more it is forgotten; one that is known is kept."""
    Reader(folder, "old")
    Reader(folder, "es")
    for name in ("old", "es"):
        long_ago = time.time() - 8 * 86400
        os.utime(account.path_of(folder, name), (long_ago, long_ago))
    sweep(folder, ("es",))

    assert [one.destination for one in ledger(folder).standings] == ["es"]


def test_a_ledger_that_cannot_be_read_holds_up_no_other(folder, appender):
    """The others are told; nothing is deleted that it may still need."""
    os.mkdir(account.path_of(folder, "bad"))
    appender.append(lines(3), True)
    appender.close()
    drain(Reader(folder, "es", known=("es", "bad")))

    assert standing(folder).taken == 3
    assert ledger(folder).segments == 1


def test_files_that_never_got_a_name_go(folder):
    """What a killed process had begun is deleted when it is a day old."""
    Reader(folder, "es")
    for name, age in (("a.ld.new", 2 * 86400), ("b.ld.new", 3600)):
        path = os.path.join(folder, name)
        open(path, "w").close()
        os.utime(path, (time.time() - age,) * 2)
    sweep(folder, ("es",))

    assert sorted(os.listdir(folder)) == ["b.ld.new", "es.ledger"]
