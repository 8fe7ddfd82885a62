"""Each destination gets all that is there, whatever has happened to the files."""

import errno
import os
import shutil
from itertools import pairwise

import pytest

from obskit import health
from obskit.shipping.spool import Appender, Reader, account, ledger, records, segments
from obskit.shipping.spool.writer import Writer
from tests.shipping.spool.spools import drain, drained, files, lines, numbers, standing

# Python warns of it since 3.12; that it does no harm here is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def test_batches_are_bounded_and_in_order(folder, appender):
    """All is read once, the oldest first."""
    appender.append(lines(25), True)
    reader = Reader(folder, "es")
    sizes = []
    while batch := reader.batch(10, 1 << 20):
        sizes.append(numbers(entry.body for entry in batch))
        reader.decide(taken=len(batch))

    assert [len(one) for one in sizes] == [10, 10, 5]
    assert [one for some in sizes for one in some] == list(range(25))


def test_a_batch_that_is_not_decided_comes_again(folder, appender):
    """It has the same ids, from this reader and from the next one."""
    appender.append(lines(5), True)
    reader = Reader(folder, "es")
    first = reader.batch(3, 1 << 20)
    reader.decide(taken=2)

    assert reader.batch(3, 1 << 20) == first
    assert Reader(folder, "es").batch(3, 1 << 20) == first
    assert standing(folder).waiting == 5


def test_a_decided_batch_does_not(folder, appender):
    """Not in this process and not in the next one."""
    appender.append(lines(5), True)
    reader = Reader(folder, "es")
    reader.batch(3, 1 << 20)
    reader.decide(taken=1)
    reader.decide(dead=1, dropped={"too large": 1})

    assert numbers(drained(folder)) == [3, 4]
    one = standing(folder)
    assert (one.logged, one.taken, one.dead, one.dropped) == (5, 3, 1, {"too large": 1})


def test_more_cannot_be_decided_than_there_is(folder, appender):
    """The account would not add up."""
    appender.append(lines(2), True)
    reader = Reader(folder, "es")
    reader.batch(9, 1 << 20)

    with pytest.raises(ValueError, match="3 decided of 2"):
        reader.decide(taken=3)


def test_ids_are_unique_and_stay(folder, appender):
    """An id is that of a place in a file, which never changes."""
    appender.append(lines(10), True)
    appender.append(lines(10), False)
    first = Reader(folder, "es").batch(99, 1 << 20)
    appender.close()

    assert Reader(folder, "humio").batch(99, 1 << 20) == first
    assert len({entry.id for entry in first}) == 20
    assert all(len(entry.id.split("-")[0]) == 22 for entry in first)


def test_destinations_go_at_their_own_pace(folder, appender):
    """What all of them have behind them is deleted, and only that."""
    appender.append(lines(5), True)
    appender.close()
    fast, slow = (Reader(folder, name, known=("es", "humio")) for name in ("es", "humio"))

    assert (len(drain(fast)), len(files(folder))) == (5, 1)
    assert (len(drain(slow)), files(folder)) == (5, [])
    assert [standing(folder, name).taken for name in ("es", "humio")] == [5, 5]


def test_a_new_destination_begins_at_what_is_there(folder, appender):
    """It gets what waits for others, too."""
    appender.append(lines(5), True)
    drained(folder)
    appender.append(lines(5, 5), True)

    assert numbers(drained(folder, "humio")) == list(range(10))


def test_a_destination_that_vanished_holds_nothing_back(folder, appender):
    """Nobody will send to it."""
    Reader(folder, "gone", known=("es", "gone"))
    appender.append(lines(5), True)
    appender.close()
    drained(folder, "es", known=("es", "gone"))
    assert len(files(folder)) == 1

    Reader(folder, "es", known=("es",))
    assert files(folder) == []


def test_a_known_destination_that_has_not_begun_holds_all_back(folder, appender):
    """Its reader may be made a moment later."""
    appender.append(lines(5), True)
    appender.close()
    drained(folder, "es", known=("es", "humio"))

    assert len(drained(folder, "humio", known=("es", "humio"))) == 5
    assert files(folder) == []


def test_kinds_are_kept_apart(folder, appender):
    """A destination for spans gets spans, and neither holds the other's back."""
    appender.append(lines(3), False)
    appender.append([b"span"], False, "span")
    appender.close()
    known = ("es", "zipkin")
    readers = [Reader(folder, "es", "line", known), Reader(folder, "zipkin", "span", known)]

    assert [len(drain(reader)) for reader in readers] == [3, 1]
    assert files(folder) == []


def test_durable_lines_go_first(folder, appender):
    """They are to be lost last."""
    appender.append([b"best effort"], False)
    appender.append([b"durable"], True)

    assert drained(folder) == [b"durable", b"best effort"]


def written(folder, count, length=40):
    """Return path and bytes of a finished segment, and the places of its records."""
    writer = Writer(folder, "line", True)
    ends = [records.HEAD_SIZE]
    for body in lines(count, 0, length):
        writer.append(body)
        ends.append(writer.size)
    writer.finish()
    (one,) = segments.listing(folder)
    with open(one.path, "rb") as file:
        return one.path, file.read(), ends


def read_again(folder, path, data):
    """Put *data* in the place of a segment; return what is read and the account."""
    shutil.rmtree(folder)
    os.makedirs(folder)
    with open(path, "wb") as file:
        file.write(data)
    return numbers(drained(folder)), standing(folder)


def test_each_byte_may_be_damaged(folder):
    """A flipped byte anywhere costs the record that it is in, which is counted, and no other."""
    path, data, ends = written(folder, 5, 5)
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0xFF
        hit = next((n for n in range(5) if ends[n] <= at < ends[n + 1]), None)
        found, one = read_again(folder, path, bytes(damaged))

        assert found == [n for n in range(5) if n != hit], at
        assert one.dropped == ({} if hit is None else {"damaged": 1}), at
        assert one.logged == 5, at
        assert files(folder) == [], at


def test_each_byte_may_be_the_last(folder):
    """A file that is cut anywhere costs what is cut, and the record in the middle is counted."""
    path, data, ends = written(folder, 4, 5)
    for size in range(len(data)):
        found, one = read_again(folder, path, data[:size])
        whole = sum(end <= size for end in ends[1:])
        torn = any(end + 6 < size < later for end, later in pairwise(ends))

        assert found == list(range(whole)), size
        assert one.dropped == ({"damaged": 1} if torn else {}), size
        assert files(folder) == [], size


def test_several_damages_cost_what_they_hit(folder):
    """However many bytes are zeroed in the middle, the number of the next record tells all."""
    path, data, ends = written(folder, 20)
    damaged = data[: ends[3] + 5] + bytes(ends[9] - ends[3]) + data[ends[9] + 5 :]
    found, one = read_again(folder, path, damaged)

    assert found == [0, 1, 2, *range(10, 20)]
    assert one.dropped == {"damaged": 7}


def test_bytes_put_in_between_cost_nothing(folder):
    """Rubbish between two records is passed over."""
    path, data, ends = written(folder, 4)
    found, one = read_again(folder, path, data[: ends[2]] + b"\xf9\xfarubbish" + data[ends[2] :])

    assert (found, one.dropped, one.logged) == ([0, 1, 2, 3], {}, 4)


def test_what_is_being_written_is_waited_for(folder):
    """Half a record of a living writer is no damage."""
    writer = Writer(folder, "line", True)
    writer.append(b"first")
    with open(segments.listing(folder)[0].path, "ab", buffering=0) as file:
        body = records.encode(records.LINE, 1, b"second", writer._seed)
        file.write(body[:20])
        reader = Reader(folder, "es")
        first = drain(reader)
        file.write(body[20:])

        assert [entry.body for entry in first + drain(reader)] == [b"first", b"second"]
    writer.leave()
    assert standing(folder).dropped == {}


def test_a_newer_version_is_left_alone_and_reported(folder, appender):
    """Its lines are for a reader that knows it."""
    path, data, _ = written(folder, 1)
    with open(path, "wb") as file:
        file.write(records.head(2) + data[records.HEAD_SIZE :])
    reader = Reader(folder, "es")

    assert drain(reader) == []
    assert reader.unknown == (path,)
    assert ledger(folder).unknown == (os.path.basename(path),)
    assert os.path.exists(path)


def test_what_is_given_up_while_it_is_read_counts_as_that(folder, monkeypatch):
    """It was no damage that took it."""
    writer = Writer(folder, "line", False)
    writer.append_all(lines(9))
    writer.finish()
    (one,) = segments.listing(folder)
    reader, ask = Reader(folder, "es"), segments.is_written

    def interrupted(descriptor):
        monkeypatch.undo()
        assert segments.give_up(one)
        return ask(descriptor)

    monkeypatch.setattr(segments, "is_written", interrupted)
    assert reader.batch(5, 999) == []
    drain(reader)

    assert standing(folder).dropped == {"spool full": 9}


def test_an_unreadable_segment_does_not_hinder_others(folder, appender, monkeypatch):
    """What cannot be read now is left for later, and said."""
    appender.append([b"one"], True)
    other = Appender(folder, 1 << 20)
    other.append([b"two"], True)
    bad, total = segments.listing(folder)[0].path, segments.read
    broken = OSError(5, "Input/output error")

    def read(segment, *rest):
        if segment.path == bad:
            raise broken
        return total(segment, *rest)

    reader = Reader(folder, "es")
    with monkeypatch.context() as patch:
        patch.setattr(segments, "read", read)
        assert [entry.body for entry in reader.batch(9, 999)] == [b"two"]
        assert reader.trouble == "Input/output error"
    assert sorted(entry.body for entry in reader.batch(9, 999)) == [b"one", b"two"]
    assert reader.trouble == ""
    other.close()


def test_a_ledger_that_cannot_be_written(folder, appender, monkeypatch):
    """Delivery goes on, and the next ledger that can be written has it all."""
    appender.append(lines(4), True)
    reader = Reader(folder, "es")
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda *_: 0)
        assert len(reader.batch(2, 1 << 20)) == 2
        reader.decide(taken=2)
    assert reader.trouble == "No space left on device"
    assert "shipping.spool.reader" in health.internal_errors

    assert len(drain(reader)) == 2
    assert standing(folder).taken == 4


def test_a_disk_without_room_for_a_new_ledger(folder, appender, monkeypatch):
    """What is in the spool is sent nevertheless, and the ledger has it all when there is room."""
    appender.append(lines(4), True)
    with monkeypatch.context() as patch:
        patch.setattr(account, "_replace", no_room)
        reader = Reader(folder, "es")
        assert reader.trouble == "No space left on device"
        assert len(drain(reader)) == 4
        assert ledger(folder).standings == ()
    assert drain(reader) == []

    assert (standing(folder).logged, standing(folder).taken) == (4, 4)


def no_room(*_):
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_damaged_ledger_is_as_good_as_none(folder, appender):
    """All of the spool is sent again rather than lost."""
    appender.append(lines(4), True)
    drained(folder)
    path = account.path_of(folder, "es")
    with open(path, "r+b") as file:
        file.write(b"\0" * os.path.getsize(path))

    assert len(drained(folder)) == 4


def test_a_removed_folder_is_no_trouble(folder, appender):
    """There is nothing to read then, and the ledger is made anew."""
    appender.append(lines(4), True)
    reader = Reader(folder, "es")
    drain(reader)
    shutil.rmtree(folder)
    assert drain(reader) == []
    other = Appender(folder, 1 << 20)
    other.append(lines(2), True)

    assert len(drain(reader)) == 2
    assert standing(folder).taken == 6
    other.close()


def test_a_child_reads_nothing(folder, appender):
    """What is there is for its parent to send."""
    appender.append(lines(4), True)
    reader = Reader(folder, "es")
    child = os.fork()
    if child == 0:
        batch = reader.batch(9, 999)
        reader.decide(taken=4)
        os._exit(len(batch))

    assert os.waitpid(child, 0)[1] == 0
    assert len(drain(reader)) == 4


def test_cursors_do_not_pile_up(folder):
    """What was deleted leaves nothing in the ledger."""
    reader = Reader(folder, "es")
    for number in range(20):
        one = Appender(folder, 1 << 20)
        one.append(lines(1, number), True)
        one.close()
        assert len(drain(reader)) == 1
    drain(reader)

    assert len(account.load(folder, "es").cursors) <= 1
