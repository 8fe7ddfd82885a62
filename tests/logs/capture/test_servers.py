"""Which access lines have a summary line beside them, and whose a task's error is."""

import asyncio
import sys
import tempfile

import pytest

from obskit import context
from obskit.logs.capture import servers
from obskit.logs.capture.handlers import summarised
from obskit.logs.capture.streams import LineStream
from obskit.observation import unit_of_work


def look(*_, **__):
    """Stand for the writing of an access line."""
    return summarised.get()


class ASGIResponseInfo:
    """What gunicorn's own worker for ASGI knows of a response."""

    def __init__(self, *headers):
        self.headers = headers


@pytest.mark.parametrize(
    ("environ", "response", "expected"),
    [
        ({servers.MARK: object()}, object(), True),
        ({}, object(), False),
        ({}, ASGIResponseInfo(("X-Correlation-ID", "a")), True),
        ({}, ASGIResponseInfo(("Server", "a")), False),
    ],
)
def test_gunicorn_says_so_by_environ_or_header(environ, response, expected):
    """Its worker for ASGI makes an environ that knows nothing of the request."""
    assert servers.gunicorn_access(look, None, (response, None, environ, None), {}) is expected
    assert summarised.get() is False


def test_gunicorn_may_be_called_in_another_way():
    """Whatever its arguments are, it is called with them."""
    assert servers.gunicorn_access(look, None, (), {"environ": {}}) is False


@pytest.mark.parametrize(
    ("environ", "expected"), [({servers.MARK: 1}, True), ({}, False), (None, False)]
)
def test_werkzeug_says_so_by_environ(environ, expected):
    """A request that could not be read has none."""
    handler = type("Handler", (), {"environ": environ} if environ is not None else {})()

    assert servers.werkzeug_request(look, handler, ("200", 1), {}) is expected


@pytest.mark.parametrize(
    ("environ", "expected"), [({servers.MARK: 1}, True), ({}, False), (None, False)]
)
def test_djangos_runserver_says_so_by_environ(environ, expected):
    """It writes the access line while it closes the response."""
    handler = type("ServerHandler", (), {"environ": environ})()

    assert servers.django_close(look, handler, (), {}) is expected
    assert summarised.get() is False


@pytest.mark.parametrize(("scope", "expected"), [({servers.MARK: 1}, True), ({}, False)])
async def test_hypercorn_says_so_by_scope(scope, expected):
    """Its access line is written by a coroutine."""
    seen = []

    async def access(*_):
        seen.append(summarised.get())

    await servers.hypercorn_access(access, None, (scope, None, 0.1), {})

    assert seen == [expected]
    assert summarised.get() is False


@pytest.mark.skipif(sys.version_info < (3, 12), reason="a task does not tell its context before")
def test_the_error_of_a_task_is_said_in_its_operation():
    """Whatever else is going on when it is found."""
    seen = []

    async def main():
        loop = asyncio.get_running_loop()
        with unit_of_work("job", correlation_id="job-1"):
            task = loop.create_task(asyncio.sleep(0))
        with unit_of_work("other", correlation_id="job-2"):
            servers.task_error(lambda _: seen.append(context.correlation_id()), loop,
                               ({"task": task},), {})  # fmt: skip
            servers.task_error(lambda _: seen.append(context.correlation_id()), loop,
                               ({"message": "no task"},), {})  # fmt: skip
            servers.task_error(lambda _: seen.append(context.correlation_id()), loop,
                               ({"future": loop.create_future()},), {})  # fmt: skip
        await task

    asyncio.run(main())

    assert seen == ["job-1", "job-2", None]


def test_the_hooks_name_what_is_there():
    """Each path exists in its library."""
    for hook in servers.HOOKS:
        found = pytest.importorskip(hook.module)
        for name in hook.path.split("."):
            found = getattr(found, name)
        assert callable(found)


def test_what_celery_writes_to_a_descriptor_goes_to_its_stream():
    """Where that makes lines; to any other it goes as ever."""
    said, kept = [], []
    with tempfile.TemporaryFile("w+") as file:
        stream = LineStream(file, "stdout", lambda name, text: said.append((name, text.text)))
        servers.celery_says(kept.append, None, ("worker: Warm shutdown\n", stream), {})
        servers.celery_says(kept.append, None, ("Goodbye",), {"f": stream})
        servers.celery_says(lambda *args: kept.append(args), None, ("text", file), {})
        servers.celery_says(lambda *args: kept.append(args), None, ("text",), {})
        stream.detach()

    assert said == [("stdout", "worker: Warm shutdown"), ("stdout", "Goodbye")]
    assert [args[0] for args in kept] == ["text", "text"]


def test_the_mark_is_that_of_the_instrumentation():
    """The rooms do not know each other, and must mean the same."""
    from obskit.instrumentation import _served

    assert servers.MARK == _served.MARK
