"""Of many lines that say the same some are written, and the others are counted exactly."""

import io
import logging
import os
import sys
import threading

import loguru
import pytest
import structlog as structlog_
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from obskit import clock, context, health, observation
from obskit.context import Context, Unit
from obskit.logs import get_logger, pipeline, storm
from tests.logs.conftest import Logged

SPAN = "b" * 16


class Time:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return what it shows."""
        return self.now


@pytest.fixture
def time(monkeypatch):
    """Give the clock that windows are measured by."""
    shown = Time()
    monkeypatch.setattr(storm, "monotonic", shown)
    return shown


@pytest.fixture
def raging(logged, time):
    """Give a log that lets the first two lines of a second pass, then each third."""
    logged.configure(storm="2/3")
    yield logged
    storm.forget()


def suppressed(logged: Logged) -> int:
    """Return how many lines the log says to have left out."""
    return sum(line.get("obskit_suppressed", 0) for line in logged.lines)


def written(logged: Logged) -> int:
    """Return how many lines of the application there are."""
    return sum(line["logger"] != "obskit" for line in logged.lines)


def test_the_first_ones_are_written_and_then_each_so_many_th(raging):
    """What was left out is on the next line that is written."""
    log = get_logger("shop")
    for number in range(9):
        log.info("order placed", number=number)

    lines = raging.lines
    assert [line["number"] for line in lines] == [0, 1, 4, 7]
    assert [line.get("obskit_suppressed") for line in lines] == [None, None, 2, 2]
    assert health.lost == {("logs", "storm"): 4}


def test_each_second_begins_anew(raging, time):
    """The first line of a second is always written, an error's too."""
    log = get_logger("shop")
    for _ in range(10):
        for _ in range(4):
            log.error("no connection")
        time.now += 1.0

    assert written(raging) >= 10
    assert [line["message"] for line in raging.lines[:2]] == ["no connection"] * 2


def test_without_the_setting_every_line_is_written(logged):
    """Nobody loses a line that he has not given up."""
    for _ in range(500):
        get_logger("shop").info("order placed")

    assert len(logged.lines) == 500
    assert pipeline.gate is None


def through_native(name, number):
    """Log by obskit's own logger."""
    get_logger(name).info("order %s of %s", number, f"customer {number}")


def through_logging(name, number):
    """Log by the standard library."""
    logging.getLogger(name).error("order %s of %s", number, f"customer {number}")


def through_records(name, number):
    """Log by the standard library, in a way that needs a record."""
    logging.getLogger(name).error("order %s of %s", number, "x" * number, stack_info=True)


def through_structlog(name, number):
    """Log by a logger of structlog that prints."""
    structlog_.wrap_logger(structlog_.PrintLoggerFactory()(name)).info(f"order {number}")


def through_loguru(name, number):
    """Log by loguru, whose messages are made before anybody sees them."""
    loguru.logger.patch(lambda record: record.update(name=name)).info("order {}", number)


@pytest.fixture
def joined(monkeypatch):
    """Let structlog and loguru join the log."""
    from obskit.logs import consoles
    from obskit.logs import loguru as loguru_room
    from obskit.logs import structlog as structlog_room

    structlog_room.adopt(structlog_)
    loguru_room.adopt(loguru)
    monkeypatch.setattr(consoles, "joins", lambda stream: True)
    monkeypatch.setattr(pipeline, "is_beside", lambda: False)
    loguru.logger.remove()
    loguru.logger.add(io.StringIO())
    yield
    loguru.logger.remove()


DOORS = [
    through_native, through_logging, through_records, through_structlog, through_loguru,
]  # fmt: skip


@pytest.mark.usefixtures("joined")
@pytest.mark.parametrize("say", DOORS)
def test_lines_are_of_a_kind_by_what_they_are_made_of(say, raging):
    """Arguments make no difference through any door, nor do numbers in the text."""
    for number in range(8):
        say("shop", number)
    pipeline.shutdown(1)

    assert written(raging) == 4
    assert suppressed(raging) == 4


@pytest.mark.usefixtures("joined")
@pytest.mark.parametrize("say", DOORS)
def test_loggers_that_must_lose_nothing_lose_nothing(say, raging):
    """Neither those that are named, nor those below them."""
    raging.configure(durable="audit,money=wait")
    for number in range(20):
        say("audit", number)
        say("money.flow", number)

    assert written(raging) == 40
    assert suppressed(raging) == 0
    say("auditor", 1)
    say("auditor", 2)
    say("auditor", 3)
    assert written(raging) == 42


def test_different_lines_do_not_suppress_each_other(raging):
    """Logger, level and message tell them apart."""
    for _ in range(2):
        for name in ("a", "b"):
            for method in ("info", "error"):
                for message in ("x", "y"):
                    getattr(get_logger(name), method)(message)

    assert len(raging.lines) == 16


def test_what_is_no_text_is_known_by_its_type(raging):
    """Errors that are logged as messages differ in their text each time."""
    for number in range(8):
        logging.getLogger("shop").error(ValueError("x" * number))
        get_logger("shop").error(ValueError("x" * number))

    assert [line["message"] for line in raging.lines][:2] == ["", ""]
    assert written(raging) == 6


def test_summary_lines_are_never_suppressed(raging):
    """Each stands for its unit of work, and what `obskit` counts is counted by them."""
    for _ in range(20):
        pipeline.emit(20, "obskit.summary", "request finished", {})

    assert len(raging.lines) == 20


def test_suppressed_lines_take_no_number(raging):
    """Places stay dense: a hole is a lost line and nothing else."""
    context.attach(Context(Unit("c", "generated", "a" * 32, SPAN, None, 3), SPAN, None, {}))
    clock.attach(clock.begin(SPAN))
    for _ in range(9):
        get_logger("shop").info("order placed")

    assert [line["lc_at"] for line in raging.lines] == [f"{SPAN}-{n}" for n in (1, 2, 3, 4)]


def test_what_falls_silent_is_told_of_at_the_next_line_of_another_kind(raging, time):
    """A few seconds later at most: any line will do, in its own tenth of a second."""
    for _ in range(4):
        get_logger("shop").info("order placed")
    time.now += 2.5
    pipeline._prefixes.clear()
    get_logger("other").info("hello")

    told = raging.lines[-2]
    assert (told["message"], told["level"], told["scope"]) == (
        "lines were suppressed", "warning", "process",
    )  # fmt: skip
    assert told["obskit_suppressed"] == 2
    assert (told["obskit_logger"], told["obskit_message"]) == ("shop", "order placed")
    assert health.lost == {("logs", "storm"): 2}


def test_what_still_rages_is_told_of_by_its_own_lines(raging, time):
    """No line more than needed: the next of its kind says it."""
    for _ in range(4):
        get_logger("shop").info("order placed")
    time.now += 1.5
    pipeline._prefixes.clear()
    get_logger("other").info("hello")
    assert raging.lines[-1]["message"] == "hello"
    get_logger("shop").info("order placed")

    assert raging.lines[-1]["obskit_suppressed"] == 2


@pytest.mark.parametrize("end", ["shutdown", "undo", "configure"])
def test_nothing_is_left_unsaid_at_the_end(end, raging):
    """Whoever ends, or changes its settings, tells what it has left out."""
    from obskit import logs

    for _ in range(4):
        get_logger("shop").info("order placed")
    if end == "shutdown":
        logs.shutdown(1)
    elif end == "undo":
        logs.undo()
    else:
        raging.configure(storm="")

    assert suppressed(raging) == 2
    assert health.lost == {("logs", "storm"): 2}


def test_a_child_tells_nothing_of_its_parent(raging):
    """What was left out before a fork is the parent's to tell."""
    for _ in range(4):
        get_logger("shop").info("order placed")
    pid = os.fork()
    if not pid:
        storm.tell(at_last=True)
        os._exit(0 if suppressed(raging) == 0 else 1)

    assert os.waitpid(pid, 0)[1] == 0
    storm.tell(at_last=True)
    assert suppressed(raging) == 2


def test_kinds_are_bounded(raging, time, monkeypatch):
    """Messages that are all different cost a bounded amount of memory, and lose no line."""
    monkeypatch.setattr(storm, "MOST_KEYS", 50)
    names = [f"{chr(97 + one)}{chr(97 + two)}" for one in range(26) for two in range(26)]
    for name in names:
        get_logger("shop").info(name)
    assert len(raging.lines) == len(names)
    assert len(storm._kinds) <= 50
    assert len(storm._known) <= 50

    time.now += 5
    get_logger("shop").info("new")
    assert len(storm._kinds) == 1


def test_many_messages_of_one_kind_are_bounded(raging, monkeypatch):
    """Texts with a number in them are one kind, and not kept one by one."""
    monkeypatch.setattr(storm, "MOST_KEYS", 50)
    for number in range(1000):
        get_logger("shop").info(f"order {number} placed")

    assert len(storm._known) <= 50
    assert len(storm._kinds) == 1
    storm.tell(at_last=True)
    assert written(raging) + suppressed(raging) == 1000


def test_a_storm_of_a_hundred_thousand_lines_is_counted_exactly(logged):
    """From several threads, by two doors: written and counted are all there were."""
    logged.configure(storm="10/100")
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def rage(number):
        say = (get_logger("shop").error, logging.getLogger("shop").error)[number % 2]
        for count in range(25_000):
            say("no connection to %s", count)

    threads = [threading.Thread(target=rage, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(before)
    storm.tell(at_last=True)

    assert written(logged) + suppressed(logged) == 100_000
    assert health.lost == {("logs", "storm"): suppressed(logged)}
    assert 1000 <= written(logged) < 10_000


MESSAGES = st.sampled_from(["a", "b %s", "c 17", "d"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), MESSAGES, st.integers(1, 40)),
        st.tuples(st.just("wait"), st.floats(0, 3), st.just(0)),
        st.tuples(st.just("tell"), st.booleans(), st.just(0)),
        st.tuples(st.just("change"), st.sampled_from(["1/1", "2/3", "5/50", "1/1000"]), st.just(0)),
    ),
    max_size=12,
)


@given(programs=st.lists(STEPS, min_size=1, max_size=3), rate=st.sampled_from(["1/2", "3/7"]))
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_written_and_counted_are_all_that_was_logged(logged, time, programs, rate):
    """Whatever several threads log, wait for and change meanwhile."""
    logged.path.unlink(missing_ok=True)
    logged.configure(storm=rate, log_stream=str(logged.path))
    pipeline._writer.check()
    health.reset()

    def follow(steps):
        for what, value, count in steps:
            if what == "say":
                for number in range(count):
                    get_logger("shop").info(value, number)
            elif what == "wait":
                time.now += value
            elif what == "tell":
                storm.tell(at_last=value)
            else:
                storm.configure(value, ())

    threads = [threading.Thread(target=follow, args=(steps,)) for steps in programs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    storm.configure("", ())
    said = sum(count for steps in programs for what, _, count in steps if what == "say")

    assert written(logged) + suppressed(logged) == said
    assert health.lost.get(("logs", "storm"), 0) == suppressed(logged)
    assert health.internal_errors == {}


def test_storms_of_units_of_work_keep_their_context(raging):
    """A line that is written has what all lines have."""
    with observation.unit_of_work("billing"):
        for _ in range(5):
            get_logger("shop").info("order placed", a=object())

    assert all("correlation_id" in line for line in raging.lines)
    assert raging.lines[-1]["obskit_suppressed"] == 2
