"""structlog's context variables between requests."""

import structlog

from obskit import context, instrumentation, observation
from obskit.asgi import Middleware
from tests.instrumentation.calling import call


async def answer(scope, receive, send):
    """Answer, and leave a field behind."""
    answer.seen = structlog.contextvars.get_contextvars()
    structlog.contextvars.bind_contextvars(user="ada")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def leak():
    """Leave what the loop hands over from one request to the next."""
    work = observation.Observation("GET", observation.Kind.SERVER)
    observation.start(work)
    observation.finish(work)
    observation.leave(work, keep=True)
    structlog.contextvars.bind_contextvars(user="bob")


async def test_what_a_finished_request_has_left_is_cleared(observed):
    """The next request on a connection starts without the fields of the one before."""
    leak()
    await call(Middleware(answer))

    assert answer.seen == {}


async def test_what_the_process_has_bound_stays(observed):
    """Fields that were bound before any request are meant for all."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(region="eu")
    await call(Middleware(answer))

    assert answer.seen == {"region": "eu"}


async def test_a_request_within_a_request_keeps_its_callers_fields(observed):
    """In-process calls clear nothing of a unit of work that runs."""
    structlog.contextvars.clear_contextvars()
    with observation.unit_of_work("outer"):
        structlog.contextvars.bind_contextvars(user="eve")
        await call(Middleware(answer))

    assert answer.seen == {"user": "eve"}


async def test_nothing_is_cleared_when_the_row_is_off(observed):
    """Switched off, structlog is left alone."""
    instrumentation.uninstrument("structlog")
    leak()
    await call(Middleware(answer))

    assert answer.seen == {"user": "bob"}
    assert context.get() is None


async def test_a_cleaner_that_fails_fails_no_request(observed, broken, monkeypatch):
    """The error is counted."""
    from obskit.instrumentation import _served

    monkeypatch.setattr(_served, "leak_cleaners", [lambda: 1 / 0])
    leak()
    await call(Middleware(answer))

    assert broken == {"instrumentation.leak": 1}
