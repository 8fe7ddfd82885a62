"""What is special about aiohttp's client: attempts, time, cancellation, sockets, middlewares."""

import asyncio
import os
import subprocess
import sys
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict

from obskit import clock, context, health, instrumentation, observation
from obskit.instrumentation import aiohttp_client
from obskit.observation import Kind
from tests.services.ports import wait_until
from tests.source import ROOT

HAS_MIDDLEWARES = tuple(map(int, aiohttp.__version__.split(".")[:2])) >= (3, 12)
MIDDLEWARES = pytest.mark.skipif(not HAS_MIDDLEWARES, reason="aiohttp 3.12 brings middlewares")


@pytest.fixture
async def session():
    """Give a session that is closed afterwards."""
    async with aiohttp.ClientSession() as session:
        yield session


def calls(observed):
    """Return the outgoing calls."""
    return [work for work in observed if work.kind is Kind.CLIENT]


def spans(far_end):
    """Return the spans that arrived."""
    return [headers["traceparent"].split("-")[2] for _, headers in far_end.seen]


async def test_the_clock_of_the_answer_is_heard(observed, far_end, session):
    """The next line comes after what the callee did."""
    with observation.unit_of_work("outer"):
        async with session.get(far_end.url):
            line = clock.tick()

    assert '"lc":10' in line


async def test_a_session_from_before_is_observed(observed, far_end):
    """Whoever has made it before obskit was there need not make it again."""
    instrumentation.uninstrument()
    async with aiohttp.ClientSession() as session:
        async with session.get(far_end.url):
            pass
        instrumentation.instrument()
        with observation.unit_of_work("outer"):
            async with session.get(far_end.url):
                pass

    first, second = (headers["traceparent"] for _, headers in far_end.seen)
    assert first is None
    assert second
    assert len(calls(observed)) == 1


async def test_a_connection_that_is_kept_carries_each_operation(observed, far_end, session):
    """Two requests over one connection."""
    for number in range(2):
        with observation.unit_of_work("outer", correlation_id=f"id-{number}"):
            async with session.get(far_end.url) as response:
                await response.read()

    assert len(set(far_end.peers)) == 1
    assert [headers["x-correlation-id"] for _, headers in far_end.seen] == ["id-0", "id-1"]


async def test_headers_of_any_kind_are_left_alone(observed, far_end):
    """Those of the session and those of a request, whose values may be several."""
    given = CIMultiDict([("x-tenant", "7"), ("x-tenant", "8"), ("baggage", "a=1")])
    given.add("baggage", "b=2")
    before, defaults = list(given.items()), {"x-all": "1"}
    async with aiohttp.ClientSession(headers=defaults) as session:
        with observation.unit_of_work("outer"):
            for _ in range(2):
                async with session.get(far_end.url, headers=given) as response:
                    assert response.request_info.headers["traceparent"]
        assert list(session.headers.items()) == [("x-all", "1")]

    assert (list(given.items()), defaults) == (before, {"x-all": "1"})
    for _, headers in far_end.seen:
        assert headers.get_all("x-tenant") == ["7", "8"]
        assert len(headers.get_all("baggage")) == 1
        assert {"a=1", "b=2"} <= set(headers["baggage"].split(","))


async def test_a_stream_is_over_when_its_headers_are_there(observed, far_end, session):
    """The body is the user's, who may take his time."""
    with observation.unit_of_work("outer"):
        async with session.get(far_end.url + "/drip") as response:
            assert [work.status for work in observed] == [200]
            assert not context.current().exit
            far_end.go_on.set()
            assert await response.read() == b"fine"

    assert len(calls(observed)) == 1


async def test_an_attempt_that_aiohttp_repeats_is_a_request(observed, far_end, session):
    """Where a connection is lost it asks again, from 3.10 on by itself."""
    with observation.unit_of_work("outer"):
        try:
            async with session.get(far_end.url + "/drop-first") as response:
                assert response.status == 200
        except aiohttp.ServerDisconnectedError:
            assert not HAS_MIDDLEWARES
    works = calls(observed)

    assert [work.outcome for work in works] == ["dependency", "ok"][: len(far_end.seen)]
    assert spans(far_end) == [work.context.span_id for work in works]


async def test_a_request_that_is_called_off_is_cancelled(observed, far_end, session):
    """The cancellation goes on, nothing stays attached, and the session works."""

    async def ask():
        with observation.unit_of_work("outer"):
            await session.get(far_end.url + "/slow")

    task = asyncio.create_task(ask())
    await asyncio.to_thread(wait_until, lambda: far_end.seen, lambda: "nothing came", 20.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    far_end.go_on.set()
    async with session.get(far_end.url) as response:
        assert response.status == 200

    assert [work.outcome for work in calls(observed)] == ["cancelled", "ok"]
    assert context.get() is None


TIMEOUTS = {
    "total": {"total": 0.2},
    "read": {"sock_read": 0.2},
    "connect": {"connect": 0.2},
    "socket": {"sock_connect": 0.2},
}


@pytest.mark.parametrize("kind", TIMEOUTS)
async def test_each_time_limit_is_a_timeout(observed, far_end, silent, session, kind):
    """The error is aiohttp's own, and the observation has it or what led to it."""
    url = far_end.url + "/slow" if kind in ("total", "read") else f"https://{silent}/"
    with pytest.raises(TimeoutError) as caught, observation.unit_of_work("outer"):
        await session.get(url, timeout=aiohttp.ClientTimeout(**TIMEOUTS[kind]))
    (work,) = calls(observed)

    assert work.outcome == "timeout"
    assert work.error in (caught.value, caught.value.__cause__)
    assert observed[-1].outcome == "dependency"


async def test_a_time_limit_of_the_users_own_is_no_fault_of_the_peer(observed, far_end, session):
    """He has called it off: his own error goes to him."""
    with observation.unit_of_work("outer"), pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await session.get(far_end.url + "/slow")

    assert calls(observed)[0].outcome == "cancelled"


async def test_an_error_for_a_status_is_the_users(observed, far_end, session):
    """The call has a status and no error, and who fails for a 5xx of it blames it."""
    request = observation.Observation("GET /", Kind.SERVER, "http")
    observation.start(request)
    with pytest.raises(aiohttp.ClientResponseError) as caught:
        await session.get(far_end.url + "/status/500", raise_for_status=True)
    observation.end(request, caught.value)

    assert (observed[0].status, observed[0].error) == (500, None)
    assert request.outcome == "dependency"
    context.attach(None)


async def test_too_many_redirects_are_that_many_requests(observed, far_end, session):
    """The last of them is over when aiohttp gives up."""
    with observation.unit_of_work("outer"), pytest.raises(aiohttp.TooManyRedirects):
        await session.get(far_end.url + "/to//to//to//end", max_redirects=2)

    assert [work.status for work in calls(observed)] == [302, 302]


@asynccontextmanager
async def serving(handler):
    """Serve *handler* with aiohttp, and give the address."""
    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_the_handshake_of_a_websocket_is_a_request(observed, session):
    """It carries the operation and is over when the socket is open."""
    seen = []

    async def chat(request):
        seen.append(request.headers)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("hello")
        await socket.close()
        return socket

    async with serving(chat) as url:
        with observation.unit_of_work("outer", correlation_id="abc"):
            async with session.ws_connect(url) as socket:
                assert len(calls(observed)) == 1
                assert await socket.receive_str() == "hello"

    assert seen[0]["x-correlation-id"] == "abc"
    assert (calls(observed)[0].status, calls(observed)[0].outcome) == (101, "ok")


async def test_what_a_trace_hook_asks_in_between_is_part_of_it(observed, far_end):
    """A request within a request is not counted, and ends nothing but itself."""

    async def look_around(session, *_):
        async with aiohttp.ClientSession() as other, other.get(far_end.url + "/inner"):
            pass

    config = aiohttp.TraceConfig()
    config.on_connection_create_start.append(look_around)
    async with aiohttp.ClientSession(trace_configs=[config]) as session:
        with observation.unit_of_work("outer"):
            async with session.get(far_end.url + "/outer"):
                pass

    assert [path for path, _ in far_end.seen] == ["/inner", "/outer"]
    assert [work.attributes["url_path"] for work in calls(observed)] == ["/outer"]
    assert far_end.seen[1][1]["traceparent"].split("-")[2] == calls(observed)[0].context.span_id


async def test_concurrent_requests_do_not_mix(observed, far_end, session):
    """Fifty operations at once over one session."""

    async def one(number):
        with observation.unit_of_work("outer", correlation_id=f"id-{number}"):
            async with session.get(f"{far_end.url}/{number}"):
                pass

    await asyncio.gather(*(one(number) for number in range(50)))

    assert {path: headers["x-correlation-id"] for path, headers in far_end.seen} == {
        f"/{number}": f"id-{number}" for number in range(50)
    }
    assert len(calls(observed)) == 50


@MIDDLEWARES
async def test_what_a_middleware_repeats_are_requests(observed, far_end, session):
    """Each attempt is one, those that it stops for their time and those that run apart too."""

    async def patient(request, handler):
        for _ in range(2):
            try:
                async with asyncio.timeout(0.2):
                    await handler(request)
            except TimeoutError:
                far_end.go_on.set()
        return await asyncio.create_task(handler(request))

    with observation.unit_of_work("outer"):
        async with session.get(far_end.url + "/slow", middlewares=(patient,)) as response:
            assert response.status == 200
    works = calls(observed)

    assert [work.outcome for work in works] == ["cancelled", "ok", "ok"]
    assert spans(far_end) == [work.context.span_id for work in works]
    assert context.get() is None


@MIDDLEWARES
async def test_a_middleware_that_answers_makes_no_request(observed, far_end, session):
    """What does not go over the network is not observed."""
    async with session.get(far_end.url) as known:

        async def cached(request, handler):
            return known

        observed.clear()
        with observation.unit_of_work("outer"):
            await session.get(far_end.url, middlewares=(cached,))

    assert calls(observed) == []


async def test_a_response_class_of_the_users_own_is_observed(observed, far_end):
    """Also if it begins in its own way: then the call ends with the user's."""

    class Own(aiohttp.ClientResponse):
        async def start(self, connection):
            return await aiohttp.ClientResponse.start.__wrapped__(self, connection)

    async with aiohttp.ClientSession(response_class=Own) as session:
        with observation.unit_of_work("outer"):
            async with session.get(far_end.url):
                assert not context.current().exit

    assert [work.status for work in calls(observed)] == [200]


async def test_a_failure_between_the_steps_ends_the_call(observed, far_end):
    """Nothing stays open, whatever a class of the user's raises."""

    class Own(aiohttp.ClientResponse):
        async def start(self, connection):
            raise ZeroDivisionError

    async with aiohttp.ClientSession(response_class=Own) as session:
        with observation.unit_of_work("outer"):
            with pytest.raises(ZeroDivisionError) as caught:
                await session.get(far_end.url)
            assert not context.current().exit

    assert calls(observed)[0].error is caught.value


async def test_a_hook_that_raises_is_contained(observed, far_end, session, monkeypatch):
    """Before and after the call; the user gets his response, and it is counted."""
    monkeypatch.setattr(aiohttp_client.conventions, "http_client", None)
    async with session.get(far_end.url) as response:
        assert response.status == 200
    monkeypatch.undo()
    monkeypatch.setattr(aiohttp_client, "REDIRECTS", None)
    async with session.get(far_end.url) as response:
        assert response.status == 200

    assert health.internal_errors == {"hook.aiohttp_client.exchange": 2}
    assert context.get() is None


async def test_a_connector_that_is_asked_by_others_is_left_alone(observed, far_end):
    """Without a request of a session there is nothing to observe."""
    async with aiohttp.ClientSession() as session:
        async with session.get(far_end.url):
            pass
        observed.clear()
        request = aiohttp.ClientRequest(
            "GET", aiohttp.client.URL(far_end.url), loop=asyncio.get_running_loop(), session=session
        )
        connection = await session.connector.connect(request, [], aiohttp.ClientTimeout())
        connection.close()

    assert "traceparent" not in request.headers
    assert observed == []


PLAIN = """
import asyncio, sys
from obskit import instrumentation, observation
instrumentation.instrument("aiohttp_client")
import aiohttp
from aiohttp import http_parser

class Recorder:
    def start(self, work): pass
    def end(self, work): print(work.kind.value, work.status, work.library)

async def ask():
    async with aiohttp.ClientSession() as session, session.get(sys.argv[1]):
        pass

observation.configure([("recorder", Recorder())])
assert http_parser.HttpResponseParser is http_parser.HttpResponseParserPy
asyncio.run(ask())
"""


def test_it_works_without_compiled_parts(far_end):
    """The build of aiohttp that is Python alone is hooked alike."""
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, far_end.url],
        env={
            **os.environ,
            "AIOHTTP_NO_EXTENSIONS": "1",
            "MULTIDICT_NO_EXTENSIONS": "1",
            "PYTHONPATH": str(ROOT / "src"),
        },
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.stdout, done.stderr) == ("client 200 aiohttp\n", "")
    assert far_end.seen[0][1]["traceparent"]
