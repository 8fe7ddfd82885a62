"""W3C Trace Context, as a service of FastAPI and httpx carries it: what comes in against what goes on."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from obskit import observation
from tests.services.servers import Server

SERVICE = """
from obskit import instrumentation

instrumentation.instrument()

import httpx
from fastapi import FastAPI, Request

app = FastAPI()


@app.post("/test")
async def test(request: Request):
    async with httpx.AsyncClient(trust_env=False) as client:
        for action in await request.json():
            await client.post(action["url"], json=action["arguments"])
    return {}
"""

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
PARENT = ("traceparent", f"00-{TRACE}-{SPAN}-01")
Headers = list[tuple[str, str]]


class Callee(BaseHTTPRequestHandler):
    """Keep the headers of each request."""

    def do_POST(self):
        self.server.seen.append(self.headers)
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        """Be quiet."""


@pytest.fixture
def callee() -> Iterator[ThreadingHTTPServer]:
    """Give the server that the service calls."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Callee)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Outgoing:
    """What the service has sent on."""

    def __init__(self, message: object) -> None:
        parents = message.get_all("traceparent")
        assert len(parents) == 1
        match = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", parents[0])
        assert match is not None, parents
        self.trace, self.span, flags = match.groups()
        self.flags = int(flags, 16)
        assert self.trace.strip("0")
        assert self.span.strip("0")
        self.state = message.get_all("tracestate") or []


@pytest.fixture
def send(
    run_uvicorn: Callable[..., Server], callee: ThreadingHTTPServer
) -> Callable[..., list[Outgoing]]:
    """Give what calls the service with headers and returns what it has sent on."""
    server = run_uvicorn(SERVICE)

    def call(headers: Headers, count: int = 1) -> list[Outgoing]:
        callee.seen.clear()
        action = {"url": f"http://127.0.0.1:{callee.server_port}/", "arguments": []}
        with observation.suppress(), httpx.Client(timeout=20, trust_env=False) as client:
            answer = client.post(server.url + "/test", headers=headers, json=[action] * count)
        assert answer.status_code == 200
        assert len(callee.seen) == count
        return [Outgoing(message) for message in callee.seen]

    return call


CONTINUED = {
    "as it is": [PARENT],
    "name in other letters": [("TraceParent", PARENT[1])],
    "name in capitals": [("TRACEPARENT", PARENT[1])],
    "blanks around": [("traceparent", f" \t{PARENT[1]} \t")],
    "a later version": [("traceparent", f"cc-{TRACE}-{SPAN}-01")],
    "a later version with more in it": [("traceparent", f"cc-{TRACE}-{SPAN}-01-and-then-some")],
    "not sampled": [("traceparent", f"00-{TRACE}-{SPAN}-00")],
}
BEGUN_ANEW = {
    "no header at all": [],
    "a state without a parent": [("tracestate", "foo=1")],
    "two parents": [PARENT, ("traceparent", f"00-{'1' * 32}-{SPAN}-01")],
    "a hyphen in the name": [("trace-parent", PARENT[1])],
    "a dot in the name": [("trace.parent", PARENT[1])],
    "more behind version 00": [("traceparent", PARENT[1] + "-more")],
    "a dot behind version 00": [("traceparent", PARENT[1] + ".")],
    "no hyphen in a later version": [("traceparent", f"cc-{TRACE}-{SPAN}-01.more")],
    "version ff": [("traceparent", f"ff-{TRACE}-{SPAN}-01")],
    "a strange version": [("traceparent", f".0-{TRACE}-{SPAN}-01")],
    "a long version": [("traceparent", f"000-{TRACE}-{SPAN}-01")],
    "a short version": [("traceparent", f"0-{TRACE}-{SPAN}-01")],
    "no trace": [("traceparent", f"00-{'0' * 32}-{SPAN}-01")],
    "a strange trace": [("traceparent", f"00-.{TRACE[1:]}-{SPAN}-01")],
    "a trace in capitals": [("traceparent", f"00-{TRACE.upper()}-{SPAN}-01")],
    "a long trace": [("traceparent", f"00-{TRACE}0-{SPAN}-01")],
    "a short trace": [("traceparent", f"00-{TRACE[1:]}-{SPAN}-01")],
    "no span": [("traceparent", f"00-{TRACE}-{'0' * 16}-01")],
    "a strange span": [("traceparent", f"00-{TRACE}-.{SPAN[1:]}-01")],
    "a long span": [("traceparent", f"00-{TRACE}-{SPAN}0-01")],
    "a short span": [("traceparent", f"00-{TRACE}-{SPAN[1:]}-01")],
    "strange flags": [("traceparent", f"00-{TRACE}-{SPAN}-.0")],
    "long flags": [("traceparent", f"00-{TRACE}-{SPAN}-001")],
    "short flags": [("traceparent", f"00-{TRACE}-{SPAN}-1")],
}
LONG_KEY = "z" * 256
STATES = {
    "one header": (["foo=1,bar=2"], ["foo=1", "bar=2"]),
    "several headers": (["foo=1,bar=2", "rojo=1", "congo=2"], ["foo=1", "bar=2", "rojo=1", "congo=2"]),
    "an empty one among them": (["foo=1", ""], ["foo=1"]),
    "blanks": (["foo=1 \t , \t bar=2, \t baz=3"], ["foo=1", "bar=2", "baz=3"]),
    "a key twice": (["foo=1,foo=2"], ["foo=1"]),
    "a tenant": (["foo@tenant=1,0@x=2"], ["foo@tenant=1", "0@x=2"]),
    "all characters of keys": (["az09_-*/=1"], ["az09_-*/=1"]),
    "all characters of values": (["foo= !\"#$%&'()*+-./:;<>?@[]^_`{|}~"], ["foo= !\"#$%&'()*+-./:;<>?@[]^_`{|}~"]),
    "a key of 256": ([f"{LONG_KEY}=1"], [f"{LONG_KEY}=1"]),
    "a key of 257": ([f"foo=1,z{LONG_KEY}=1"], []),
    "32 members": (
        [",".join(f"m{number}=1" for number in range(32))],
        [f"m{number}=1" for number in range(32)],
    ),
    "33 members": ([",".join(f"m{number}=1" for number in range(33))], []),
    "a blank in a key": (["foo =1"], []),
    "a capital in a key": (["FOO=1"], []),
    "a dot in a key": (["foo.bar=1"], []),
    "no key": (["=1"], []),
    "no value": (["foo"], []),
    "a value with an equals sign": (["foo=bar=baz"], []),
    "nothing": ([""], []),
}  # fmt: skip


def test_a_parent_is_continued_by_a_new_span(send):
    """The trace is the caller's, the span is ours, and so is each outgoing one."""
    for case, headers in CONTINUED.items():
        for outgoing in send(headers):
            assert outgoing.trace == TRACE, case
            assert outgoing.span != SPAN, case
            assert outgoing.flags & 1 == (0 if case == "not sampled" else 1), case


def test_what_is_no_parent_begins_a_new_trace(send):
    """Whatever is not exactly as the standard says counts as absent."""
    for case, headers in BEGUN_ANEW.items():
        for outgoing in send(headers):
            assert TRACE[1:] not in outgoing.trace, case
            assert outgoing.trace != "1" * 32, case
            assert outgoing.state == [], case


def test_a_new_trace_says_that_its_id_is_random(send):
    """Level 2 of the standard has a flag for it, which only the one who made the ID may set."""
    assert send([])[0].flags & 2
    assert not send([PARENT])[0].flags & 2
    assert send([("traceparent", f"00-{TRACE}-{SPAN}-03")])[0].flags & 2


def test_requests_of_one_operation_are_told_apart(send):
    """One trace, a span for each, with a parent and without."""
    for headers in ([PARENT], []):
        outgoing = send(headers, count=3)
        assert len({one.trace for one in outgoing}) == 1
        assert len({one.span for one in outgoing}) == 3


def test_the_state_travels_on(send):
    """Valid members in their order; an invalid list is dropped, the parent is continued."""
    for case, (states, expected) in STATES.items():
        outgoing = send([PARENT, *(("tracestate", state) for state in states)])[0]
        members = [member for state in outgoing.state for member in state.split(",")]
        assert members == expected, case
        assert outgoing.trace == TRACE, case


HARNESS = os.environ.get("W3C_TRACE_CONTEXT_HARNESS", "")


@pytest.mark.skipif(
    not HARNESS, reason="W3C_TRACE_CONTEXT_HARNESS does not name the folder of the W3C's test.py"
)
def test_the_published_harness_is_content(run_uvicorn):
    """All tests of the W3C's own harness, level 2 and strict."""
    server = run_uvicorn(SERVICE)
    ended = subprocess.run(
        [sys.executable, str(Path(HARNESS) / "test.py")],
        cwd=HARNESS,
        env={
            **os.environ,
            "SERVICE_ENDPOINT": f"{server.url}/test",
            "SPEC_LEVEL": "2",
            "STRICT_LEVEL": "2",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )

    assert ended.returncode == 0, ended.stderr
    assert re.search(r"^Ran (4[0-9]|[5-9]\d) tests", ended.stderr, re.MULTILINE), ended.stderr
