"""Lines below the level are kept for each unit of work, and written if it ends badly."""

import datetime
import gc
import logging
import os
import threading
import weakref
from itertools import pairwise

import loguru
import pytest
import structlog as structlog_

from obskit import context, conventions, health, observation
from obskit.logs import Secret, consoles, get_logger, held, levels, pipeline, storm
from obskit.logs import loguru as loguru_room
from obskit.logs import structlog as structlog_room
from obskit.logs.held import Rings
from obskit.logs.summary import Summary
from obskit.observation import unit_of_work
from obskit.order import Order

ASKING = {
    "x-correlation-id": "c-1",
    "baggage": "obskit.correlation=c-1,obskit.hop=1,obskit.debug=1",
}
DEBUG = logging.DEBUG


@pytest.fixture
def ring(logged):
    """Give a log that keeps three lines of each unit of work."""
    logged.configure(debug_ring=3)
    observation.configure([("summary", Summary()), ("rings", Rings())])
    yield logged
    held.forget()
    assert held._rings == {}
    assert held._bytes == 0


@pytest.fixture
def joined(monkeypatch):
    """Let structlog and loguru join the log."""
    structlog_room.adopt(structlog_)
    loguru_room.adopt(loguru)
    monkeypatch.setattr(consoles, "joins", lambda stream: True)
    monkeypatch.setattr(pipeline, "is_beside", lambda: False)


def served(status, work, headers=None, *, error=None):
    """Serve a request that does *work*."""
    request = conventions.http_server("GET", "/orders/7", headers or {}, peer="127.0.0.1")
    observation.start(request)
    work()
    request.status = status
    observation.end(request, error)
    return request


def through_native(name="shop"):
    """Log by obskit's own logger."""
    get_logger(name).debug("found %s", 7, path="/orders/7")


def through_logging(name="shop"):
    """Log by the standard library."""
    logging.getLogger(name).debug("found %s", 7, extra={"path": "/orders/7"})


def through_structlog(name="shop"):
    """Log by a logger of structlog that nobody has configured."""
    structlog_.wrap_logger(structlog_.PrintLoggerFactory()(name)).debug("found 7", path="/orders/7")


DOORS = [through_native, through_logging, through_structlog]


@pytest.fixture
def default_sink(monkeypatch):
    """Let loguru have a sink that looks like the one it makes when it is imported."""
    loguru.logger.remove()
    number = loguru.logger.add(lambda text: None, level="DEBUG", format="{message}")
    handler = loguru.logger._core.handlers[number]
    monkeypatch.setattr(handler, "_id", 0)
    monkeypatch.setattr(handler, "_sink", type("Sink", (), {"_stream": None})())
    monkeypatch.setattr(loguru_room, "_is_default", lambda handler: True)
    yield
    loguru.logger._core.handlers.clear()
    loguru.logger.remove()


def messages(logged):
    """Return what the lines say."""
    return [line["message"] for line in logged.lines]


@pytest.mark.parametrize("say", DOORS)
@pytest.mark.usefixtures("joined")
def test_a_unit_that_ends_well_writes_none(say, ring):
    """They are thrown away, and are not lost: they were below the level."""
    served(200, say)
    served(404, say)

    assert messages(ring) == ["request finished"] * 2
    assert health.lost == {}
    assert held._rings == {}


@pytest.mark.parametrize("say", DOORS)
@pytest.mark.usefixtures("joined")
def test_a_unit_that_ends_badly_writes_them_before_its_summary(say, ring):
    """With what a line has, marked, and with the time when they were logged."""
    served(500, lambda: (get_logger("shop").info("hello"), say()))

    hello, found, finished = ring.lines
    assert (found["message"], found["level"], found["logger"]) == ("found 7", "debug", "shop")
    assert (found["path"], found["obskit_held"]) == ("/orders/7", True)
    assert hello["correlation_id"] == found["correlation_id"] == finished["correlation_id"]
    assert hello["timestamp"] <= found["timestamp"] <= finished["timestamp"]
    assert finished["message"] == "request finished"
    assert "obskit_held" not in hello.keys() | finished.keys()


def test_they_have_the_number_of_the_last_line_and_one_of_their_own(ring):
    """No place is missed, and they stand where they belong."""
    log = get_logger("shop")

    def work():
        log.debug("a")
        log.info("b")
        log.debug("c")
        log.debug("d")

    served(500, work)

    order = Order(ring.lines)
    assert [event.line["message"] for event in order.events] == [
        "a", "b", "c", "d", "request finished",
    ]  # fmt: skip
    strand = order.events[0].strand
    assert [event.line["lc_at"] for event in order.events] == [
        f"{strand}-0.1", f"{strand}-1", f"{strand}-1.2", f"{strand}-1.3", f"{strand}-2",
    ]  # fmt: skip
    assert [event.line["lc"] for event in order.events] == [0, 1, 1, 1, 2]
    assert order.missing() == {}
    assert not any(event.incomplete for event in order.events)


@pytest.mark.parametrize(
    ("status", "error"),
    [(500, None), (504, None), (None, ValueError("x")), (None, TimeoutError())],
)
def test_bad_ends_are_errors_timeouts_and_failed_dependencies(status, error, ring):
    """Whatever of these it was."""
    served(status, through_native, error=error)

    assert messages(ring) == ["found 7", "request finished"]


def test_a_client_that_left_is_no_bad_end(ring):
    """Nor is a request that was turned away."""
    request = conventions.http_server("GET", "/orders/7", {}, peer="127.0.0.1")
    observation.start(request)
    through_native()
    request.client_gone = True
    observation.end(request)
    served(429, through_native)

    assert messages(ring) == ["request finished"] * 2


@pytest.mark.parametrize("what", ["error", "retried", "dead_lettered"])
def test_a_message_that_fails_ends_badly(what, ring):
    """By an exception, or because its work will be done again, or never."""
    message = conventions.consumer("rabbitmq", "orders", carrier={})
    observation.start(message)
    through_native()
    if what != "error":
        setattr(message, what, True)
    observation.end(message, ValueError("x") if what == "error" else None)

    assert messages(ring) == ["found 7", "message processed"]


def test_a_job_that_fails_ends_badly(ring):
    """What was no request has a ring, too."""
    with pytest.raises(ValueError, match="x"), unit_of_work("billing"):
        through_native()
        raise ValueError("x")

    assert messages(ring) == ["found 7", "task finished"]


def test_the_last_ones_are_kept(ring):
    """Of more than there is room for."""
    served(500, lambda: [get_logger("shop").debug(f"{number}") for number in range(5)])

    assert messages(ring) == ["2", "3", "4", "request finished"]


def test_outside_of_a_unit_nothing_changes(ring):
    """No level is enabled that was not, and nothing is kept."""
    logger = logging.getLogger("shop")

    assert not logger.isEnabledFor(DEBUG)
    assert not get_logger("shop").is_enabled_for(DEBUG)
    context.bind(worker=1)
    through_native()
    through_logging()
    assert ring.lines == []
    assert held._rings == {}


def test_levels_look_enabled_in_a_unit(ring):
    """Who asks before he logs is told to go on."""
    seen = []
    served(
        200,
        lambda: seen.append(
            (logging.getLogger("shop").isEnabledFor(DEBUG), get_logger("shop").isEnabledFor(DEBUG))
        ),
    )

    assert seen == [(True, True)]


def test_after_the_response_nothing_is_kept(ring):
    """Its unit of work has ended, well or badly."""
    request = conventions.http_server("GET", "/orders/7", {}, peer="127.0.0.1")
    observation.start(request)
    request.status = 500
    observation.finish(request)
    through_native()
    observation.leave(request)

    assert messages(ring) == ["request finished"]
    assert held._rings == {}


def test_lines_are_what_they_were_when_they_were_logged(ring):
    """What changes later, or a context that is bound anew, changes no line."""
    cart = ["cd"]

    def work():
        get_logger("shop").debug("cart", cart=cart, size=len(cart))
        cart.append("lp")
        context.bind(customer="ada")
        get_logger("shop").debug("cart", cart=cart)

    served(500, work)

    first, second, _ = ring.lines
    assert (first["cart"], second["cart"]) == (["cd"], ["cd", "lp"])
    assert "customer" not in first
    assert second["customer"] == "ada"


def test_nothing_is_kept_alive(ring):
    """Objects, errors and their frames are let go, as if nobody had logged them."""

    class Thing:
        pass

    thing = Thing()
    gone = weakref.ref(thing)
    request = conventions.http_server("GET", "/orders/7", {}, peer="127.0.0.1")
    observation.start(request)

    def fail(held_up):
        try:
            raise ValueError("x")
        except ValueError:
            get_logger("shop").debug("failed", thing=held_up, exc_info=True)
            logging.getLogger("shop").debug("failed %s", held_up, exc_info=True)

    fail(thing)
    del thing
    gc.collect()
    assert gone() is None
    request.status = 500
    observation.end(request)
    assert [line.get("error_type") for line in ring.lines] == ["ValueError", "ValueError", None]


def test_secrets_stay_secret(ring):
    """By name and by type, on lines that are held back as on all others."""
    served(500, lambda: get_logger("shop").debug("x", password="hunter2", key=Secret("hunter2")))

    assert b"hunter2" not in ring.raw
    assert ring.lines[0]["obskit_held"]


def test_a_stack_is_that_of_the_caller(ring):
    """Through both doors, and ends where the line was logged."""

    def work():
        get_logger("shop").debug("x", stack_info=True)
        logging.getLogger("shop").debug("y", stack_info=True)

    served(500, work)

    for line, text in zip(ring.lines, ('"x", stack_info', '"y", stack_info'), strict=False):
        assert text in line["stack"].splitlines()[-1]


def test_filters_of_loggers_count(ring):
    """What hides something or drops a record does so here."""
    logger = logging.getLogger("filtered")

    def hide(record):
        record.msg = record.msg.replace("hunter2", "***")
        return "drop" not in record.msg

    logger.addFilter(hide)
    served(500, lambda: (logger.debug("is hunter2"), logger.debug("drop it")))
    logger.removeFilter(hide)

    assert messages(ring) == ["is ***", "request finished"]


def test_handlers_never_see_them(ring):
    """Who has set up a handler has not asked for lines below the level."""
    records = []
    handler = logging.Handler(0)
    handler.emit = records.append
    logger = logging.getLogger("handled")
    logger.addHandler(handler)
    served(500, lambda: (logger.debug("below"), logger.error("above")))
    served(500, lambda: logger.debug("asked for"), ASKING)
    logger.removeHandler(handler)

    assert [record.msg for record in records] == ["above"]
    assert "below" in messages(ring)
    assert "asked for" in messages(ring)


def test_loggers_that_end_before_the_root_are_not_kept(ring):
    """Their lines are none of ours at any level."""
    logger = logging.getLogger("apart")
    logger.propagate = False
    served(500, lambda: logger.debug("x"))
    logger.propagate = True

    assert messages(ring) == ["request finished"]


def test_what_is_switched_off_stays_off(ring):
    """By `logging.disable`, or for one logger."""
    logger = logging.getLogger("off")

    def work():
        logging.disable(logging.INFO)
        logger.debug("disabled")
        logging.disable(logging.NOTSET)
        logger.disabled = True
        logger.debug("disabled")
        logger.disabled = False

    served(500, work)

    assert messages(ring) == ["request finished"]


def test_what_libraries_say_about_each_call_is_kept(ring):
    """A logger that needs WARNING by a rule has its INFO lines kept."""
    ring.configure(log_level="INFO,chatty=ERROR")
    served(500, lambda: (get_logger("chatty").warning("hm"), get_logger("chatty").error("oh")))

    assert [line["message"] for line in ring.lines] == ["oh", "hm", "request finished"]
    assert ring.lines[1]["level"] == "warning"


def test_threads_share_the_ring_of_their_unit(ring):
    """Each line once, with a number of its own."""
    ring.configure(debug_ring=1000)

    def work():
        here = context.get()

        def run():
            context.attach(here)
            for _ in range(100):
                through_native()

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    served(500, work)

    assert len(ring.lines) == 401


def test_rings_take_a_bounded_amount_of_memory(ring, monkeypatch):
    """Of one unit and of all of them; the oldest unit gives way."""
    monkeypatch.setattr(held, "MOST_BYTES_OF_UNIT", 5_000)
    monkeypatch.setattr(held, "MOST_BYTES", 20_000)
    monkeypatch.setattr(held, "MOST_UNITS", 10)
    ring.configure(debug_ring=1000)
    requests = []
    for _ in range(30):
        request = conventions.http_server("GET", "/orders/7", {}, peer="127.0.0.1")
        observation.start(request)
        requests.append(request)
        for _ in range(50):
            get_logger("shop").debug("x" * 100, y=["z" * 100])
        assert held._bytes <= 20_000
        assert len(held._rings) <= 10
    for request in requests:
        request.status = 500
        observation.end(request)

    found = [line for line in ring.lines if line.get("obskit_held")]
    assert 0 < len(found) < 300
    assert held._bytes == 0


def test_small_objects_take_little_room(ring):
    """A list in a line does not make it as large as lines can be."""
    ring.configure(debug_ring=1000)
    served(500, lambda: [get_logger("shop").debug("x", y=[number]) for number in range(400)])

    assert len(ring.lines) == 401


def test_a_huge_line_is_shortened(ring):
    """One line does not take the room of all others for ever."""
    served(500, lambda: get_logger("shop").debug("x" * 10**6, y="z" * 10**6, w={"v": "u" * 10**6}))

    assert len(ring.raw) < 40_000
    assert ring.lines[0]["obskit_held"]


def test_a_child_leaves_what_is_kept_to_its_parent(ring):
    """Otherwise each line would be written twice."""
    request = conventions.http_server("GET", "/orders/7", {}, peer="127.0.0.1")
    observation.start(request)
    through_native()
    request.status = 500
    pid = os.fork()
    if not pid:
        get_logger("shop").debug("in the child")
        observation.end(request)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    observation.end(request)

    assert messages(ring).count("found 7") == 1
    assert messages(ring).count("in the child") == 1
    places = [line["lc_at"] for line in ring.lines]
    assert len(set(places)) == len(places)


def test_loggers_that_must_lose_nothing_are_not_kept(ring):
    """What they say above the level is written at once, what is below it never."""
    ring.configure(durable="audit")
    served(
        500,
        lambda: (
            get_logger("audit.money").debug("below"),
            get_logger("audit").info("above"),
            logging.getLogger("audit").debug("below"),
        ),
    )

    assert messages(ring) == ["above", "request finished"]


@pytest.mark.parametrize("say", DOORS)
@pytest.mark.usefixtures("joined")
def test_who_asks_gets_lines_at_once(say, logged):
    """No ring is needed, and the next operation is as before."""
    observation.configure([("summary", Summary())])
    served(200, say, ASKING)
    served(200, say)

    assert messages(logged) == ["found 7", "request finished", "request finished"]
    assert "obskit_held" not in logged.lines[0]
    assert logged.lines[0]["lc_at"].endswith("-1")


@pytest.mark.usefixtures("joined", "default_sink")
def test_the_default_sink_of_loguru_takes_part(ring):
    """Where nobody has said which levels are wanted."""
    handler = next(iter(loguru.logger._core.handlers.values()))
    record = {
        "level": loguru.logger.level("DEBUG"), "exception": None, "name": "shop",
        "message": "found 7", "extra": {}, "time": datetime.datetime.now(datetime.UTC),
    }  # fmt: skip
    handler._levelno, handler._stopped, handler._filter = 10, False, None

    assert not loguru_room._is_wanted(handler, record)

    def work():
        assert loguru_room._is_wanted(handler, record)
        loguru_room._write(record, by_default=True)

    served(500, work)
    assert messages(ring) == ["found 7", "request finished"]


def test_nobody_outside_can_ask(logged):
    """A header from elsewhere is not believed."""
    observation.configure([("summary", Summary())])
    request = conventions.http_server("GET", "/", ASKING, peer="203.0.113.7")
    observation.start(request)
    through_native()
    request.status = 200
    observation.end(request)

    assert messages(logged) == ["request finished"]
    assert levels.watch is None


def test_code_can_ask(logged):
    """From there on, in this unit of work only."""
    observation.configure([("summary", Summary())])

    def work():
        through_native()
        context.debug_operation()
        through_native()
        through_logging()

    served(200, work)
    through_native()

    assert messages(logged) == ["found 7", "found 7", "request finished"]


def test_without_a_wish_nothing_of_it_is_there(logged):
    """The doors of `logging` are as they were."""
    assert levels.watch is None
    assert logging.Logger.isEnabledFor.__module__ == "logging"


def test_a_storm_of_lines_that_were_asked_for_is_suppressed(logged):
    """They are written like all others."""
    logged.configure(storm="2/100")
    observation.configure([("summary", Summary())])
    served(200, lambda: [through_native() for _ in range(50)], ASKING)
    storm.forget()

    assert messages(logged).count("found 7") == 2


def test_a_broken_value_costs_no_request(ring, monkeypatch):
    """What fails within the ring is contained and counted."""
    monkeypatch.setattr(held, "_keep", lambda *_: 1 / 0)
    served(500, through_native)

    assert messages(ring) == ["request finished"]
    assert health.lost == {("logs", "internal error"): 1}
    health.reset()


def test_lines_that_are_held_back_are_in_the_order_of_cause(ring):
    """Within one unit of work, whatever is kept and whatever is written."""
    ring.configure(debug_ring=100)

    def work():
        for number in range(20):
            (get_logger("shop").debug, get_logger("shop").info)[number % 3 == 0](f"{number}")

    served(500, work)
    found = [event.line["message"] for event in Order(ring.lines).events][:-1]

    assert all(int(one) < int(other) for one, other in pairwise(found))
