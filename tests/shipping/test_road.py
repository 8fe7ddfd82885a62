"""Lines of all processes of a service reach all destinations, by whichever process is there."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from obskit import health
from obskit.shipping import shipper
from obskit.shipping.road import Road
from obskit.shipping.spool import ledger
from tests.shipping.scripted import DOWN, Scripted

# A process that ships to a file, as a service does; its end is what the test says.
PROGRAM = """
import os, signal, sys, threading, time
import obskit
obskit.init("shop", metrics_port="off", log_stream=os.devnull)
log, audit = obskit.get_logger("x"), obskit.get_logger("audit")
{body}
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Let pauses be short, and counts begin at nothing."""
    monkeypatch.setattr(shipper, "LINGER_SECONDS", 0.01)
    monkeypatch.setattr(shipper, "FIRST_PAUSE", 0.01)
    health.reset()
    yield
    health.reset()


@pytest.fixture
def make(tmp_path):
    """Give what makes roads into the spool of one service."""
    made = []

    def start(*, folder=tmp_path / "spool", spares=False, **backends):
        place = str(folder) if folder else None
        made.append(Road(backends, place, 10**7, 10**6, False, lambda *one: None, spares))
        return made[-1]

    yield start
    for one in made:
        one.close()


def until(condition, seconds=10.0):
    """Wait until *condition* is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def soon():
    """Return the time until which a flush may take."""
    return time.monotonic() + 5


def test_lines_reach_each_destination(make):
    """A slow one does not hold up another."""
    fast, slow = Scripted(), Scripted(DOWN)
    road = make(fast=fast, slow=slow)
    for number in range(20):
        road.take(b"%d\n" % number)

    assert road.flush(soon())
    assert fast.taken == slow.taken == [b"%d" % number for number in range(20)]
    assert all(one["sent"] == 20 for one in road.status().values())


def test_spans_go_where_spans_are_wanted(make):
    """Lines do not."""
    lines, spans = Scripted(), Scripted(kind="span")
    road = make(lines=lines, spans=spans)
    road.take(b"line\n")
    road.take_span(b"span")

    assert road.flush(soon())
    assert (lines.taken, spans.taken) == ([b"line"], [b"span"])


def test_a_second_process_leaves_its_lines_to_the_first(make):
    """Only one sends; what the other one has is in the spool."""
    first, second = Scripted(), Scripted()
    one = make(to=first)
    one.take(b"a\n")
    assert one.flush(soon())

    other = make(to=second)
    other.take(b"b\n")
    other.store(soon())

    until(lambda: first.taken == [b"a", b"b"])
    assert second.taken == []
    assert not other.sends


def test_another_process_goes_on_when_the_sender_ends(make):
    """Nothing is sent twice."""
    first, second = Scripted(), Scripted()
    one = make(to=first)
    one.take(b"a\n")
    one.flush(soon())
    other = make(to=second)
    other.take(b"b\n")
    other.store(soon())
    until(lambda: len(first.taken) == 2)
    one.close()

    other.take(b"c\n")
    assert other.flush(soon())
    assert second.taken == [b"c"]


def test_without_a_spool_lines_are_sent_from_memory(make):
    """That there is none is no trouble where it was asked for."""
    to = Scripted(DOWN)
    road = make(folder=None, to=to)
    for number in range(20):
        road.take(b"%d\n" % number)

    assert road.flush(soon())
    assert to.taken == [b"%d" % number for number in range(20)]
    assert road.status()["to"]["spool"] == "off"


def test_a_folder_that_cannot_be_used_is_told(make, tmp_path):
    """Lines are sent from memory, and the status says why."""
    (tmp_path / "file").write_text("")
    to = Scripted()
    road = make(folder=tmp_path / "file" / "below", to=to)
    road.take(b"a\n")

    assert road.flush(soon())
    assert to.taken == [b"a"]
    assert "no spool" in road.status()["to"]["trouble"]


def test_a_ledger_that_cannot_be_read_is_tried_again(make, tmp_path):
    """The other destination goes on meanwhile, and nothing is sent to it twice for that."""
    ledger_file = tmp_path / "spool" / "bad.ledger"
    ledger_file.mkdir(parents=True)
    good, bad = Scripted(), Scripted()
    road = make(good=good, bad=bad)
    for number in range(3):
        road.take(b"%d\n" % number)
        road.store(soon())
        road.tend()
        until(lambda: len(good.taken) == number + 1)  # noqa: B023
    assert bad.taken == []
    assert road.status()["bad"]["trouble"] == "no ledger: Is a directory"
    ledger_file.rmdir()
    road.tend()

    assert road.flush(soon())
    assert good.taken == bad.taken == [b"0", b"1", b"2"]


def test_a_road_that_is_closed_takes_no_lease(make):
    """Also where its thread is about to."""
    one, other = make(to=Scripted()), make(to=Scripted())
    one.close()
    one.tend()
    other.tend()

    assert (one.sends, other.sends) == (False, True)


def test_a_lease_that_cannot_be_had_is_told(make, tmp_path):
    """As where somebody else has made it; it is tried again, too."""
    lease = tmp_path / "spool" / "lease"
    lease.mkdir(parents=True)
    to = Scripted()
    road = make(to=to)
    road.take(b"a\n")
    road.store(soon())
    road.tend()
    assert road.status()["to"]["trouble"] == "no lease: Is a directory"
    lease.rmdir()

    assert road.flush(soon())
    assert to.taken == [b"a"]
    assert road.status()["to"]["trouble"] == ""


def test_what_is_in_memory_at_the_end_is_counted(make):
    """In the spool nothing is lost."""
    road = make(folder=None, to=Scripted(*[DOWN] * 100))
    for number in range(20):
        road.take(b"%d\n" % number)
    road.flush(soon())

    assert road.abandon("process ended") == 20
    assert health.lost == {("logs", "process ended"): 20}


def test_what_a_server_refuses_is_with_the_dead_letters(make, tmp_path):
    """One line each, with the answer, and the ledger adds up."""
    road = make(to=Scripted(poison=[b"3"]))
    for number in range(6):
        road.take(b"%d\n" % number)
    assert road.flush(soon())

    [letter] = (tmp_path / "spool" / "dead" / "to.ndjson").read_text().splitlines()
    assert json.loads(letter)["line"] == "3"
    assert json.loads(letter)["answer"] == "not this one"
    [standing] = ledger(tmp_path / "spool").standings
    assert (standing.logged, standing.taken, standing.dead) == (6, 5, 1)
    assert road.left() == {"to": 0}


def test_a_guest_leaves_what_others_have_yet_to_get(make):
    """A command that sends what waits to another place takes nothing from the service's own."""
    one = make(own=Scripted(*[DOWN] * 100))
    one.take(b"a\n")
    one.flush(soon())
    one.close()
    guest = make(other=Scripted(), spares=True)
    guest.tend()
    guest.flush(soon())
    until(lambda: guest.left() == {"other": 0})
    guest.close()

    own = Scripted()
    again = make(own=own)
    again.take(b"b\n")
    assert again.flush(soon())
    assert sorted(own.taken) == [b"a", b"b"]


def test_a_child_has_its_own_lines(make):
    """What waits in the parent is sent once, by the parent."""
    to = Scripted(DOWN)
    road = make(to=to)
    road.take(b"parent\n")
    until(lambda: road.sends)
    pid = os.fork()
    if pid == 0:
        try:
            road.take(b"child\n")
            os._exit(0 if road.store(soon()) and not road.sends else 1)
        except BaseException:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0

    # A flush gives up at the second failure in a row, of which there are three.
    until(lambda: road.flush(soon()))
    assert sorted(to.taken) == [b"child", b"parent"]


def run(tmp_path, body, **environment):
    """Run PROGRAM; return it when it has ended."""
    variables = {
        "OBSKIT_SPOOL": str(tmp_path / "spools"),
        "OBSKIT_SHIP": f"file://{tmp_path}/out.log",
        "OBSKIT_DURABLE": "audit",
    }
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body)],
        env={**os.environ, **variables, **environment},
        capture_output=True,
        timeout=30,
    )


def sent(tmp_path):
    """Return the messages that the file has got, but for those of obskit."""
    lines = map(json.loads, (tmp_path / "out.log").read_text().splitlines())
    return [line["message"] for line in lines if line["logger"] != "obskit"]


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("raise SystemExit('no')", 1),
    ],
)
def test_all_lines_are_sent_however_a_process_ends(tmp_path, end, status):
    """As long as it has any chance to."""
    done = run(tmp_path, f"for n in range(500): log.info(str(n))\n{end}")

    assert done.returncode == status, done.stderr
    assert sent(tmp_path) == [str(number) for number in range(500)]


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(0)"])
def test_durable_lines_outlive_whatever_ends_a_process(tmp_path, end):
    """The next process of the service sends them, and each once."""
    run(tmp_path, f"for n in range(200): audit.info(str(n))\n{end}")
    run(tmp_path, "log.info('next')")

    assert sorted(sent(tmp_path)) == sorted([*map(str, range(200)), "next"])


def test_best_effort_lines_are_in_the_spool_soon(tmp_path):
    """SIGKILL takes along what the last moment has brought, and no more."""
    run(tmp_path, "for n in range(200): log.info(str(n))\ntime.sleep(0.3)\nos.kill(os.getpid(), 9)")
    run(tmp_path, "log.info('next')")

    assert sorted(sent(tmp_path)) == sorted([*map(str, range(200)), "next"])


def test_a_server_that_hangs_does_not_keep_a_process_from_ending(tmp_path, silent):
    """It ends within five seconds; its lines wait in the spool."""
    begun = time.monotonic()
    done = run(tmp_path, "log.info('kept')", OBSKIT_SHIP=silent.replace("http", "loki+http", 1))

    assert done.returncode == 0
    assert time.monotonic() - begun < 6
    [standing] = ledger(tmp_path / "spools" / "shop").standings
    assert standing.waiting >= 1


def test_a_lease_that_cannot_be_had_is_said(tmp_path):
    """Lines wait while nobody sends them: the service says why, once, and when that is over."""
    said, to = [], Scripted()
    (tmp_path / "lease").mkdir()
    road = Road({"to": to}, str(tmp_path), 10**7, 10**6, False, lambda *one: said.append(one))
    road.take(b"a\n")
    road.flush(soon())
    road.tend()
    assert to.taken == []
    assert said == [
        (
            "lines cannot be sent",
            {"obskit_to": str(tmp_path), "obskit_reason": "no lease: Is a directory"},
        )
    ]

    (tmp_path / "lease").rmdir()
    road.tend()
    assert road.flush(soon())
    road.close()
    assert to.taken == [b"a"]
    assert said[1:] == [("lines are sent again", {"obskit_to": str(tmp_path)})]


def test_what_was_removed_just_before_the_end_is_sent_all_the_same(make, tmp_path):
    """Nothing is logged any more that would find out that the folder is gone, and the ledger is."""
    to = Scripted(DOWN)
    road = make(to=to)
    road.take_durably(b"a\n", False)
    road.take(b"b\n")
    road.store(soon())
    shutil.rmtree(tmp_path / "spool")

    assert road.flush(soon())
    assert set(to.taken) == {b"a", b"b"}
