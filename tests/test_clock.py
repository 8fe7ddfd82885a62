"""The causal clock in one process: tasks, threads, forks, signals, and what is on the wire."""

import asyncio
import contextvars
import dis
import itertools
import json
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit import clock
from obskit.clock import LARGEST_LC, LARGEST_N, LONGEST_HEADER, MOST_POINTERS, Cause
from obskit.order import CAUSED, SEEN_AFTER, Order, relation
from obskit.propagation import causal

A, B, C = "a" * 16, "b" * 16, "c" * 16


@pytest.fixture(autouse=True)
def alone():
    """Begin and end outside of a unit of work."""
    clock.attach(None)
    yield
    clock.attach(None)
    clock.join_line = None


def tick(message: str = "") -> dict:
    """Write a line and return what it says."""
    return {"message": message, **json.loads("{" + clock.tick() + "}")}


def word(lines: list[dict], one: str, other: str) -> str:
    """Return how two lines relate, by their messages."""
    found = {event.line["message"]: event for event in Order(lines).events}
    return relation(found[one], found[other])


def first_of(lines: list[dict]) -> list[str]:
    """Return the messages in causal order."""
    return [event.line["message"] for event in Order(lines).events]


def test_lines_of_one_unit_are_counted():
    """The first strand is the hop itself, and each line has the next number."""
    clock.attach(clock.begin(A))

    assert clock.tick() == f'"lc":1,"lc_at":"{A}-1"'
    assert clock.tick() == f'"lc":2,"lc_at":"{A}-2"'


def test_outside_of_a_unit_there_is_nothing():
    """No position: no fields, no header, nothing pending, and an answer is not heard."""
    clock.join(Cause(5))

    assert (clock.tick(), clock.header(), clock.pending(), clock.current()) == ("", None, 0, None)


def test_a_hop_begins_with_its_cause():
    """The first line points to what the sender had written, and to nothing again after that."""
    clock.attach(clock.begin(B, clock.parse(f"1.7.{A}-3")))

    assert tick() == {
        "message": "", "lc": 8, "lc_at": f"{B}-1", "lc_after": [f"{A}-3"], "lc_seen": [f"{A}-7"],
    }  # fmt: skip
    assert tick() == {"message": "", "lc": 9, "lc_at": f"{B}-2"}


def test_an_answer_comes_before_the_next_line():
    """The callee's lines are its cause, and the line names the one before the jump."""
    clock.attach(clock.begin(A))
    clock.tick()
    clock.join(clock.parse(f"1.9.{B}-4"))

    assert tick() == {
        "message": "", "lc": 10, "lc_at": f"{A}-2",
        "lc_after": [f"{B}-4"], "lc_seen": [f"{A}-1", f"{B}-9"],
    }  # fmt: skip


def test_what_is_behind_a_broken_hop_is_marked():
    """A hop that got the ID without a clock says so on each line and to everybody it calls."""
    clock.attach(clock.begin(A, broken=True))

    assert tick()["lc_broken"] is True
    assert clock.header() == f"1.1.{A}-1.x"
    clock.attach(clock.begin(B, clock.parse(clock.header())))
    assert tick()["lc_broken"] is True


def test_a_broken_answer_breaks_all_that_follows():
    """Also in tasks that had begun before."""
    clock.attach(clock.begin(A))
    before = tick("before")
    other = contextvars.copy_context()
    clock.join(clock.parse(f"1.9.{B}-4.x"))
    after, there = tick("after"), other.run(tick, "there")

    assert "lc_broken" not in before
    assert after["lc_broken"] is there["lc_broken"] is True
    assert clock.header().endswith(".x")


async def test_tasks_are_strands_of_their_own():
    """Two tasks of one request have different strands, which point to where they come from."""
    clock.attach(clock.begin(A))
    lines = [tick("start")]

    async def work(name):
        for number in range(3):
            lines.append(tick(f"{name}{number}"))
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(work("x"))
        group.create_task(work("y"))
    lines.append(tick("end"))

    assert len({line["lc_at"][:16] for line in lines}) == 3
    assert word(lines, "start", "x0") == word(lines, "start", "y2") == CAUSED
    assert word(lines, "x2", "end") in (CAUSED, SEEN_AFTER)
    assert word(lines, "x0", "y1") == SEEN_AFTER
    assert first_of(lines)[0] == "start"
    assert first_of(lines)[-1] == "end"


async def test_an_answer_that_a_task_took_in_is_known_to_who_waits_for_it():
    """A task that ends without a line still leaves what it heard to the request."""
    clock.attach(clock.begin(A))
    lines = [tick("start")]
    there = contextvars.Context()
    there.run(clock.attach, clock.begin(B, clock.parse(clock.header())))
    lines.append(there.run(tick, "callee"))

    async def call():
        clock.join(clock.parse(there.run(clock.header)))

    await asyncio.gather(call())
    lines.append(tick("end"))

    assert word(lines, "callee", "end") == SEEN_AFTER


async def test_work_in_a_thread_belongs_to_its_task():
    """What `to_thread` runs is caused by the line before it, and comes before the next one."""
    clock.attach(clock.begin(A))
    lines = [tick("start")]
    lines.append(await asyncio.to_thread(tick, "inside"))
    lines.append(tick("end"))

    assert word(lines, "start", "inside") == CAUSED
    assert word(lines, "inside", "end") == SEEN_AFTER


def test_threads_never_get_the_same_place():
    """Eight threads that share one context's position write no two lines with one place."""
    clock.attach(clock.begin(A))
    clock.tick()
    contexts = [contextvars.copy_context() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        runs = pool.map(lambda here: here.run(lambda: [tick() for _ in range(300)]), contexts)
        lines = [line for run in runs for line in run]

    assert len({line["lc_at"] for line in lines}) == 2400
    assert sorted(line["lc"] for line in lines) == list(range(2, 2402))
    assert not Order([{"lc": 1, "lc_at": f"{A}-1"}, *lines]).missing()


def test_what_is_heard_while_others_write_is_told_once():
    """Each pointer stands on one line, and the number of that line is larger than it."""
    clock.attach(clock.begin(A))
    contexts = [contextvars.copy_context() for _ in range(4)]
    seen = [f"{number:016x}-{number}" for number in range(1, 301)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def hear():
        for number, pointer in enumerate(seen, start=1):
            clock.join(Cause(number, (), (pointer,)))
        return []

    try:
        with ThreadPoolExecutor(4) as pool:
            work = [hear, *[lambda: [tick() for _ in range(400)]] * 3]
            runs = list(pool.map(lambda here, run: here.run(run), contexts, work))
    finally:
        sys.setswitchinterval(before)
    lines = [line for run in runs for line in run] + [tick()]

    assert len({line["lc"] for line in lines}) == len(lines)
    assert len({line["lc_at"] for line in lines}) == len(lines)
    told = [(p, line["lc"]) for line in lines for p in line.get("lc_seen", ()) if p[:16] != A]
    assert sorted(p for p, _ in told) == sorted(seen)
    assert all(lc > int(p[17:]) for p, lc in told)


@pytest.mark.parametrize(
    ("function", "compared", "stores"),
    [
        (clock._fields, {"head", "news"}, ["head", "lc"]),
        (clock._fields_with_news, {"head", "broken"}, ["head", "lc", "heard", "news"]),
        (clock.join, {"heard"}, ["floor", "heard", "news", "torn", "broken"]),
    ],
)
def test_from_the_comparison_to_the_last_store_nobody_comes_in_between(function, compared, stores):
    """There is no call and no loop, where alone CPython lets others go on."""
    code = list(dis.get_instructions(function))
    stored = [place for place, step in enumerate(code) if step.opname == "STORE_ATTR"]
    # What is called to return what it returns goes another way.
    calls = [
        place
        for place, (step, then) in enumerate(itertools.pairwise(code))
        if step.opname.startswith("CALL") and not then.opname.startswith("RETURN")
    ]
    before = max(place for place in calls if place < stored[0])
    loaded = {step.argval for step in code[before : stored[0]] if step.opname == "LOAD_ATTR"}

    assert sorted(code[place].argval for place in stored) == sorted(stores)
    assert compared <= loaded
    between = [step.opname for step in code[stored[0] : stored[-1]]]
    assert not [name for name in between if name.startswith("CALL") or "BACKWARD" in name]


def test_without_a_global_lock_a_number_is_taken_under_ours(monkeypatch):
    """The same fields, and nobody else in between."""
    monkeypatch.setattr(clock, "fields", clock._locked_fields)
    clock.attach(clock.begin(A))
    held = []
    monkeypatch.setattr(clock, "current", lambda: held.append(clock._lock._is_owned()))

    assert clock.tick() == ""
    assert held == [True]
    monkeypatch.undo()
    assert clock._locked_fields() == f',"lc":1,"lc_at":"{A}-1"'


def test_a_thread_that_goes_on_in_the_same_context_goes_on_in_its_strand():
    """Where nothing diverges there is one strand."""
    clock.attach(clock.begin(A))
    here = contextvars.copy_context()
    lines = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: lines.append(here.run(tick)))
        thread.start()
        thread.join()

    assert [line["lc_at"] for line in lines] == [f"{A}-1", f"{A}-2", f"{A}-3"]


def test_a_generator_goes_on_where_its_reader_is():
    """A generator has no context of its own: its lines are part of the reader's chain."""
    clock.attach(clock.begin(A))

    def rows():
        yield tick()
        yield tick()

    places = [line["lc_at"] for row in rows() for line in (row, tick())]

    assert places == [f"{A}-{n}" for n in range(1, 5)]


async def test_an_async_generator_closed_elsewhere_keeps_all_places_apart():
    """Its last lines may be written by another task: no place is given twice."""
    clock.attach(clock.begin(A))
    lines = []

    async def rows():
        try:
            while True:
                lines.append(tick())
                yield
        finally:
            lines.append(tick())

    stream = rows()
    await anext(stream)
    await asyncio.create_task(stream.aclose())
    lines.append(tick())

    assert len({line["lc_at"] for line in lines}) == 3


def in_child(work) -> list[dict]:
    """Fork, do *work* in the child, and return the lines that it writes."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(write, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        text = stream.read()
    os.waitpid(pid, 0)
    return json.loads(text)


pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
"""Python warns of forks beside threads; those of other tests may be there."""


def test_a_forked_child_has_strands_of_its_own():
    """Parent and child go on apart; both come after what was written before the fork."""
    clock.attach(clock.begin(A))
    lines = [tick("before")]
    other = contextvars.copy_context()
    tick_of_other = other.run(tick, "task")
    child = in_child(lambda: [tick("child 1"), tick("child 2")])
    lines += [tick_of_other, tick("parent"), *child]

    assert len({line["lc_at"] for line in lines}) == 5
    assert word(lines, "before", "child 1") == CAUSED
    assert word(lines, "task", "child 1") == SEEN_AFTER
    assert word(lines, "parent", "child 1") == "concurrent"
    assert not any(event.incomplete for event in Order(lines).events)


def test_tasks_of_a_forked_child_stay_together():
    """Several contexts of the parent are one hop in the child too: what one awaits is seen."""
    clock.attach(clock.begin(A))
    lines = [tick("before")]

    def work():
        inner = contextvars.copy_context().run(tick, "inner")
        return [inner, tick("outer"), {"sent": clock.header()}]

    *child, sent = in_child(work)
    lines += child
    there = contextvars.Context()
    there.run(clock.attach, clock.begin(B, clock.parse(sent["sent"])))
    lines.append(there.run(tick, "receiver"))

    assert child[0]["lc_hop"] == child[1]["lc_hop"]
    assert word(lines, "inner", "outer") == SEEN_AFTER
    assert word(lines, "inner", "receiver") == SEEN_AFTER
    assert not any(event.incomplete for event in Order(lines).events)


def test_a_child_that_writes_nothing_sends_the_truth():
    """What it sends comes after the parent's lines before the fork."""
    clock.attach(clock.begin(A))
    lines = [tick("before")]
    [sent] = in_child(lambda: [clock.header()])
    clock.attach(clock.begin(B, clock.parse(sent)))
    lines.append(tick("receiver"))

    assert word(lines, "before", "receiver") == CAUSED


def test_a_signal_handler_that_logs_inside_of_a_tick_breaks_nothing():
    """Handlers that interrupt the clock anywhere get places of their own, and no lock is stuck."""
    clock.attach(clock.begin(A))
    lines = []
    previous = signal.signal(signal.SIGALRM, lambda *_: lines.append(tick()))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        while len(lines) < 20_000:
            lines.append(tick())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)

    assert len({line["lc_at"] for line in lines}) == len(lines)
    assert sorted(line["lc"] for line in lines) == list(range(1, len(lines) + 1))
    assert not Order(lines).missing()


def test_numbers_are_dense_where_lines_are_filtered():
    """Only what is written is counted, so a level filter makes no hole."""
    clock.attach(clock.begin(A))
    lines = [tick() for level in ("debug", "info", "debug", "info") if level == "info"]

    assert [line["lc_at"] for line in lines] == [f"{A}-1", f"{A}-2"]


def heard(count: int) -> None:
    """Hear that many answers, each from another hop."""
    for number in range(1, count + 1):
        clock.join(Cause(number, (f"{number:016x}-3",), (f"{number:016x}-{number}",)))


def test_more_pointers_than_a_header_has_are_written_by_a_line():
    """The log is asked for a line, which takes them all, and the header points to that line."""
    clock.attach(clock.begin(A))
    lines = []
    clock.join_line = lambda: lines.append(tick("join"))
    clock.tick()
    heard(9)
    value = causal.value()

    assert len(lines[0]["lc_after"]) == 9
    assert value == f"1.{clock.base36(lines[0]['lc'])}.{A}-2"


def test_without_a_line_for_them_the_clock_is_broken_from_there():
    """A header that cannot say all says that something is missing."""
    clock.attach(clock.begin(A))
    clock.tick()
    heard(30)

    assert clock.header().endswith(".x")
    assert clock.pending() > MOST_POINTERS
    assert len(clock.header()) <= LONGEST_HEADER


@pytest.mark.parametrize("lines", [0, 1, 5])
@pytest.mark.parametrize("others", [0, 1, 2])
@pytest.mark.parametrize("silent", [False, True])
def test_a_receiver_knows_what_the_sender_knew(lines, others, silent):
    """What the sender wrote and heard comes before the receiver's lines, also over a silent hop."""
    clock.attach(clock.begin(A))
    written = [tick(f"own {n}") for n in range(lines)]
    for number in range(others):
        there = contextvars.Context()
        there.run(clock.attach, clock.begin(f"{number:016x}", clock.parse(clock.header())))
        written.append(there.run(tick, f"other {number}"))
        clock.join(clock.parse(there.run(clock.header)))
    header = clock.header()
    if silent:
        clock.attach(clock.begin(C, clock.parse(header)))
        header = clock.header()
    clock.attach(clock.begin(B, clock.parse(header)))
    last = tick("receiver")
    order = Order([*written, last])

    assert all(word([*written, last], line["message"], "receiver") == CAUSED for line in written)
    assert not any(event.incomplete for event in order.events)


ids = st.text("0123456789abcdef", min_size=16, max_size=16)
pointers = st.lists(st.tuples(ids, st.integers(1, LARGEST_N)), max_size=3)
hops = st.lists(st.tuples(ids, st.integers(1, 2**40)), max_size=3)


def shown(pairs: list[tuple[str, int]]) -> tuple[str, ...]:
    """Return pairs as pointers, each strand once."""
    return tuple(f"{name}-{number}" for name, number in dict(pairs).items())


@given(ids, st.integers(0, 2**40), pointers, hops, st.booleans(), st.integers(0, 3))
def test_what_is_sent_is_what_is_read(hop, lc, after, seen, broken, lines):
    """A header says exactly what its sender knows, and is short and printable."""
    cause = Cause(lc, shown(after), shown(seen), broken)

    def send():
        clock.attach(clock.begin(hop, cause))
        for _ in range(lines):
            last = tick()
        return clock.header(), last["lc"] if lines else 0

    text, last = contextvars.Context().run(send)
    got = clock.parse(text)

    assert len(text) <= LONGEST_HEADER
    assert text.isascii()
    assert text.isprintable()
    assert got.lc == (last or lc)
    assert got.broken == broken
    if lines:
        assert (got.after, got.seen) == ((f"{hop}-{lines}",), (f"{hop}-{last}",))
    else:
        assert set(got.after) == set(cause.after)
        assert {one for one in got.seen if one[:16] != hop} == {
            one for one in cause.seen if one[:16] != hop
        }


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "1.", "2.5", "1.5\n", "\n1.5", " 1.5", "1.5 ", "1.-5", "1.5.", "1.5.x.x", "1.5.X",
        "1.\u0665", "1.\uff15", "1.A", f"1.5.{'A' * 16}", f"1.5.{'a' * 15}", f"1.5.{A}-",
        f"1.5.{A}-1-", f"1.5.{A}.{B}", f"1.5.x.{A}-1", "1." + "z" * 11, "1." + "z" * 12,
        f"1.5.{A}-zzzzzzz",
        f"1.5.{A}~{'z' * 11}", "1.5" + f".{A}-1" * 9, "1." + "0" * 300, f"1.5.{A}-1,1.5.{A}-1",
        "x" * 8192, "1.5\x00", "1.5\u2028", f"1.5.{A}-1\r\nX: y",
    ],
)  # fmt: skip
def test_what_is_no_clock_is_none(text):
    """Junk, other versions, foreign digits, line ends, and numbers that are too large."""
    assert clock.parse(text) is None


def test_the_largest_numbers_are_read():
    """Exactly up to the limits."""
    lc, n = clock.base36(LARGEST_LC), clock.base36(LARGEST_N)

    assert clock.parse(f"1.{lc}.{A}-{n}") == Cause(
        LARGEST_LC, (f"{A}-{LARGEST_N}",), (f"{A}-{LARGEST_LC}",)
    )
    assert clock.parse(f"1.{clock.base36(LARGEST_LC + 1)}.{A}-1") is None
    assert clock.parse(f"1.1.{A}-{clock.base36(LARGEST_N + 1)}") is None


@given(st.text(max_size=300) | st.from_regex(r"1\.[0-9a-z.~\-x]{0,260}", fullmatch=True))
def test_no_header_breaks_the_clock(text):
    """Any text is read or refused, and a hop that begins with it writes and sends valid clocks."""
    cause = clock.parse(text)

    def follow():
        clock.attach(clock.begin(C, cause, broken=cause is None))
        silent = clock.header()
        line = tick()
        return silent, line, clock.header()

    silent, line, spoken = contextvars.Context().run(follow)

    assert line["lc"] <= LARGEST_LC + 1
    assert len(silent) <= LONGEST_HEADER
    assert len(spoken) <= LONGEST_HEADER


@given(st.integers(0, 2**60))
def test_base_36_is_read_back(number):
    """Python's own reader of base 36 agrees."""
    assert int(clock.base36(number), 36) == number
