"""What a machine does to a service: nothing durable is lost, altered, or stored twice by it.

Real processes ship to a strict fake of Elasticsearch; a second one of the same service begins
afterwards, as after a restart.
"""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise

import pytest

from obskit import cli, health
from obskit.shipping import backends, shipper, target
from obskit.shipping.dead import DeadLetters
from obskit.shipping.road import Road
from obskit.shipping.spool import ledger, records
from tests.fakes.fake import PRODUCTS, WEB, Fake

LINES = tuple(name for name in PRODUCTS if name != "zipkin")
PROGRAM = """
import multiprocessing, os, resource, signal, sys, threading, time
{before}
import obskit
obskit.init("shop", metrics_port="off", log_stream=os.environ.get("STREAM", os.devnull))
log, audit = obskit.get_logger("x"), obskit.get_logger("audit")
{body}
"""


@pytest.fixture
def fake():
    """Give a server."""
    with Fake("elasticsearch") as one:
        yield one


@pytest.fixture
def begin(tmp_path, fake):
    """Give what starts a process of the service."""
    made = []

    def start(body, before="", launcher=(), **environment):
        variables = {
            "OBSKIT_SPOOL": str(tmp_path / "spools"),
            "OBSKIT_SHIP": fake.url,
            "OBSKIT_DURABLE": "audit",
            "PYTHONUNBUFFERED": "1",
        }
        made.append(
            subprocess.Popen(
                [*launcher, sys.executable, "-c", PROGRAM.format(before=before, body=body)],
                env={**os.environ, **variables, **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        )
        return made[-1]

    yield start
    for one in made:
        one.kill()
        one.communicate()


def ended(process, seconds=20):
    """Wait until a process has ended; return what it has said."""
    return process.communicate(timeout=seconds)[0].decode()


def messages(fake, logger="audit"):
    """Return how often the server has each line of a logger."""
    return Counter(one["message"] for one in fake.received if one["logger"] == logger)


def numbers(count, first=0):
    """Return the messages of lines that were numbered, once each."""
    return Counter(map(str, range(first, first + count)))


def standing(tmp_path):
    """Return how the only destination stands; the account adds up."""
    (found,) = ledger(tmp_path / "spools" / "shop").standings
    assert found.logged == found.taken + found.dead + sum(found.dropped.values()) + found.waiting
    return found


DURABLE = "for n in range(300): audit.info(str(n))"
ENDS = {
    "return": "",
    "sys.exit": "sys.exit(3)",
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)",
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "os._exit": "os._exit(0)",
    "crash": "os.abort()",
    "exec": "os.execv('/bin/true', ['true'])",
    "thread at the end": "threading.Timer(0.1, lambda: audit.info('300')).start()",
}


@pytest.mark.parametrize("end", ENDS)
def test_however_a_process_ends_each_durable_line_is_stored_once(begin, fake, tmp_path, end):
    """At the latest when the next process of the service is there."""
    ended(begin(f"{DURABLE}\n{ENDS[end]}"))
    ended(begin("audit.info('next')"))

    expected = numbers(301 if end.startswith("thread") else 300) | Counter(["next"])
    assert messages(fake) == expected
    assert standing(tmp_path).waiting == 0


@pytest.mark.parametrize("end", ["return", "sys.exit", "SIGTERM", "os._exit"])
def test_best_effort_lines_of_an_end_that_python_sees(begin, fake, end):
    """All of them are stored, the last ones too."""
    body = "for n in range(300): log.info(str(n))"
    ended(begin(f"{body}\n{ENDS[end]}"))
    ended(begin("audit.info('next')"))

    assert messages(fake, "x") == numbers(300)


@pytest.mark.parametrize("end", ["SIGKILL", "crash", "exec"])
def test_best_effort_lines_of_an_end_that_nobody_sees(begin, fake, end):
    """Those of the last moment may be gone, and none that is a third of a second old."""
    body = "for n in range(300): log.info(str(n)); n == 199 and time.sleep(0.3)"
    ended(begin(f"{body}\n{ENDS[end]}"))
    ended(begin("audit.info('next')"))
    found = messages(fake, "x")

    assert max(found.values()) == 1
    assert set(numbers(200)) <= set(found) <= set(numbers(300))


def test_an_exit_handler_that_runs_after_ours(begin, fake):
    """What it logs durably is sent by the next process."""
    ended(begin(DURABLE, "import atexit; atexit.register(lambda: audit.info('300'))"))
    ended(begin("audit.info('next')"))

    assert messages(fake) == numbers(301) | Counter(["next"])


def test_children_of_a_fork_and_of_multiprocessing(begin, fake):
    """Each brings its own lines, and none of its parent's again."""
    body = """
def work(first):
    for n in range(first, first + 50): audit.info(str(n)); log.info(str(n))
work(0)
if os.fork() == 0:
    work(50)
    os._exit(0)
child = multiprocessing.get_context("fork").Process(target=work, args=(100,))
child.start(); child.join(); os.wait()
"""
    ended(begin(body))
    ended(begin("audit.info('next')"))

    assert messages(fake) == numbers(150) | Counter(["next"])
    assert messages(fake, "x") == numbers(150)


def test_a_process_is_killed_amid_its_sending(begin, fake):
    """What was in flight is sent again by the next one, and stored once."""
    fake.faults.use("cut after acceptance", times=3)
    body = "for n in range(3000): audit.info(str(n)); n % 300 or time.sleep(0.05)"
    process = begin(body + "\nprint('all'); time.sleep(60)")
    deadline = time.monotonic() + 15
    while len(fake.received) < 600 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    ended(process)
    ended(begin("audit.info('next')"))

    found = messages(fake)
    del found["next"]
    assert len(found) + 1 >= 600
    assert found == numbers(len(found))


def test_two_processes_share_a_spool(begin, fake, tmp_path):
    """Lines of both arrive, each once, and the account has them all."""
    body = "for n in range({0}, {0} + 500): audit.info(str(n)); log.info(str(n))"
    for process in [begin(body.format(first)) for first in (0, 500)]:
        ended(process)
    ended(begin("audit.info('next')"))

    assert messages(fake) == numbers(1000) | Counter(["next"])
    assert messages(fake, "x") == numbers(1000)
    assert standing(tmp_path).taken == standing(tmp_path).logged == len(fake.received)


@pytest.mark.parametrize("jump", [-400 * 86400, 400 * 86400])
def test_a_clock_that_jumps_costs_nothing(begin, fake, tmp_path, jump):
    """Backwards or forwards, while it runs and across a restart."""
    before = f"""
real, real_ns, by = time.time, time.time_ns, [0]
time.time = lambda: real() + by[0]
time.time_ns = lambda: real_ns() + int(by[0] * 1e9)
jump = {jump}
"""
    body = "for n in range(200): audit.info(str(n)); by[0] = jump * (n >= 100)"
    ended(begin(body + "\nos.kill(os.getpid(), 9)", before))
    ended(begin("by[0] = jump\nfor n in range(200, 300): audit.info(str(n))", before))
    ended(begin("audit.info('next')"))

    assert messages(fake) == numbers(300) | Counter(["next"])
    assert standing(tmp_path).waiting == 0
    years = {one["@timestamp"][:4] for one in fake.received}
    assert len(years) > 1


def test_a_spool_that_cannot_be_made(begin, fake, tmp_path):
    """Lines are sent from memory, and one of them says why."""
    (tmp_path / "file").write_text("")
    said = ended(begin(f"{DURABLE}\nprint(obskit.status())", OBSKIT_SPOOL=str(tmp_path / "file")))

    assert messages(fake) == numbers(300)
    assert "no spool: " in said


def test_a_file_size_limit_stops_nobody(begin, fake, tmp_path):
    """The spool takes what it may, the rest goes from memory; the program hears nothing of it."""
    before = "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, resource.RLIM_INFINITY))"
    said = ended(begin(f"{DURABLE}\ntime.sleep(1)\nprint('well')", before))

    assert said == "well\n"
    assert messages(fake) == numbers(300)


def has_mounts():
    """Tell whether a file system may be mounted here."""
    words = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_mounts(), reason="nothing can be mounted here")
def test_a_disk_that_is_full_costs_nobody_a_line(begin, fake, tmp_path):
    """While the server is away as well; what does not fit waits in memory, and is counted."""
    folder = tmp_path / "spools"
    folder.mkdir()
    script = f'mount -t tmpfs -o size=128k tmpfs {folder} && exec "$@"'
    fake.faults.use("refused")
    body = """
begun = time.monotonic()
for n in range(1500): audit.info(str(n), more="x" * 100)
print("logged", time.monotonic() - begun < 2)
time.sleep(3)
print(obskit.status())
"""
    process = begin(body, launcher=("unshare", "-m", "sh", "-c", script, "sh"))
    assert process.stdout.readline() == b"logged True\n"
    fake.faults.clear()
    said = ended(process)

    assert messages(fake) == numbers(1500)
    assert "not spooled" in said


def test_a_server_that_is_away_for_long_and_a_spool_that_is_full(begin, fake, tmp_path):
    """Best-effort lines go first, the oldest ones, and are counted; durable ones stay."""
    fake.faults.use("refused")
    pad = "x" * 500
    body = f"""
for n in range(3000):
    log.info(str(n), pad={pad!r})
    n % 50 or audit.info(str(n // 50), pad={3 * pad!r})
    n % 200 or time.sleep(0.03)
time.sleep(0.3)
"""
    ended(begin(body, OBSKIT_SPOOL_SIZE="1000000"))
    fake.faults.clear()
    ended(begin("audit.info('next')"))
    found = standing(tmp_path)

    assert messages(fake) == numbers(60) | Counter(["next"])
    assert found.waiting == 0
    assert found.dropped["spool full"] > 500
    kept = sorted(int(message) for message in messages(fake, "x"))
    assert kept[-1] == 2999
    assert kept[0] > 0
    assert found.taken == len(fake.received)


def test_a_stdout_that_nobody_reads_holds_up_nothing(begin, fake):
    """What is shipped does not wait for what is printed, nor is it dropped with that."""
    body = """
begun = time.monotonic()
for n in range(20000): log.info(str(n), pad="x" * 500); n % 200 or audit.info(str(n // 200))
os.write(2, b"logged %d" % (time.monotonic() - begun < 8))
time.sleep(2)
os.kill(os.getpid(), 9)
"""
    process = begin(body, STREAM="stdout", OBSKIT_LOG_QUEUE="16MiB")
    process.wait(30)
    ended(begin("audit.info('next')"))

    assert messages(fake) == numbers(100) | Counter(["next"])
    assert messages(fake, "x") == numbers(20000)


def test_a_newer_spool_is_left_alone_and_told(begin, fake, tmp_path, capsys, monkeypatch):
    """Who goes back to an older version loses nothing: the newer one sends it later."""
    folder = tmp_path / "spools" / "shop"
    folder.mkdir(parents=True)
    newer = folder / f"{'0' * 5}1{'a' * 16}.ld"
    newer.write_bytes(records.head(records.VERSION + 1) + b"what only the newer one knows")
    content = newer.read_bytes()
    ended(begin("audit.info('0')"))
    monkeypatch.setenv("OBSKIT_SPOOL", str(tmp_path / "spools"))
    cli.main(["ship", "--status", "--service", "shop"])

    assert messages(fake) == numbers(1)
    assert newer.read_bytes() == content
    told = f"{newer.name} is of a newer version of obskit, and left alone"
    assert told in capsys.readouterr().out


def test_one_process_ships_to_all_products(begin, tmp_path):
    """To thirteen at once, each with its own account, and spans to the one that wants them."""
    fakes = [Fake(name) for name in PRODUCTS]
    try:
        urls = " ".join(one.url for one in fakes)
        body = f"{DURABLE}\nwith obskit.unit_of_work('bill'):\n with obskit.observe('charge'): pass"
        ended(begin(body, OBSKIT_SHIP=urls))
        ended(begin("", OBSKIT_SHIP=urls))
        for one in fakes:
            found = Counter(event["message"] for event in one.stored)
            expected = {"charge": 1} if one.name == "zipkin" else numbers(300)
            if one.name == "gelf udp":  # the system drops datagrams that nobody has read in time
                assert max(found[message] for message in expected) == 1
                continue
            assert all(found[message] == 1 for message in expected), one.name
        standings = ledger(tmp_path / "spools" / "shop").standings
        assert len(standings) == len(PRODUCTS)
        assert {(one.waiting, one.dead, len(one.dropped)) for one in standings} == {(0, 0, 0)}
    finally:
        for one in fakes:
            one.stop()


def test_hanging_servers_do_not_keep_a_process(begin, tmp_path):
    """It ends within five seconds though all of them hang; its lines wait."""
    fakes = [Fake(name) for name in WEB]
    try:
        for one in fakes:
            one.faults.use("hang")
        urls = " ".join(one.url for one in fakes)
        process = begin(f"{DURABLE}\nprint('logged')", OBSKIT_SHIP=urls)
        assert process.stdout.readline() == b"logged\n"
        begun = time.monotonic()
        ended(process)
        assert time.monotonic() - begun < 5
        standings = ledger(tmp_path / "spools" / "shop").standings
        assert len(standings) == len(WEB)
        assert all(one.waiting >= 300 for one in standings if one.kind == "line")
    finally:
        for one in fakes:
            one.stop()


@pytest.fixture
def quick(monkeypatch):
    """Let pauses be short, and counts begin at nothing."""
    monkeypatch.setattr(shipper, "LINGER_SECONDS", 0.01)
    monkeypatch.setattr(shipper, "FIRST_PAUSE", 0.01)
    health.reset()
    yield
    health.reset()


@pytest.fixture
def road(tmp_path, fake, quick):
    """Give what makes a road to the server."""
    made = []

    def make():
        backend = backends.open(target.parse(fake.url), {"service": "shop"})
        folder = str(tmp_path / "spools" / "shop")
        made.append(Road({"to": backend}, folder, 10**7, 10**6, False, lambda *_: None))
        return made[-1]

    yield make
    for one in made:
        one.close()


def log(road, numbers):
    """Log durable lines."""
    for number in numbers:
        line = {"timestamp": "2026-01-31T12:00:00.000000Z", "level": "info"}
        line |= {"message": str(number), "logger": "audit"}
        road.take_durably(json.dumps(line, separators=(",", ":")).encode() + b"\n", False)


def sent(road):
    """Send until nothing waits."""
    road.tend()
    deadline = time.monotonic() + 10
    while road.left()["to"] and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_for_a_while(road, fake, tmp_path, monkeypatch, code):
    """Full, read-only, broken: lines go on in memory, each arrives once, and it is told."""
    one = road()
    log(one, range(10))
    sent(one)
    write, pwrite = os.write, os.pwrite

    def fails(descriptor):
        if str(tmp_path / "spools") in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "write", lambda fd, data: fails(fd) or write(fd, data))
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: fails(fd) or pwrite(fd, data, at))
    log(one, range(10, 30))
    sent(one)
    assert os.strerror(code) in one.status()["to"]["trouble"]
    assert health.lost == {("durability", "not spooled"): 20}
    monkeypatch.undo()
    log(one, range(30, 40))
    sent(one)

    assert messages(fake) == numbers(40)
    assert standing(tmp_path).waiting == 0


def test_a_folder_that_is_removed_while_it_is_used(road, fake, tmp_path):
    """What had not been sent is put there again; all goes on."""
    fake.faults.use("503")
    one = road()
    one.tend()
    log(one, range(20))
    shutil.rmtree(tmp_path / "spools")
    time.sleep(1.1)
    log(one, range(20, 40))
    fake.faults.clear()
    one.tend()
    sent(one)

    assert messages(fake) == numbers(40)


def test_a_damaged_byte_costs_its_line(road, fake, tmp_path):
    """Wherever it is: the others are stored, and what is missing is counted as damaged."""
    fake.faults.use("refused")
    one = road()
    log(one, range(40))
    one.close()
    [segment] = (tmp_path / "spools" / "shop").glob("*.ld")
    data = bytearray(segment.read_bytes())
    places = range(30, len(data) - 60, len(data) // 9)
    for at in places:
        data[at] ^= 0x55
    segment.write_bytes(data)
    fake.faults.clear()
    other = road()
    sent(other)
    found = standing(tmp_path)

    assert found.logged == 40
    assert found.dropped == {"damaged": len(places)}
    assert found.taken == len(messages(fake)) == 40 - len(places)
    assert set(messages(fake)) < set(numbers(40))
    assert all(int(a) < int(b) for a, b in pairwise(messages(fake)))


def test_dead_letters_that_cannot_be_written(road, fake, tmp_path):
    """What is refused then is counted as dropped, with the reason, and all others arrive."""
    fake.faults.poison = '"7"'
    one = road()
    (tmp_path / "spools" / "shop" / "dead").write_text("no folder")
    log(one, range(20))
    sent(one)
    found = standing(tmp_path)

    assert (found.taken, found.dead, found.dropped) == (19, 0, {"refused: status 400": 1})
    assert DeadLetters(tmp_path, "to").read() == []
