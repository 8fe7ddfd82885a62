"""W3C Trace Context, as a service of FastAPI and httpx carries it: what comes in, what goes on."""

import http.client
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.services.servers import Server

SERVICE = """
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


def under(command: tuple[str, ...]) -> dict[str, Any]:
    """Return what starts a service under `obskit run`."""
    return {"launcher": (*command, "run", "--"), "env": {"OBSKIT_METRICS_PORT": "off"}}


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


def post(port: int, headers: Headers, body: str) -> int:
    """Send a request whose headers may come several times and have blanks around them."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with closing(connection):
        connection.putrequest("POST", "/test")
        own = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        for name, value in [*own, *headers]:
            connection.putheader(name, value)
        connection.endheaders(body.encode())
        return connection.getresponse().status


@pytest.fixture
def send(
    run_uvicorn: Callable[..., Server],
    callee: ThreadingHTTPServer,
    obskit_command: tuple[str, ...],
) -> Callable[..., list[Outgoing]]:
    """Give what calls the service with headers and returns what it has sent on."""
    server = run_uvicorn(SERVICE, **under(obskit_command))

    def call(headers: Headers, count: int = 1) -> list[Outgoing]:
        callee.seen.clear()
        action = {"url": f"http://127.0.0.1:{callee.server_port}/", "arguments": []}
        assert post(server.port, headers, json.dumps([action] * count)) == 200
        assert len(callee.seen) == count
        return [Outgoing(message) for message in callee.seen]

    return call


CONTINUED = {
    "as it is": [PARENT],
    "name in other letters": [("TraceParent", PARENT[1])],
    "name in capitals": [("TRACEPARENT", PARENT[1])],
    "name in mixed letters": [("TrAcEpArEnT", PARENT[1])],
    "blanks around": [("traceparent", f" \t{PARENT[1]} \t")],
    "a blank before": [("traceparent", f" {PARENT[1]}")],
    "a tab before": [("traceparent", f"\t{PARENT[1]}")],
    "a blank behind": [("traceparent", f"{PARENT[1]} ")],
    "a tab behind": [("traceparent", f"{PARENT[1]}\t")],
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
    "a version with a strange end": [("traceparent", f"0.-{TRACE}-{SPAN}-01")],
    "a very long version": [("traceparent", f"0000-{TRACE}-{SPAN}-01")],
    "a long version": [("traceparent", f"000-{TRACE}-{SPAN}-01")],
    "a short version": [("traceparent", f"0-{TRACE}-{SPAN}-01")],
    "no trace": [("traceparent", f"00-{'0' * 32}-{SPAN}-01")],
    "a strange trace": [("traceparent", f"00-.{TRACE[1:]}-{SPAN}-01")],
    "a trace with a strange end": [("traceparent", f"00-{TRACE[:-1]}.-{SPAN}-01")],
    "a trace in capitals": [("traceparent", f"00-{TRACE.upper()}-{SPAN}-01")],
    "a long trace": [("traceparent", f"00-{TRACE}0-{SPAN}-01")],
    "a short trace": [("traceparent", f"00-{TRACE[1:]}-{SPAN}-01")],
    "no span": [("traceparent", f"00-{TRACE}-{'0' * 16}-01")],
    "a strange span": [("traceparent", f"00-{TRACE}-.{SPAN[1:]}-01")],
    "a span with a strange end": [("traceparent", f"00-{TRACE}-{SPAN[:-1]}.-01")],
    "a long span": [("traceparent", f"00-{TRACE}-{SPAN}0-01")],
    "a short span": [("traceparent", f"00-{TRACE}-{SPAN[1:]}-01")],
    "strange flags": [("traceparent", f"00-{TRACE}-{SPAN}-.0")],
    "flags with a strange end": [("traceparent", f"00-{TRACE}-{SPAN}-0.")],
    "long flags": [("traceparent", f"00-{TRACE}-{SPAN}-001")],
    "short flags": [("traceparent", f"00-{TRACE}-{SPAN}-1")],
}
LONG_KEY = "z" * 256
# Each name of a later grammar of the standard: an @ may stand anywhere but in the first place.
TENANTS = ("foo@tenant", "0@x", "foo@", "foo@@bar", "foo@bar@baz", "t" * 241 + "@" + "v" * 14,
           "t" * 242 + "@v", "t@" + "v" * 15)  # fmt: skip
STATES = {
    "one header": (["foo=1,bar=2"], ["foo=1", "bar=2"]),
    "several headers": (
        ["foo=1,bar=2", "rojo=1,congo=2", "baz=3"],
        ["foo=1", "bar=2", "rojo=1", "congo=2", "baz=3"],
    ),
    "an empty one behind": (["foo=1", ""], ["foo=1"]),
    "an empty one before": (["", "foo=1"], ["foo=1"]),
    "blanks": (["foo=1 \t , \t bar=2, \t baz=3"], ["foo=1", "bar=2", "baz=3"]),
    "tabs": (["foo=1\t \t,\t \tbar=2,\t \tbaz=3"], ["foo=1", "bar=2", "baz=3"]),
    "blanks around": (["\t foo=1 \t"], ["foo=1"]),
    "a blank before": ([" foo=1"], ["foo=1"]),
    "a tab before": (["\tfoo=1"], ["foo=1"]),
    "a blank behind": (["foo=1 "], ["foo=1"]),
    "a tab behind": (["foo=1\t"], ["foo=1"]),
    "a key twice": (["foo=1,foo=2"], ["foo=1"]),
    "a member twice": (["foo=1,foo=1"], ["foo=1"]),
    "a key in two headers": (["foo=1", "foo=2"], ["foo=1"]),
    **{f"a tenant {key[:12]}": ([f"{key}=1,bar=2"], [f"{key}=1", "bar=2"]) for key in TENANTS},
    "a tenant alone": (["@foo=1,bar=2"], []),
    "all characters of keys": (["az09_-*/@az09_-*/=1"], ["az09_-*/@az09_-*/=1"]),
    "all characters of values": (
        ["foo= !\"#$%&'()*+-./:;<>?@[]^_`{|}~"],
        ["foo= !\"#$%&'()*+-./:;<>?@[]^_`{|}~"],
    ),
    "a key of 256": (["foo=1", f"{LONG_KEY}=1"], ["foo=1", f"{LONG_KEY}=1"]),
    "a key of 257": (["foo=1", f"z{LONG_KEY}=1"], []),
    "32 members": (
        [",".join(f"m{number}=1" for number in range(part, part + 8)) for part in (0, 8, 16, 24)],
        [f"m{number}=1" for number in range(32)],
    ),
    "33 members": (
        [",".join(f"m{number}=1" for number in range(part, part + 11)) for part in (0, 11, 22)],
        [],
    ),
    "a blank in a key": (["foo =1"], []),
    "a capital in a key": (["FOO=1"], []),
    "a dot in a key": (["foo.bar=1"], []),
    "no key": (["=1"], []),
    "no value": (["foo"], []),
    "an empty value": (["foo=,bar=3"], []),
    "a value with an equals sign": (["foo=bar=baz"], []),
    "nothing": ([""], []),
}
STATE_NAMES = {"TraceState": True, "TrAcEsTaTe": True, "TRACESTATE": True,
               "trace-state": False, "trace.state": False}  # fmt: skip


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
    for flags in ("02", "03"):
        assert send([("traceparent", f"00-{TRACE}-{SPAN}-{flags}")])[0].flags & 2


def test_requests_of_one_operation_are_told_apart(send):
    """One trace, a span for each, with a parent and without."""
    for headers in ([PARENT], [], BEGUN_ANEW["no trace"]):
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


def test_the_name_of_the_state_knows_no_case(send):
    """Other names are other headers."""
    for name, is_known in STATE_NAMES.items():
        outgoing = send([PARENT, (name, "foo=1")])[0]
        assert outgoing.state == (["foo=1"] if is_known else []), name


HARNESS = os.environ.get("W3C_TRACE_CONTEXT_HARNESS", "")


@pytest.mark.skipif(
    not HARNESS, reason="W3C_TRACE_CONTEXT_HARNESS does not name the folder of the W3C's test.py"
)
def test_the_published_harness_is_content(run_uvicorn, obskit_command):
    """All tests of the W3C's own harness, level 2 and strict."""
    server = run_uvicorn(SERVICE, **under(obskit_command))
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
