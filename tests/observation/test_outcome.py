"""How a unit of work ended, and whose fault it is."""

import asyncio
import concurrent.futures

import httpx
import pytest
import requests
import trio

from obskit import context, observation
from obskit.context import Context, FailedCall, Unit
from obskit.observation import Kind, Observation, judge
from obskit.observation.outcome import (
    MOST_FAILED_CALLS,
    MOST_PLACES,
    dependency,
    is_cancelled,
    is_timeout,
)

pytestmark = pytest.mark.usefixtures("floor")


def failed(error=None, *, peer="db", status=None, library="httpx", outcome="dependency"):
    """Return a call that failed."""
    return FailedCall(peer, outcome, status, error, library)


def work(kind=Kind.SERVER, *, calls=(), **facts):
    """Return an observation about which these facts are known."""
    one = Observation("x", kind)
    one.context = Context(Unit.of("c", "generated", "a" * 32, "b" * 16), "b" * 16, None, {})
    one.context.unit.failed_calls = tuple(calls)
    for name, value in facts.items():
        setattr(one, name, value)
    return one


def raised(error, *, cause=None, context=None):
    """Return *error* as it is after it was raised from *cause*, or in the handler of *context*."""
    error.__cause__ = cause
    error.__context__ = context if context is not None else cause
    return error


GONE = asyncio.CancelledError()
LATE = TimeoutError()
DOWN = ConnectionRefusedError()
BUG = LookupError()


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({}, "ok"),
        ({"status": 200}, "ok"),
        ({"status": 101}, "ok"),
        ({"status": 399}, "ok"),
        ({"status": 400}, "client_error"),
        ({"status": 404}, "client_error"),
        ({"status": 499}, "client_error"),
        ({"status": 429}, "rejected"),
        ({"status": 503, "rejected": True}, "rejected"),
        ({"status": 500}, "server_error"),
        ({"status": 503}, "server_error"),
        ({"status": 599}, "server_error"),
        ({"status": 504}, "timeout"),
        ({"error": BUG}, "server_error"),
        ({"status": 500, "error": BUG}, "server_error"),
        ({"status": 200, "error": BUG}, "server_error"),
        ({"status": 404, "error": BUG}, "server_error"),
        ({"error": LATE}, "timeout"),
        ({"status": 500, "error": LATE}, "timeout"),
        ({"client_gone": True}, "client_gone"),
        ({"error": GONE}, "client_gone"),
    ],
)
def test_status_and_error_are_judged(facts, outcome):
    """4xx is you, 5xx is me, 429 is neither, and an error counts whatever the status was."""
    assert judge(work(**facts)) == outcome


FAILED_BY_CALL = {"status": 503, "error": DOWN, "calls": [failed(DOWN)]}


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({"client_gone": True, "rejected": True, "status": 504, **FAILED_BY_CALL}, "client_gone"),
        ({"client_gone": True, "status": 429}, "client_gone"),
        ({"client_gone": True, "status": 200}, "client_gone"),
        ({"error": GONE, "status": 429}, "client_gone"),
        ({"rejected": True, **FAILED_BY_CALL}, "rejected"),
        ({**FAILED_BY_CALL, "status": 429}, "rejected"),
        ({**FAILED_BY_CALL, "status": 504}, "timeout"),
        (FAILED_BY_CALL, "dependency"),
        ({"error": LATE, "calls": [failed(LATE, outcome="timeout")]}, "dependency"),
        ({"status": 404, "calls": [failed(DOWN)]}, "client_error"),
        ({"status": 200, "calls": [failed(DOWN)]}, "ok"),
        ({"status": 500, "error": BUG, "calls": [failed(DOWN)]}, "server_error"),
    ],
)
def test_the_first_rule_that_matches_counts(facts, outcome):
    """Gone, rejected, timeout, dependency, server error, client error, ok: in this order."""
    assert judge(work(**facts)) == outcome


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({}, "ok"),
        ({"status": 204}, "ok"),
        ({"status": 404}, "client_error"),
        ({"status": 429}, "rejected"),
        ({"status": 500}, "server_error"),
        ({"status": 504}, "timeout"),
        ({"error": DOWN}, "dependency"),
        ({"error": LATE}, "timeout"),
        ({"error": GONE}, "cancelled"),
        ({"status": 200, "error": DOWN}, "dependency"),
    ],
)
@pytest.mark.parametrize("kind", [Kind.CLIENT, Kind.PRODUCER])
def test_a_call_is_judged_by_its_answer(kind, facts, outcome):
    """What cannot be reached is a dependency that is down, what answers says whose fault it is."""
    one = work(kind, peer="db", **facts)
    one.outcome = judge(one)

    assert one.outcome == outcome
    assert dependency(one) == ("db" if outcome == "dependency" else "")


def fell_through(status=None):
    """Return the libraries' words for an answer that was an error."""
    request = httpx.Request("GET", "http://db/")
    return httpx.HTTPStatusError(
        "x", request=request, response=httpx.Response(status, request=request)
    )


def asked(status):
    """Return requests' word for an answer that was an error."""
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError("x", response=response)


OWN = RuntimeError("wrapped")


@pytest.mark.parametrize(
    ("error", "calls", "blamed"),
    [
        (DOWN, [failed(DOWN)], "db"),
        (raised(RuntimeError(), cause=DOWN), [failed(DOWN)], "db"),
        (raised(RuntimeError(), context=DOWN), [failed(DOWN)], "db"),
        (raised(RuntimeError(), cause=raised(ValueError(), context=DOWN)), [failed(DOWN)], "db"),
        (ExceptionGroup("x", [ValueError(), DOWN]), [failed(DOWN)], "db"),
        (raised(OSError(), cause=ExceptionGroup("x", [DOWN])), [failed(DOWN)], "db"),
        (ExceptionGroup("x", [ExceptionGroup("y", [DOWN])]), [failed(DOWN)], "db"),
        (raised(TypeError(), cause=DOWN), [failed(DOWN)], "db"),
        (raised(TypeError(), context=DOWN), [failed(DOWN)], ""),
        (raised(KeyError(), context=DOWN), [failed(DOWN)], ""),
        (raised(AssertionError(), context=DOWN), [failed(DOWN)], ""),
        (ConnectionRefusedError(), [failed(DOWN)], ""),
        (DOWN, [failed(LATE, peer="cache"), failed(DOWN)], "db"),
        (fell_through(500), [failed(status=500)], "db"),
        (fell_through(404), [failed(status=500)], ""),
        (raised(OWN, cause=fell_through(502)), [failed(status=502)], "db"),
        (asked(500), [failed(status=500, library="requests")], "db"),
        (asked(500), [failed(status=500, library="httpx")], ""),
        (asked(502), [failed(peer="a", status=500, library="requests"),
                      failed(peer="b", status=502, library="requests")], "b"),
        (httpx.DecodingError("x"), [failed(status=500)], "db"),
        (ValueError(), [failed(status=500)], ""),
        (ValueError(), [failed(status=500, library="")], ""),
    ],
)  # fmt: skip
def test_an_error_is_blamed_on_the_call_that_it_comes_from(error, calls, blamed):
    """By cause, context and members of groups; but an error of a bug's kind is a bug."""
    one = work(error=error, calls=calls, status=500)
    one.outcome = judge(one)

    assert one.outcome == ("dependency" if blamed else "server_error")
    assert dependency(one) == blamed


def test_an_answer_of_5xx_without_an_error_is_blamed_on_the_last_failed_call():
    """Somebody caught the error and answered for it."""
    one = work(status=502, calls=[failed(DOWN, peer="last"), failed(LATE, peer="first")])
    one.outcome = judge(one)

    assert (one.outcome, dependency(one)) == ("dependency", "last")


def test_a_circle_of_causes_ends():
    """Errors may point at each other."""
    one, other = ValueError(), RuntimeError()
    one.__cause__, other.__cause__ = other, one

    assert judge(work(error=one, calls=[failed(DOWN)])) == "server_error"


def test_endless_causes_are_followed_so_far():
    """A request that failed is not to be held up by a chain of thousands."""
    error = DOWN
    for _ in range(1000):
        error = raised(RuntimeError(), cause=error)

    assert judge(work(error=error, calls=[failed(DOWN)])) == "server_error"


class Hostile(Exception):
    """An error that fails when it is asked."""

    @property
    def response(self):
        """Fail."""
        raise RuntimeError("stream consumed")


def test_an_error_that_fails_when_asked_is_judged_all_the_same():
    """It is its library's word for the answer, as far as one can tell."""
    one = work(error=Hostile(), calls=[failed(status=500, library=__name__.partition(".")[0])])

    assert judge(one) == "dependency"


def test_without_a_context_there_is_nobody_to_blame():
    """An observation that was never started is judged by itself."""
    one = Observation("x", Kind.SERVER)
    one.error = DOWN

    assert judge(one) == "server_error"
    assert dependency(one) == ""


async def asyncio_timeout():
    """Fail as asyncio's timeouts do."""
    async with asyncio.timeout(0):
        await asyncio.sleep(1)


TIMEOUTS = [
    TimeoutError(),
    TimeoutError(),
    concurrent.futures.TimeoutError(),
    httpx.ReadTimeout("x"),
    httpx.ConnectTimeout("x"),
    requests.Timeout(),
    requests.ConnectTimeout(),
    trio.TooSlowError(),
    type("SoftTimeLimitExceeded", (Exception,), {})(),
    type("DeadlineExceeded", (Exception,), {})(),
    ExceptionGroup("x", [TimeoutError(), httpx.ReadTimeout("x")]),
]
NO_TIMEOUTS = [
    ValueError(),
    ConnectionResetError(),
    httpx.ConnectError("x"),
    ExceptionGroup("x", [TimeoutError(), ValueError()]),
]


@pytest.mark.parametrize("error", TIMEOUTS, ids=repr)
def test_every_library_has_its_words_for_a_timeout(error):
    """A group says so if all of its errors do."""
    assert is_timeout(error)


@pytest.mark.parametrize("error", NO_TIMEOUTS, ids=repr)
def test_other_errors_are_no_timeouts(error):
    """One other error in a group is enough."""
    assert not is_timeout(error)


async def test_a_real_timeout_of_asyncio_is_one():
    """It is a deadline of our own."""
    with pytest.raises(TimeoutError) as caught:
        await asyncio_timeout()

    assert is_timeout(caught.value)
    assert judge(work(error=caught.value)) == "timeout"


def trios():
    """Return what trio raises in a task that is cancelled."""
    found = []

    async def main():
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.sleep(1)
            except trio.Cancelled as error:
                found.append(error)
                raise

    trio.run(main)
    return found[0]


CANCELLED = [asyncio.CancelledError(), GeneratorExit(), KeyboardInterrupt(), trios()]
CANCELLED.append(BaseExceptionGroup("x", [asyncio.CancelledError(), GeneratorExit()]))
NOT_CANCELLED = [
    ValueError(),
    SystemExit(1),
    BaseExceptionGroup("x", [asyncio.CancelledError(), ValueError()]),
    type("CancelledError", (BaseException,), {"__module__": "shop"})(),
    concurrent.futures.CancelledError(),
]


@pytest.mark.parametrize("error", CANCELLED, ids=lambda error: type(error).__qualname__)
def test_cancellations_say_that_nobody_waits(error):
    """Those of asyncio and trio, closed generators, interrupts, and groups of them."""
    assert is_cancelled(error)
    assert judge(work(error=error)) == "client_gone"


@pytest.mark.parametrize("kind", [Kind.INTERNAL, Kind.CONSUMER, Kind.CLIENT, Kind.PRODUCER])
def test_work_without_a_client_is_called_off(kind):
    """Only a request is cancelled because its client has gone; a job or a call is cancelled."""
    assert judge(work(kind=kind, error=GONE)) == "cancelled"
    assert judge(work(kind=kind, client_gone=True)) == "client_gone"


@pytest.mark.parametrize("error", NOT_CANCELLED, ids=repr)
def test_other_errors_are_no_cancellations(error):
    """Neither those of other libraries nor an exit with a code."""
    assert not is_cancelled(error)


def call(peer="db", *, status=None, error=None, kind=Kind.CLIENT):
    """Make an outgoing call within the running unit."""
    one = Observation("GET", kind, protocol="http", peer=peer, library="httpx")
    observation.start(one)
    one.status = status
    observation.end(one, error)


def test_calls_are_counted_with_their_time():
    """Those that failed and those that did not, producers too."""
    with observation.unit_of_work("job"):
        call(status=200)
        call(error=DOWN)
        call(kind=Kind.PRODUCER)
        unit = context.get().unit
        assert unit.call_count == 3
        assert 0 < unit.call_seconds < 60


@pytest.mark.parametrize(
    ("status", "error"), [(None, DOWN), (None, LATE), (500, None), (504, None), (429, None)]
)
def test_a_failed_call_is_remembered(status, error):
    """With what is needed to blame it."""
    with observation.unit_of_work("job"):
        call(status=status, error=error)
        remembered = context.get().unit.failed_call

        assert (remembered.peer, remembered.status, remembered.error) == ("db", status, error)
        assert remembered.library == "httpx"


@pytest.mark.parametrize("status", [200, 404])
def test_a_retry_that_was_answered_makes_it_forgotten(status):
    """Only that of the same peer; another 5xx is no recovery."""
    with observation.unit_of_work("job"):
        call("cache", error=DOWN)
        call(error=DOWN)
        call(status=503)
        call(status=status)

        assert [one.peer for one in context.get().unit.failed_calls] == ["cache"]


@pytest.mark.parametrize("answer", [{"status": 500}, {"error": GONE}])
def test_a_retry_that_failed_too_forgets_nothing(answer):
    """One that was cancelled says nothing of its peer."""
    with observation.unit_of_work("job"):
        call(error=DOWN)
        call(**answer)

        assert context.get().unit.failed_calls[-1].error is DOWN


def test_so_many_failed_calls_are_remembered():
    """The errors hold frames with all that these had at hand."""
    with observation.unit_of_work("job"):
        for number in range(50):
            call(f"peer-{number}", error=DOWN)

        peers = [one.peer for one in context.get().unit.failed_calls]
        assert peers == [f"peer-{49 - number}" for number in range(MOST_FAILED_CALLS)]


def send(destination="orders", error=None):
    """Send a message."""
    labels = {"messaging_system": "kafka", "messaging_destination_name": destination}
    work = Observation("publish", Kind.PRODUCER, "messaging", labels)
    observation.start(work)
    observation.end(work, error)


def test_messages_are_counted_by_where_they_went():
    """Those that were sent; requests are no messages."""
    with observation.unit_of_work("job"):
        call()
        assert context.get().unit.sent_to is None
        send()
        send()
        send("parcels")
        send("parcels", DOWN)

        assert context.get().unit.sent_to == {"kafka:orders": 2, "kafka:parcels": 1}


def test_so_many_places_are_remembered():
    """A unit that sends to everybody has a line all the same."""
    with observation.unit_of_work("job"):
        for number in range(50):
            send(f"queue-{number}")

        assert len(context.get().unit.sent_to) == MOST_PLACES


def test_the_failed_calls_of_a_unit_that_is_over_are_forgotten(ended):
    """After the observers have heard of them."""
    with pytest.raises(ConnectionRefusedError):
        with observation.unit_of_work("job") as job:
            call(error=DOWN)
            raise DOWN

    assert (job.outcome, job.context.unit.failed_calls) == ("dependency", ())
    assert [one.outcome for one in ended] == ["dependency", "dependency"]


def test_a_timeout_of_a_call_is_the_dependencys(ended):
    """For the call it is a timeout, for who made it a dependency that was too slow."""
    with pytest.raises(TimeoutError):
        with observation.unit_of_work("job"):
            call(error=LATE)
            raise LATE

    assert [one.outcome for one in ended] == ["timeout", "dependency"]
