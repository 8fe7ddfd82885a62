"""Scrapes inside of a web application."""

import asyncio
import gzip

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from obskit import health
from obskit.metrics import apps
from obskit.metrics.apps import answer, metrics_app, metrics_wsgi_app

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# What Prometheus 2.42 and 3.14 send.
ACCEPTS = (
    (
        "application/openmetrics-text;version=1.0.0,"
        "application/openmetrics-text;version=0.0.1;q=0.75,"
        "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    ),
    (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
        "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    ),
)

pytestmark = pytest.mark.usefixtures("fresh")


def header(reply, name):
    """Return the value of a header."""
    (value,) = [value for key, value in reply.headers if key == name]
    return value


def test_without_a_word_the_text_format_is_served():
    """Who asks for nothing in particular gets text 0.0.4."""
    for accept in (None, "", "*/*", "text/html", "text/plain"):
        reply = answer("GET", accept, None)
        assert reply.status == 200
        assert header(reply, "Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        assert not reply.body.endswith(b"# EOF\n")


@pytest.mark.parametrize("accept", ACCEPTS)
def test_prometheus_gets_openmetrics(accept):
    """What Prometheus asks for is answered with OpenMetrics 1.0, ended as it must be."""
    reply = answer("GET", accept, None)

    assert header(reply, "Content-Type").startswith("application/openmetrics-text; version=1.0.0")
    assert reply.body.endswith(b"# EOF\n")


def test_a_large_answer_is_compressed_where_that_is_wanted():
    """With gzip the content is the same, and caches are told that it depends."""
    plain, small = answer("GET", None, None), answer("GET", None, "br, gzip;q=0.8")

    assert header(small, "Content-Encoding") == "gzip"
    assert header(small, "Vary") == "Accept, Accept-Encoding"
    assert len(small.body) == int(header(small, "Content-Length")) < len(plain.body)
    assert gzip.decompress(small.body).startswith(b"# HELP")


@pytest.mark.parametrize(
    ("accepted", "allowed"),
    [
        (None, False),
        ("", False),
        ("identity", False),
        ("gzip", True),
        ("GZIP ; q=1", True),
        ("deflate, gzip", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0", False),
        ("xgzip", False),
    ],
)
def test_gzip_is_used_only_where_it_is_allowed(accepted, allowed):
    """The header is read as HTTP says."""
    assert apps.accepts_gzip(accepted) is allowed


@pytest.mark.parametrize("accept", ACCEPTS)
def test_head_says_what_get_would(accept):
    """The headers are those of the whole answer, the body is empty."""
    reply = answer("HEAD", accept, None)

    assert reply.body == b""
    assert int(header(reply, "Content-Length")) > 1000


def test_metrics_can_only_be_read():
    """Other methods are refused, and told which there are."""
    reply = answer("POST", None, None)

    assert reply.status == 405
    assert header(reply, "Allow") == "GET, HEAD"


def test_an_exposition_that_fails_is_an_error_of_ours(monkeypatch):
    """The scraper sees a 500, the service nothing, and it is counted."""
    monkeypatch.setattr(apps, "render", lambda accept: 1 / 0)

    assert answer("GET", None, None).status == 500
    assert answer("HEAD", None, None).body == b""
    assert health.internal_errors == {"metrics.render": 2}


@given(st.text(max_size=80), st.text(max_size=40), st.text(max_size=20))
@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
def test_no_header_does_harm(accept, encoding, version):
    """Whatever is asked for, there is an answer, and no header is broken by what was asked."""
    asked = f"{accept},application/openmetrics-text;version={version};escaping={encoding}"
    reply = answer("GET", asked, encoding)

    assert reply.status == 200
    assert all(value.isprintable() and value.isascii() for _, value in reply.headers)


def ask_asgi(scope, *messages):
    """Call the ASGI application and return what it sends."""
    sent, pending = [], list(messages)

    async def receive():
        return pending.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(metrics_app()(scope, receive, send))
    return sent


def test_asgi_answers_under_any_path():
    """Mounted anywhere, with headers that are no UTF-8."""
    headers = [(b"accept", b"\xff\xfe"), (b"Accept-Encoding", b"gzip")]
    start, body = ask_asgi({"type": "http", "method": "GET", "path": "/x", "headers": headers})

    assert start["status"] == 200
    assert (b"content-encoding", b"gzip") in start["headers"]
    assert gzip.decompress(body["body"]).startswith(b"# HELP")


def test_asgi_lives_and_dies_with_its_server():
    """The lifespan protocol is spoken, and a websocket is closed politely."""
    lifespan = ask_asgi(
        {"type": "lifespan"}, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}
    )
    assert [message["type"] for message in lifespan] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]

    (closed,) = ask_asgi({"type": "websocket"}, {"type": "websocket.connect"})
    assert closed["type"] == "websocket.close"


def test_asgi_needs_no_asyncio():
    """Under trio it answers, too."""
    trio = pytest.importorskip("trio")
    sent = []

    async def send(message):
        sent.append(message)

    async def ask():
        scope = {"type": "http", "method": "GET", "headers": []}
        await metrics_app()(scope, None, send)

    trio.run(ask)
    assert sent[0]["status"] == 200


def test_wsgi_answers_under_any_path():
    """The same page over the other protocol, as its validator demands."""
    from wsgiref.util import setup_testing_defaults
    from wsgiref.validate import validator

    environ = {"PATH_INFO": "/x", "QUERY_STRING": "", "SCRIPT_NAME": "", "HTTP_ACCEPT": ACCEPTS[0]}
    setup_testing_defaults(environ)
    answered = []
    body = validator(metrics_wsgi_app())(
        environ, lambda status, headers, exc_info=None: answered.append((status, dict(headers)))
    )
    content = b"".join(body)
    body.close()

    assert answered[0][0] == "200 OK"
    assert answered[0][1]["Content-Type"].startswith("application/openmetrics-text")
    assert content.endswith(b"# EOF\n")
