"""asgi-correlation-id around a whole application, with the name of our header or its own."""

import pytest
from asgi_correlation_id import CorrelationIdMiddleware, correlation_id
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from obskit import instrumentation, observation, propagation
from obskit.instrumentation._served import MARK
from tests.instrumentation.calling import call

VALID = "0af7651916cd43dd8448eb211c80319c"
OURS = "X-Correlation-ID"
GIVEN = pytest.mark.parametrize("given", [None, VALID, "not-a-uuid"])


async def say_id(request):
    """Answer with the ID that the library's own log filter shows."""
    return PlainTextResponse(str(correlation_id.get()))


async def fail(request):
    """Fail."""
    raise LookupError("mine")


def around(name=OURS, inner=None):
    """Return an application with the middleware around it."""
    inner = inner or Starlette(routes=[Route("/", say_id), Route("/fail", fail)])
    return CorrelationIdMiddleware(inner, header_name=name)


def sent(given, name=OURS):
    """Return the headers of a request."""
    return [] if given is None else [(name.lower(), given)]


@GIVEN
async def test_an_answer_has_our_header_once(observed, broken, given):
    """Also where its own ID comes first: the one that the lines have is answered."""
    one = await call(around(), headers=sent(given))

    (work,) = observed
    assert one.header("x-correlation-id") == [work.context.correlation_id]
    assert one.sent[1]["body"].decode() == work.context.correlation_id
    assert broken == {}


@GIVEN
async def test_a_caller_who_is_not_believed_gets_our_id(observed, given):
    """Its own ID is another one then, and the lines have ours."""
    propagation.configure(propagation.Policy(trust="edge"))
    one = await call(around(), headers=sent(given))

    assert one.header("x-correlation-id") == [observed[0].context.correlation_id]
    assert one.sent[1]["body"].decode() != observed[0].context.correlation_id


@GIVEN
async def test_a_header_of_its_own_stays(observed, given):
    """Both are there, each once."""
    one = await call(around("X-Request-ID"), headers=sent(given, "X-Request-ID"))

    assert one.header("x-correlation-id") == [observed[0].context.correlation_id]
    assert one.header("x-request-id") == [one.sent[1]["body"].decode()]


async def test_an_answer_to_an_error_has_our_header_once(observed):
    """The error itself goes to the server as before."""
    app = around()
    answers = []

    async def keep(scope, receive, send):
        async def send_on(message):
            answers.append(message)
            await send(message)

        await app(scope, receive, send_on)

    with pytest.raises(LookupError, match="mine"):
        await call(keep, "/fail")
    names = [name for name, _ in answers[0]["headers"]]
    assert names.count(b"x-correlation-id") == 1
    assert observed[0].status == 500


async def test_what_nobody_observes_is_left_as_it_is(observed):
    """Whatever such an application says, twice or in another spelling, it goes out so."""
    headers = [(b"X-Correlation-ID", b"a"), (b"set-cookie", b"b"), (b"set-cookie", b"b")]

    async def plain(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    one = await call(around(inner=plain), headers=sent(VALID))
    assert one.sent[0]["headers"] == [*headers, (b"x-correlation-id", VALID.encode())]
    assert observed == []


@pytest.mark.parametrize("way", ["row", "suppressed", "not sent"])
async def test_where_ours_is_not_meant_to_be_nothing_is_taken_out(observed, way):
    """The row is off, nothing is observed, or obskit is told to send no such header."""
    if way == "row":
        instrumentation.uninstrument("asgi_correlation_id")
    elif way == "not sent":
        propagation.configure(propagation.Policy(propagate=frozenset({"w3c"})))
    if way == "suppressed":
        with observation.suppress():
            one = await call(around(), headers=sent(VALID))
    else:
        one = await call(around(), headers=sent(VALID))

    assert one.header("x-correlation-id") == [VALID] * (2 if way == "row" else 1)


async def test_an_error_of_ours_is_contained(observed, broken):
    """The answer goes out as the middleware has made it."""

    async def marked(scope, receive, send):
        scope[MARK] = None
        await send({"type": "http.response.start", "status": 200, "headers": []})

    one = await call(around(inner=marked), headers=sent(VALID))

    assert one.header("x-correlation-id") == [VALID]
    assert broken == {"asgi_correlation_id.answer": 1}
