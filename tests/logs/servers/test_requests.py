"""Whatever becomes of a request: one header, and its ID on all of its lines."""

import asyncio
import json
import socket
import struct
import sys
import time
from contextlib import closing

import httpx
import pytest
import starlette
import websockets
from packaging.version import Version

from obskit import observation
from tests.logs.servers.applications import FASTAPI, FLASK

# An older Starlette loses errors of background tasks behind a `BaseHTTPMiddleware`.
RAISES = Version(starlette.__version__) >= Version("0.46")
BACKGROUND = ["obskit.summary", "shop", "stdout", *["uvicorn.error"] * RAISES]
# path, status, level and outcome of the summary, loggers of the lines of the request
REQUESTS = [
    ("/ok/7", 200, "info", "ok", ["shop", "stdout", "obskit.summary"]),
    ("/missing", 404, "info", "client_error", ["shop", "obskit.summary"]),
    ("/nowhere", 404, "info", "client_error", ["obskit.summary"]),
    ("/ok/x", 422, "info", "client_error", ["obskit.summary"]),
    ("/boom", 500, "error", "server_error", ["shop", "obskit.summary", "uvicorn.error"]),
    ("/middleware", 500, "error", "server_error", ["obskit.summary", "uvicorn.error"]),
    ("/stream", 200, "info", "ok", ["shop"] * 3 + ["obskit.summary"]),
    ("/background", 200, "info", "ok", BACKGROUND),
]


def own(lines, correlation_id):
    """Return the lines of one operation in their causal order."""
    found = [line for line in lines if line.get("correlation_id") == correlation_id]
    return sorted(found, key=lambda line: line["lc"])


def test_all_lines_of_a_request_have_the_id_of_its_header(spoken, run_uvicorn):
    """Good ones, missing ones, errors in handler, middleware and background, streams."""
    served = spoken(run_uvicorn, FASTAPI)
    answers = [(served.get(path), *rest) for path, *rest in REQUESTS]
    served.wait_lines(2 + RAISES, message="Exception in ASGI application")
    lines = served.stop()

    for response, status, level, outcome, loggers in answers:
        [correlation_id] = response.headers.get_list("x-correlation-id")
        work = own(lines, correlation_id)
        assert response.status_code == status
        assert [line["logger"] for line in work] == loggers, response.url
        [summary] = [line for line in work if line["logger"] == "obskit.summary"]
        assert (summary["level"], summary["outcome"]) == (level, outcome)
        assert summary["http_response_status_code"] == status
        assert len({line["trace_id"] for line in work}) == 1
    operations = {line.get("correlation_id") for line in lines} - {None}
    assert len(operations) == len(REQUESTS)


def test_the_servers_line_about_an_error_has_the_stack_and_the_summary_its_name(
    spoken, run_uvicorn
):
    """So the stack is in the log once, and both lines are found by the same fingerprint."""
    served = spoken(run_uvicorn, FASTAPI)
    summary = served.summary(served.get("/boom"))
    [error] = served.wait_lines(message="Exception in ASGI application")

    assert summary["error_type"] == error["error_type"] == "LookupError"
    assert summary["error_message"] == "of the handler"
    assert summary["error_fingerprint"] == error["error_fingerprint"]
    assert "error_stack" not in summary
    assert "in boom: raise LookupError" in error["error_stack"]


DEEP = """
from fastapi import FastAPI
from starlette.middleware.base import BaseHTTPMiddleware

app = FastAPI()

class Plain(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        return await call_next(request)

for _ in range(3):
    app.add_middleware(Plain)

def price(country):
    return {"DE": 1}[country]

def order(country):
    try:
        return price(country)
    except KeyError as error:
        raise ValueError(f"no price for {country}") from error

@app.get("/order")
async def place():
    order("X" * 3000)
"""


def test_an_error_behind_middlewares_is_one_line_that_no_pipe_tears(spoken, run_uvicorn):
    """It keeps the root cause and the application's own frames within 4096 bytes."""
    served = spoken(run_uvicorn, DEEP)
    served.get("/order")
    [error] = served.wait_lines(message="Exception in ASGI application")
    stack = error["error_stack"]

    assert len(json.dumps(error, separators=(",", ":"))) < 4096
    assert error["error_type"] == "ValueError"
    assert stack.startswith("KeyError: ")
    assert all(f" in {name}: " in stack for name in ("price", "order", "place"))
    assert error["obskit_truncated"] > 0


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_gunicorns_line_about_an_error_has_the_id(spoken, run_gunicorn, worker):
    """It is written when the application is left already."""
    source = FLASK + (
        "\ninner = app\n"
        "def app(environ, start_response):\n"
        "    if environ['PATH_INFO'] == '/raise':\n"
        "        raise LookupError('of the application')\n"
        "    return inner(environ, start_response)\n"
        "from obskit.wsgi import Middleware\n"
        "app = Middleware(app)\n"
    )
    served = spoken(run_gunicorn, source, "--worker-class", worker)
    answers = {path: served.get(path) for path in ("/ok/7", "/boom", "/raise")}
    with closing(socket.create_connection(("127.0.0.1", served.port), timeout=20)) as connection:
        connection.sendall(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
        head = b""
        while chunk := connection.recv(65536):
            head += chunk
    served.wait_lines(2, logger="gunicorn.error", level="error")
    lines = served.stop()

    summaries = {line["url_path"]: line for line in lines if line["logger"] == "obskit.summary"}
    for path in ("/ok/7", "/boom"):
        identity = answers[path].headers.get_list("x-correlation-id")
        assert identity == [summaries[path]["correlation_id"]]
    errors = [line for line in lines if line["message"].startswith("Error handling request")]
    assert [line["correlation_id"] for line in errors] == [
        summaries[path]["correlation_id"] for path in ("/raise", "/broken")
    ]
    assert b"x-correlation-id: " + errors[-1]["correlation_id"].encode() in head.lower()


def test_a_client_that_leaves_has_its_summary(spoken, run_uvicorn):
    """Nobody got the answer, but the work is known."""
    served = spoken(run_uvicorn, FASTAPI)
    with closing(socket.create_connection(("127.0.0.1", served.port), timeout=20)) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        served.wait_lines(message="slow begins")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    [summary] = served.wait_lines(outcome="client_gone")
    work = own(served.lines(), summary["correlation_id"])

    assert [line["message"] for line in work] == ["slow begins", "slow ends", "request finished"]


async def test_a_websocket_is_one_operation(spoken, run_uvicorn):
    """The handshake has the header, each message's line the ID."""
    served = spoken(run_uvicorn, FASTAPI)
    async with websockets.connect(f"ws://127.0.0.1:{served.port}/chat") as connection:
        for text in ("a", "b"):
            await connection.send(text)
            await connection.recv()
        [correlation_id] = connection.response.headers.get_all("x-correlation-id")
    served.wait_lines(message="connection closed")
    work = own(served.lines(), correlation_id)

    messages = [line["message"] for line in work if line["logger"] in ("shop", "obskit.summary")]
    assert messages == ["got a", "got b", "connection closed"]
    assert [line["message_seq"] for line in work if line["logger"] == "shop"] == [1, 2]


async def test_two_hundred_requests_at_once_never_mix(spoken, run_uvicorn):
    """Each line, also of a print, has the ID of the request that it is about."""
    served = spoken(run_uvicorn, FASTAPI)

    async def one(client, number):
        headers = {"x-correlation-id": f"id-{number}"}
        response = await client.get(f"{served.url}/ok/{number}", headers=headers)
        return response.headers.get_list("x-correlation-id")

    limits = httpx.Limits(max_connections=None)
    with observation.suppress():
        async with httpx.AsyncClient(timeout=30, limits=limits, trust_env=False) as client:
            answers = await asyncio.gather(*(one(client, number) for number in range(200)))
    served.wait_lines(200, message="request finished")
    lines = served.stop()

    assert answers == [[f"id-{number}"] for number in range(200)]
    for number in range(200):
        messages = [line["message"] for line in own(lines, f"id-{number}")]
        assert messages == [f"handling {number}", f"printing {number}", "request finished"]


def test_a_kept_alive_connection_leaks_nothing(spoken, run_uvicorn):
    """Large bodies pause reading, and asyncio hands over the context of the request before."""
    served = spoken(run_uvicorn, FASTAPI, "--loop", "asyncio", "--http", "httptools")
    ids = []
    with observation.suppress(), httpx.Client(timeout=30, trust_env=False) as client:
        for _ in range(6):
            response = client.post(served.url + "/body", json={"text": "x" * 400_000})
            ids += response.headers.get_list("x-correlation-id")
    served.wait_lines(6, message="request finished")
    lines = served.stop()

    assert len(set(ids)) == 6
    for correlation_id in ids:
        work = own(lines, correlation_id)
        assert [line["message"] for line in work] == ["body 400000", "request finished"]
    closing_lines = [line for line in lines if line["message"] == "Shutting down"]
    assert [line["scope"] for line in closing_lines] == ["process"]


def test_the_error_of_a_task_belongs_to_the_request_that_made_it(spoken, run_uvicorn):
    """It is found when memory is cleaned up, in the midst of another request."""
    served = spoken(run_uvicorn, FASTAPI, "--loop", "asyncio")
    failed = served.get("/forgotten").headers["x-correlation-id"]
    deadline = time.monotonic() + 20
    while not any(line["logger"] == "asyncio" for line in served.lines()):
        assert time.monotonic() < deadline
        served.get("/ok/7")
    [error] = served.wait_lines(logger="asyncio")

    assert error["error_message"] == "of a task"
    # Before Python 3.12 a task does not tell where it belongs.
    assert error.get("correlation_id") == (failed if sys.version_info >= (3, 12) else None)


def test_health_checks_have_no_summary_unless_they_fail(spoken, run_uvicorn):
    """They are asked for all the time; the access line is left out as well."""
    source = FASTAPI + (
        "\nhealthy = True\n"
        "@app.get('/health')\n"
        "def health():\n"
        "    if not healthy:\n"
        "        raise HTTPException(503)\n"
        "@app.get('/break')\n"
        "def break_():\n"
        "    global healthy\n"
        "    healthy = False\n"
    )
    served = spoken(run_uvicorn, source)
    for path in ("/health", "/break", "/health"):
        served.get(path)
    served.wait_lines(http_response_status_code=503)
    lines = served.stop()

    asked = [(line["url_path"], line["outcome"]) for line in lines if "outcome" in line]
    assert asked == [("/break", "ok"), ("/health", "server_error")]
    assert not [line for line in lines if line["logger"] == "uvicorn.access"]


def test_access_lines_can_be_kept(spoken, run_uvicorn):
    """Both lines have the ID then; without summaries the access lines stay anyway."""
    for env, expected in (
        ({"OBSKIT_ACCESS_LOG": "keep"}, ["obskit.summary", "uvicorn.access"]),
        ({"OBSKIT_REQUEST_LOG": "0"}, ["uvicorn.access"]),
    ):
        served = spoken(run_uvicorn, FASTAPI, env=env)
        correlation_id = served.get("/ok/7").headers["x-correlation-id"]
        served.wait_lines(logger="uvicorn.access")
        lines = served.stop()
        found = own(lines, correlation_id)
        assert sorted(line["logger"] for line in found[2:]) == expected


def test_unobserved_requests_keep_their_access_line(spoken, run_uvicorn):
    """Of an application that nobody knows, the server's line is the only one."""
    source = (
        "async def app(scope, receive, send):\n"
        "    if scope['type'] == 'http':\n"
        "        await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "        await send({'type': 'http.response.body', 'body': b'x'})\n"
    )
    served = spoken(run_uvicorn, source)
    served.get("/x")
    [access] = served.wait_lines(logger="uvicorn.access")

    assert '"GET /x HTTP/1.1" 200' in access["message"]
    assert access["scope"] == "process"
