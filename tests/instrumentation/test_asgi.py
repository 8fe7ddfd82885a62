"""The engine for ASGI, without a server, and the hand-over to WSGI applications."""

import asyncio

import pytest

from obskit import clock, context, observation
from obskit.asgi import Middleware
from obskit.observation import OUTCOMES
from tests.instrumentation.calling import Call, call, scope

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
BODY = {"type": "http.response.body", "body": b"ok"}


def answering(*messages):
    """Return an application that sends these messages."""

    async def app(scope, receive, send):
        app.seen = context.get()
        for message in messages:
            await send(message)

    return app


def started(**changes):
    return {**START, **changes}


async def test_an_answer_is_observed_and_has_the_id(observed):
    """One SERVER observation, and its ID on the response."""
    app = answering(START, BODY)
    one = await call(Middleware(app, route=lambda scope: "/orders/{id}"), "/orders/7")
    work = observed[0]

    assert (len(observed), work.name) == (1, "GET /orders/{id}")
    assert (work.status, work.outcome, work.kind.value) == (200, "ok", "server")
    assert one.header("x-correlation-id") == [app.seen.correlation_id]
    assert work.context.unit is app.seen.unit
    assert context.get() is None
    assert clock.current() is None


async def test_a_correlation_header_of_the_application_is_replaced(observed):
    """One header, ours, in whatever spelling theirs was; all others stay in their order."""
    theirs = [(b"a", b"1"), (b"X-Correlation-ID", b"x"), (b"x-correlation-id", b"y"), (b"b", b"2")]
    headers = list(theirs)
    one = await call(Middleware(answering(started(headers=headers), BODY)))

    assert one.header("x-correlation-id") == [observed[0].context.correlation_id]
    assert [name for name, _ in one.sent[0]["headers"]][:2] == [b"a", b"b"]
    assert headers == theirs


async def test_the_applications_message_is_not_changed(observed):
    """An application may send one message object for all requests."""
    message = started(headers=((b"a", b"1"),))
    app = Middleware(answering(message, BODY))
    await call(app)
    await call(app)

    assert message == started(headers=((b"a", b"1"),))


async def test_an_id_that_came_goes_on_and_back(observed):
    """The caller's ID is used and answered."""
    one = await call(Middleware(answering(START, BODY)), headers=[("x-correlation-id", "abc")])

    assert one.header("x-correlation-id") == ["abc"]
    assert observed[0].context.correlation_source == "inherited"


async def test_the_clock_goes_back_to_callers_of_ours_only(observed):
    """Who spoke of an operation hears the clock; a browser does not."""
    app = Middleware(answering(START, BODY))
    ours = await call(app, headers=[("x-correlation-id", "abc")])
    by_baggage = await call(app, headers=[("baggage", "obskit.correlation=abc")])
    stranger = await call(app)
    outside = await call(app, headers=[("x-correlation-id", "abc")], client=("93.184.216.34", 1))

    assert clock.parse(ours.header("obskit-cause")[0]) is not None
    assert len(by_baggage.header("obskit-cause")) == 1
    assert stranger.header("obskit-cause") == []
    assert outside.header("obskit-cause") == []
    assert outside.header("x-correlation-id") != ["abc"]


async def test_timing_is_for_callers_of_ours_where_nothing_is_cached(observed):
    """It is added beside what the application says itself."""
    headers = [(b"server-timing", b"db;dur=1")]
    app = Middleware(answering(started(headers=headers), BODY))
    ours = await call(app, method="POST", headers=[("x-correlation-id", "abc")])
    cached = await call(app, headers=[("x-correlation-id", "abc")])
    stranger = await call(app, method="POST")

    assert ours.header("server-timing")[0] == "db;dur=1"
    assert ours.header("server-timing")[1].startswith("app;dur=")
    assert len(cached.header("server-timing")) == len(stranger.header("server-timing")) == 1


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "ok"), (302, "ok"), (404, "client_error"), (429, "rejected"), (500, "server_error"),
     (504, "timeout")],
)  # fmt: skip
async def test_statuses_are_judged(observed, status, outcome):
    """The outcome says whose fault it is."""
    await call(Middleware(answering(started(status=status), BODY)))

    assert (observed[0].status, observed[0].outcome) == (status, outcome)
    assert outcome in OUTCOMES


async def test_an_error_before_the_answer_is_a_500(observed):
    """The server answers 500, the error goes to it, and its ID stays for the server's line."""
    error = LookupError("mine")

    async def app(scope, receive, send):
        raise error

    with pytest.raises(LookupError) as caught:
        await call(Middleware(app))

    work = observed[0]
    assert caught.value is error
    assert (work.status, work.error, work.outcome) == (500, error, "server_error")
    assert context.correlation_id() == work.context.correlation_id


async def test_the_id_that_an_error_has_left_is_gone_in_the_next_request(observed):
    """Entries overwrite what they find."""

    async def app(scope, receive, send):
        raise LookupError

    with pytest.raises(LookupError):
        await call(Middleware(app))
    await call(Middleware(answering(START, BODY)))

    assert observed[0].context.correlation_id != observed[1].context.correlation_id
    assert observed[1].context.parent_span_id is None
    assert context.get() is None


async def test_an_error_handler_that_answers_tells_the_error(observed):
    """Frameworks answer inside of their except block and raise on: the error is known before."""
    error = LookupError("mine")

    async def app(scope, receive, send):
        try:
            raise error
        except LookupError:
            await send(started(status=500))
            await send(BODY)
            raise

    with pytest.raises(LookupError):
        await call(Middleware(app))

    assert len(observed) == 1
    assert (observed[0].error, observed[0].status) == (error, 500)


class HTTPException(Exception):
    """As frameworks have it."""

    status_code = 502


async def test_an_answer_that_is_raised_is_no_error_but_what_led_to_it_is(observed):
    """HTTPException(502) from an error names that error; without one it names none."""

    def app(cause):
        async def app(scope, receive, send):
            try:
                raise HTTPException from cause
            except HTTPException:
                await send(started(status=502))
                await send(BODY)

        return app

    cause = LookupError("gone")
    await call(Middleware(app(cause)))
    await call(Middleware(app(None)))

    assert [work.error for work in observed] == [cause, None]


async def test_a_caught_error_behind_a_good_answer_is_none(observed):
    """What an application handles by itself is its own business."""

    async def app(scope, receive, send):
        try:
            raise LookupError
        except LookupError:
            await send(START)
            await send(BODY)

    await call(Middleware(app))

    assert (observed[0].error, observed[0].outcome) == (None, "ok")


async def test_an_error_within_a_stream_is_a_server_error(observed):
    """The status was 200, the answer is broken all the same."""

    async def app(scope, receive, send):
        await send(START)
        await send({**BODY, "more_body": True})
        raise LookupError

    with pytest.raises(LookupError):
        await call(Middleware(app))

    assert (observed[0].status, observed[0].outcome) == (200, "server_error")


async def test_the_end_of_the_response_ends_it(observed):
    """What an application does afterwards is not the request's time."""

    async def app(scope, receive, send):
        await send(START)
        await send({**BODY, "more_body": True})
        assert not observed
        await send(BODY)
        assert len(observed) == 1
        await asyncio.sleep(0.05)
        assert context.get() is not None

    await call(Middleware(app))

    assert observed[0].duration_ns < 50_000_000


async def test_who_has_the_last_byte_finds_it_counted(observed):
    """The observation ends before the last event goes out."""
    counts = []
    one = Call(scope(), [])

    async def send(message):
        counts.append(len(observed))

    await Middleware(answering(START, {**BODY, "more_body": True}, BODY))(
        one.scope, one.receive, send
    )

    assert counts == [0, 0, 1]


@pytest.mark.parametrize(
    "ending",
    [
        [{"type": "http.response.pathsend", "path": "/x"}],
        [{"type": "http.response.zerocopysend", "file": 1, "more_body": False}],
    ],
)
async def test_files_that_the_server_sends_end_it_too(observed, ending):
    """Extensions have other last events."""
    await call(Middleware(answering(START, *ending)))

    assert [work.outcome for work in observed] == ["ok"]


async def test_trailers_come_after_the_body(observed):
    """Where trailers were announced, they are the end."""
    counts = []

    async def app(scope, receive, send):
        await send(started(trailers=True))
        await send(BODY)
        counts.append(len(observed))
        await send({"type": "http.response.trailers", "headers": [], "more_trailers": True})
        counts.append(len(observed))
        await send({"type": "http.response.trailers", "headers": []})
        counts.append(len(observed))

    await call(Middleware(app))

    assert counts == [0, 0, 1]


async def test_no_answer_is_a_500(observed):
    """The server sends one in the application's place."""
    await call(Middleware(answering()))

    assert (observed[0].status, observed[0].outcome) == (500, "server_error")


async def test_half_an_answer_is_a_server_error(observed):
    """Whoever returns in the middle of a response has broken it."""
    await call(Middleware(answering(START, {**BODY, "more_body": True})))

    assert (observed[0].status, observed[0].outcome) == (200, "server_error")


async def test_a_client_that_leaves_is_gone_whatever_the_status(observed):
    """The application heard of it and returned."""

    async def app(scope, receive, send):
        await send(START)
        await send({**BODY, "more_body": True})
        assert (await receive())["type"] == "http.disconnect"

    await call(Middleware(app), messages=[{"type": "http.disconnect"}])

    assert (observed[0].status, observed[0].outcome) == (200, "client_gone")


async def test_a_disconnect_after_the_answer_is_none(observed):
    """Servers say so after each response."""

    async def app(scope, receive, send):
        await send(START)
        await send(BODY)
        await receive()

    await call(Middleware(app), messages=[{"type": "http.disconnect"}])

    assert observed[0].outcome == "ok"


async def test_a_server_that_cannot_send_has_lost_its_client(observed):
    """Newer servers raise OSError from send."""
    one = Call(scope(), [])

    async def send(message):
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await Middleware(answering(START, BODY))(one.scope, one.receive, send)

    assert observed[0].outcome == "client_gone"


class Cycle:
    """What uvicorn keeps of a request."""

    def __init__(self):
        self.disconnected = False

    async def receive(self):
        return {"type": "http.request", "body": b""}


async def test_a_client_that_left_unheard_is_looked_for(observed):
    """An application that does not listen is not told; the server knows."""
    cycle = Cycle()
    one = Call(scope(), [])

    async def app(scope, receive, send):
        cycle.disconnected = True
        await send(START)
        await send(BODY)

    await Middleware(app)(one.scope, cycle.receive, one.send)

    assert observed[0].outcome == "client_gone"


async def test_a_cancelled_application_has_lost_its_client(observed):
    """Servers that cancel on disconnect do not make server errors."""

    async def app(scope, receive, send):
        await asyncio.sleep(10)

    task = asyncio.create_task(call(Middleware(app)))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert observed[0].outcome == "client_gone"


async def test_one_request_has_one_owner(observed):
    """A middleware within a middleware lets pass."""
    one = await call(Middleware(Middleware(answering(START, BODY))))

    assert len(observed) == 1
    assert len(one.header("x-correlation-id")) == 1


async def test_lifespan_is_left_alone(observed):
    """Start-up and shutdown are no requests, and get the very callables of the server."""
    given = []

    async def app(scope, receive, send):
        given.append((scope, receive, send))

    one = Call({"type": "lifespan"}, [])
    await Middleware(app)(one.scope, one.receive, one.send)

    assert given[0] == ({"type": "lifespan"}, one.receive, one.send)
    assert not observed


async def test_a_suppressed_server_is_not_observed(observed):
    """Our own endpoints are no part of the service."""
    with observation.suppress():
        await call(Middleware(answering(START, BODY)))

    assert not observed


async def test_a_call_in_process_gives_the_caller_its_context_back(observed):
    """A gateway that calls another application goes on under its own ID, also after an error."""

    async def failing(scope, receive, send):
        raise LookupError

    with observation.unit_of_work("outer", correlation_id="outer"):
        await call(Middleware(answering(START, BODY)), headers=[("x-correlation-id", "inner")])
        assert context.correlation_id() == "outer"
        with pytest.raises(LookupError):
            await call(Middleware(failing))
        assert context.correlation_id() == "outer"


async def test_two_calls_in_one_task_do_not_mix(observed):
    """In-process test clients share the task: each request is an operation of its own."""
    ids = [
        (await call(Middleware(answering(START, BODY)))).header("x-correlation-id") for _ in "ab"
    ]

    assert ids[0] != ids[1]
    assert context.get() is None


async def test_only_known_headers_are_taken(observed):
    """Of a name that comes twice the values are joined; others are not looked at."""
    headers = [(b"cookie", b"secret"), (b"tracestate", b"a=1"), (b"tracestate", b"b=2")]

    one = Call(scope(), [])
    one.scope["headers"] = headers
    await Middleware(answering(START, BODY))(one.scope, one.receive, one.send)

    assert observed[0].carrier == {"tracestate": "a=1,b=2"}


@pytest.mark.parametrize(
    "value", [b"a\nb", b"x" * 9000, b"\xff\xfe", b"", b"a b", b"id;drop", b"a" * 129]
)
async def test_hostile_ids_are_replaced(observed, value):
    """What is unfit never comes back in a header or into a line."""
    one = Call(scope(), [])
    one.scope["headers"] = [(b"x-correlation-id", value)]
    await Middleware(answering(START, BODY))(one.scope, one.receive, one.send)

    assert one.header("x-correlation-id") == [observed[0].context.correlation_id]
    assert len(observed[0].context.correlation_id) == 32
    assert observed[0].invalid_id


@pytest.mark.parametrize("broken_scope", [{"headers": None}, {"headers": [1]}, {"client": 7}])
async def test_a_scope_that_cannot_be_read_is_served_unobserved(observed, broken, broken_scope):
    """A strange server serves on."""
    app = answering(START, BODY)
    one = Call(scope(), [])
    one.scope.update(broken_scope)
    await Middleware(app)(one.scope, one.receive, one.send)

    assert one.status == 200
    assert len(broken) == 1


async def test_a_broken_route_function_is_contained(observed, broken):
    """The request is observed without a route."""
    await call(Middleware(answering(START, BODY), route=lambda scope: 1 / 0))

    assert observed[0].labels["http_route"] == "__unmatched__"
    assert broken == {"instrumentation.route": 1}


async def test_an_observer_that_fails_fails_nobody(observed, broken):
    """The answer goes out whole."""

    class Failing:
        def start(self, work):
            raise RuntimeError("start")

        def end(self, work):
            raise RuntimeError("end")

    observation.configure([("failing", Failing())])
    one = await call(Middleware(answering(START, BODY)))

    assert [message["type"] for message in one.sent] == [START["type"], BODY["type"]]
    assert broken == {"failing.start": 1, "failing.end": 1}


async def test_a_malformed_message_goes_to_the_server_as_it_is(observed, broken):
    """What the application does wrong is the server's to say."""
    one = await call(Middleware(answering({"type": "http.response.start"})))

    assert one.sent == [{"type": "http.response.start"}]
    assert broken == {"asgi.send": 1}


async def test_the_summary_belongs_to_the_request_wherever_it_ends(observed):
    """A response that is sent by a step or a task of its own ends the request's observation."""
    spans = []

    class Looking:
        def start(self, work):
            pass

        def end(self, work):
            spans.append((work.name, context.get().span_id, clock.current() is not None))

    observation.configure([("looking", Looking())])

    async def app(scope, receive, send):
        await send(START)
        with observation.observe("streaming"):
            await send({**BODY, "more_body": True})

            async def last():
                context.attach(None)
                clock.attach(None)
                await send(BODY)
                assert context.get() is None

            await asyncio.create_task(last())

    one = await call(Middleware(app))
    served = one.scope["obskit.served"].observation

    assert spans[0] == ("GET", served.context.span_id, True)
    assert [name for name, _, _ in spans] == ["GET", "streaming"]


@pytest.mark.filterwarnings("ignore:starlette.middleware.wsgi is deprecated")
async def test_a_wsgi_application_within_has_its_owner(observed):
    """Flask in an ASGI application is one request with one ID, and names the route."""
    from flask import Flask
    from starlette.applications import Starlette
    from starlette.middleware.wsgi import WSGIMiddleware
    from starlette.routing import Mount

    inner = Flask("inner")
    inner.add_url_rule("/orders/<number>", view_func=lambda number: context.correlation_id())
    outer = Starlette(routes=[Mount("/legacy", WSGIMiddleware(inner))])
    one = await call(outer, "/legacy/orders/7")
    body = b"".join(message.get("body", b"") for message in one.sent)

    assert [work.name for work in observed] == ["GET /legacy/orders/<number>"]
    assert one.header("x-correlation-id") == [body.decode()]


async def test_asgiref_hands_the_mark_over_too(observed):
    """The other adapter makes its environ in a method."""
    from asgiref.wsgi import WsgiToAsgi

    from obskit import wsgi

    def inner(environ, start_response):
        start_response("200 OK", [])
        return [b"ok"]

    await call(Middleware(WsgiToAsgi(wsgi.Middleware(inner))))

    assert len(observed) == 1
