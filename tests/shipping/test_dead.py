"""What is refused for good is kept with the answer, and may be sent again."""

import json
import os
import stat
import threading

import pytest

from obskit.shipping import dead
from obskit.shipping.dead import DeadLetters, Retried
from obskit.shipping.entry import Entry
from obskit.shipping.verdict import AGAIN, ALL_TAKEN, REFUSED, TAKEN, Verdict

BAD = Verdict(REFUSED, "status 400", answer="mapper_parsing_exception")


@pytest.fixture
def letters(tmp_path):
    """Give the letters of one destination."""
    return DeadLetters(tmp_path, "es")


def entries(count, start=0):
    """Return so many entries."""
    return [Entry(f"id-{n}", b'{"n":%d}' % n) for n in range(start, start + count)]


def ids(found):
    """Return the ids of letters."""
    return [letter.entry.id for letter in found]


def test_a_letter_says_all(letters):
    """People see when, where, why and what, and the file is for the owner's eyes."""
    assert letters.write("https://es:9200", Entry("id-1", '{"a":"ü"}'.encode()), BAD)

    with open(letters.path) as file:
        told = json.loads(file.read())
    assert told.pop("at").endswith("Z")
    assert told == {
        "to": "https://es:9200",
        "why": "status 400",
        "answer": "mapper_parsing_exception",
        "id": "id-1",
        "line": '{"a":"ü"}',
    }
    assert stat.S_IMODE(os.stat(letters.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(letters.path)).st_mode) == 0o700


def test_what_is_written_is_read(letters):
    """Bodies of any bytes come back as they were, and each id once."""
    odd = Entry("id-odd", bytes(range(256)))
    letters.write_all("to", [(one, BAD) for one in [*entries(2), odd, *entries(1)]])

    assert [letter.entry for letter in letters.read()] == [*entries(2), odd]


def test_an_answer_is_cut(letters):
    """A page of HTML does not fill the file."""
    letters.write("to", *entries(1), Verdict(REFUSED, "status 400", answer="x" * 9999))

    assert len(letters.read()[0].answer) == dead.LONGEST_ANSWER


def test_the_file_is_bounded(tmp_path):
    """Who has so many dead letters has another trouble, and hears that they are not kept."""
    letters = DeadLetters(tmp_path, "es", most=500)

    assert letters.write_all("to", [(one, BAD) for one in entries(9)]) == 3
    assert not letters.write("to", *entries(1), BAD)
    assert len(letters.read()) == 3


def test_damaged_letters_are_passed_over(letters):
    """A torn last line does not spoil the next one, and no line stops the reader."""
    letters.write("to", *entries(1), BAD)
    with open(letters.path, "ab") as file:
        file.write(b'[]\n{"id":"x"}\n\xff\n{"at":"torn')
    letters.write("to", *entries(1, 1), BAD)

    assert ids(letters.read()) == ["id-0", "id-1"]


def test_a_full_disk_leaves_no_part(letters, monkeypatch):
    """The error is raised, and later letters are whole."""
    write, calls = os.write, []

    def scarce(descriptor, data):
        calls.append(1)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:10])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", scarce)
        with pytest.raises(OSError, match="No space"):
            letters.write("to", *entries(1), BAD)
    letters.write("to", *entries(1, 1), BAD)

    assert ids(letters.read()) == ["id-1"]


def filled(letters, count=6):
    """Return letters of which there are some."""
    letters.write_all("to", [(one, BAD) for one in entries(count)])
    return letters


def test_all_are_taken(letters):
    """Nothing is left then."""
    sent = []

    def send(batch):
        sent.extend(batch)
        return ALL_TAKEN

    assert filled(letters).retry("to", send) == Retried(6, 0, 0)
    assert (sent, letters.read(), letters.revived) == (entries(6), [], 6)
    assert letters.retry("to", send) == Retried(0, 0, 0)


def test_one_that_is_poison_stays(letters):
    """It is found by halves, and says what was answered this time."""
    worse = Verdict(REFUSED, "status 400", part=True, answer="still bad")

    def send(batch):
        return worse if any(one.id == "id-4" for one in batch) else ALL_TAKEN

    assert filled(letters).retry("to again", send) == Retried(5, 1, 0)
    (letter,) = letters.read()
    assert (letter.entry.id, letter.answer, letter.to) == ("id-4", "still bad", "to again")


def test_each_may_have_its_own_answer(letters):
    """Of a batch that is taken some may be refused, and some have to wait."""
    items = ((1, Verdict(REFUSED, "status 400")), (2, Verdict(AGAIN, "status 429")))

    assert filled(letters).retry("to", lambda _: Verdict(TAKEN, items=items)) == Retried(4, 1, 1)
    assert ids(letters.read()) == ["id-1", "id-2"]


def test_all_are_refused_at_once(letters):
    """What cannot be divided stays as a whole."""
    assert filled(letters).retry("to", lambda _: BAD) == Retried(0, 6, 0)
    assert len(letters.read()) == 6


def test_nobody_answers(letters, monkeypatch):
    """What was sent by then is gone, the rest is left."""
    monkeypatch.setattr(dead, "MOST_IN_BATCH", 2)
    answers = [ALL_TAKEN, Verdict(AGAIN, "no connection")]

    assert filled(letters).retry("to", lambda _: answers.pop(0)) == Retried(2, 0, 4)
    assert ids(letters.read()) == [f"id-{n}" for n in range(2, 6)]


def test_an_attempt_that_fails_loses_nothing(letters, monkeypatch):
    """Whatever is raised in the middle."""
    monkeypatch.setattr(dead, "MOST_IN_BATCH", 2)
    answers = [ALL_TAKEN]

    with pytest.raises(IndexError):
        filled(letters).retry("to", lambda _: answers.pop(0))
    assert len(letters.read()) == 4


def test_an_attempt_that_was_killed_is_taken_up(letters):
    """Its letters are read as before, and sent with those that came later."""
    filled(letters, 3)
    os.rename(letters.path, letters._claimed)
    filled(letters, 4)

    assert len(letters.read()) == 4
    assert letters.retry("to", lambda _: ALL_TAKEN) == Retried(4, 0, 0)
    assert letters.read() == []


def test_a_folder_that_cannot_be_read_is_no_news(letters, tmp_path):
    """Whoever counts the letters is not disturbed; whoever writes one hears of it."""
    os.makedirs(os.path.dirname(os.path.dirname(letters.path)), exist_ok=True)
    with open(os.path.dirname(letters.path), "w"):
        pass

    assert letters.revived == 0
    with pytest.raises(OSError, match=r"exists|directory"):
        filled(letters)


def test_there_is_one_attempt_at_a_time(letters):
    """The second one hears of the first."""

    def send(batch):
        with pytest.raises(BlockingIOError):
            letters.retry("to", send)
        return ALL_TAKEN

    assert filled(letters).retry("to", send).taken == 6


def test_letters_that_come_meanwhile_are_kept(letters):
    """Nothing that is written during attempts is lost."""
    over = threading.Event()
    written = []

    def write():
        while not over.is_set():
            letters.write("to", *entries(1, len(written)), BAD)
            written.append(1)

    thread = threading.Thread(target=write)
    thread.start()
    taken = []
    for _ in range(50):
        letters.retry("to", lambda batch: taken.extend(one.id for one in batch) or ALL_TAKEN)
    over.set()
    thread.join()

    assert sorted([*taken, *ids(letters.read())]) == sorted(f"id-{n}" for n in range(len(written)))
    assert letters.revived == len(taken)


@pytest.mark.parametrize("name", ["../../etc/passwd", ".", "", "a b", "ü", "x" * 200])
def test_any_name_makes_a_safe_file(name):
    """The file of a destination stays in its folder, and names do not collide."""
    made = dead.file_name(name)

    assert made.replace(".", "").replace("_", "").isalnum()
    assert len(made) < 100
    assert made != dead.file_name(name + "!")
