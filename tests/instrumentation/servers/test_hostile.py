"""Hostile headers on the wire of real servers: the answers are those of the bare service."""

import re
from itertools import count

import pytest

FASTAPI = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/ok")
def ok():
    return "fine"
"""

FLASK = """
from flask import Flask

app = Flask("shop")


@app.get("/ok")
def ok():
    return "fine"
"""

TRACE, SPAN = b"0af7651916cd43dd8448eb211c80319c", b"b7ad6b7169203331"
OURS = rb"(?i)\r\n(?:x-correlation-id|obskit-cause|server-timing): ?[^\r\n]*"
CHANGING = rb"(?i)\r\ndate: ?[^\r\n]*"

# Header lines as they are sent; the ID that is then in force where it is a known one; the reason
# for which one was refused.
ATTACKS = {
    "newline": ([b"X-Correlation-ID: a\nX-Evil: 1"], None, None),
    "folded": ([b"X-Correlation-ID: a\r\n b"], None, "characters"),
    "carriage return": ([b"X-Correlation-ID: a\rb"], None, "characters"),
    "null": ([b"X-Correlation-ID: a\0b"], None, "characters"),
    "8 kB": ([b"X-Correlation-ID: " + b"x" * 8000], None, "too_long"),
    "4096 dashes": ([b"X-Correlation-ID: " + b"-" * 4096 + TRACE], None, "too_long"),
    "empty": ([b"X-Correlation-ID:"], None, "empty"),
    "blank": ([b"X-Correlation-ID:   \t "], None, "empty"),
    "latin": ([b"X-Correlation-ID: \xe9\xff"], None, "characters"),
    "digits": (["X-Correlation-ID: \u0661\u0662".encode()], None, "characters"),
    "quotes": ([b'X-Correlation-ID: a","level":"error'], None, "characters"),
    "markup": ([b"X-Correlation-ID: <script>"], None, "characters"),
    "twice": ([b"X-Correlation-ID: a", b"X-Correlation-ID: b"], None, "characters"),
    "many": ([b"X-Correlation-ID: a"] * 50, None, None),
    "underscores": ([b"X_Correlation_ID: spoofed"], None, None),
    "unfit, then fit": ([b"X-Correlation-ID: a b", b"X-Request-ID: fit-1"], b"fit-1", "characters"),
    "fit": ([b"X-Correlation-ID: fit-2"], b"fit-2", None),
    "names": ([b"x-CORRELATION-id: fit-3"], b"fit-3", None),
    "traceparent": ([b"traceparent: 00-" + b"z" * 32 + b"-" + SPAN + b"-01"], None, None),
    "two traces": ([b"traceparent: 00-" + TRACE + b"-" + SPAN + b"-01"] * 2, None, None),
    "tracestate": ([b"tracestate: " + b"a=1," * 1500], None, None),
    "baggage": ([b"baggage: " + b"obskit.caller=%0a%0d,x=\xff," * 200], None, None),
    "own baggage": ([b"baggage: obskit.correlation=a%20b,obskit.hop=9e9"], None, "characters"),
    "cause": ([b"Obskit-Cause: 1." + b"z" * 500], None, None),
    "b3": ([b"b3: " + b"0" * 32 + b"-" + b"0" * 16 + b"-d"], None, None),
    "forwarded": ([b"Forwarded: for=\xff;", b"X-Forwarded-For: ,,,\xff"], None, None),
}


def exchange(served, lines):
    """Send a raw request with header *lines*, and return the raw answer."""
    request = b"\r\n".join(
        [b"GET /ok HTTP/1.1", b"Host: x", b"Connection: close", *lines, b"", b""]
    )
    with served.connect() as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def essence(answer):
    """Return an answer without what is ours and what changes by itself."""
    return re.sub(CHANGING, b"", re.sub(OURS, b"", answer))


def check(observed, bare):
    """Attack both services and compare."""
    expected_count = count(1)
    for name, (lines, known, reason) in ATTACKS.items():
        answer, without = exchange(observed, lines), exchange(bare, lines)

        assert essence(answer) == essence(without), name
        if not without.startswith(b"HTTP/1.1 200"):
            continue
        ids = re.findall(rb"(?i)\r\nx-correlation-id: ?([^\r\n]*)", answer)
        work = observed.ended(next(expected_count))[-1]
        assert ids == [work["id"].encode()], name
        assert re.fullmatch(rb"[A-Za-z0-9._:~+/=@-]{1,128}", ids[0]), name
        if known is not None:
            assert ids == [known], name
        if reason is not None:
            assert work["invalid"] == reason, name
        assert work["outcome"] == "ok", name
    assert len(observed.ended(0)) >= 18


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_uvicorn(uvicorn, http):
    """Whatever its parser lets through, each answer has one fit ID and nothing else changes."""
    bare = uvicorn(FASTAPI + "\ninstrumentation.uninstrument()\n", "--http", http)
    check(uvicorn(FASTAPI, "--http", http), bare)


def test_gunicorn(gunicorn):
    """The same through WSGI, where names become upper case and several values one."""
    bare = gunicorn(FLASK + "\ninstrumentation.uninstrument()\n")
    check(gunicorn(FLASK), bare)
