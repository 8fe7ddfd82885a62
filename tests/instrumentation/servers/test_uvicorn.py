"""Real uvicorn: what a request leaves behind, on the wire and on the lines."""

import asyncio
import socket
import struct
import time

import httpx
import pytest
import websockets
from uvicorn.config import WS_PROTOCOLS

from obskit import observation
from tests.instrumentation.servers.applications import FASTAPI, REQUESTS

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
PROTOCOLS = pytest.mark.parametrize("http", ["h11", "httptools"])


@LOOPS
@PROTOCOLS
def test_each_request_has_one_id_and_one_observation(uvicorn, loop, http):
    """Whatever becomes of it: one header, one SERVER observation, the same ID on all lines."""
    served = uvicorn(FASTAPI, "--loop", loop, "--http", http)
    for count, (method, path, status, name, outcome, error) in enumerate(REQUESTS, 1):
        response = served.request(method, path)
        ended = served.ended(count)
        work = ended[-1]

        assert len(ended) == count, path
        assert response.status_code == status, path
        assert response.headers.get_list("x-correlation-id") == [work["id"]], path
        assert (work["ended"], work["status"], work["outcome"]) == (name, status, outcome), path
        assert work["error"] == error, path
        if name.endswith("{number}") and status == 200:
            assert response.json() == {"id": work["id"]}
            assert work["fields"] == {"number": 7}
        if path == "/stream":
            assert response.text.split() == [work["id"]] * 3


def test_the_servers_own_lines_have_the_id(uvicorn):
    """Its access line and its traceback belong to the request."""
    served = uvicorn(FASTAPI)
    ids = [
        served.get(path).headers["x-correlation-id"] for path in ("/ok/7", "/boom", "/middleware")
    ]

    access = served.logged("uvicorn.access", 3)
    assert [line["id"] for line in access] == ids
    errors = served.logged("uvicorn.error", 2, with_error=True)
    assert [(line["error"], line["id"]) for line in errors] == [
        ("LookupError", ids[1]),
        ("LookupError", ids[2]),
    ]
    assert [line["id"] for line in served.logged("app")] == ids[:1]


def test_background_work_is_observed_by_itself(uvicorn):
    """The response is over before, the task's line has ID and fields of its request."""
    served = uvicorn(FASTAPI)
    began = time.monotonic()
    response = served.get("/background")
    assert time.monotonic() - began < 0.19
    request = served.ended()[0]
    background = served.ended(kind="internal")[0]

    assert request["ms"] < 190 <= background["ms"]
    assert background["ended"] == "background after"
    assert background["links"][0][1] == request["span"]
    line = served.logged("app")[0]
    assert line["id"] == background["id"] == response.headers["x-correlation-id"]
    assert line["fields"] == {"order": 7}


def leave(served, request, wait):
    """Send a raw request, wait and break the connection."""
    with served.connect() as connection:
        connection.sendall(request)
        time.sleep(wait)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@PROTOCOLS
@pytest.mark.parametrize("path", ["/slow", "/stream?pause=0.2"])
def test_a_client_that_leaves_is_gone(uvicorn, http, path):
    """In a handler that does not listen and in the middle of a stream."""
    served = uvicorn(FASTAPI, "--http", http)
    leave(served, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 0.1)
    work = served.ended()

    assert [one["outcome"] for one in work] == ["client_gone"]


@PROTOCOLS
def test_a_kept_alive_connection_leaks_nothing(uvicorn, http):
    """Large bodies pause reading, and asyncio hands the context of one request to the next."""
    source = FASTAPI + (
        "\nimport structlog\n"
        "@app.middleware('http')\n"
        "async def look(request, call_next):\n"
        "    say(found=structlog.contextvars.get_contextvars())\n"
        "    structlog.contextvars.bind_contextvars(user=context.correlation_id())\n"
        "    return await call_next(request)\n"
    )
    served = uvicorn(source, "--loop", "asyncio", "--http", http)
    body = {"text": "x" * 400_000}
    ids = []
    with observation.suppress(), httpx.Client(timeout=20, trust_env=False) as client:
        for _ in range(8):
            response = client.post(served.url + "/body", json=body)
            assert response.json()["length"] == 400_000
            assert response.headers.get_list("x-correlation-id") == [response.json()["id"]]
            ids.append(response.json()["id"])

    assert len(set(ids)) == 8
    work = served.ended(8)
    assert [one["id"] for one in work] == ids
    assert [one["parent"] for one in work] == [None] * 8
    assert [line["found"] for line in served.said() if "found" in line] == [{}] * 8


def test_the_leak_that_is_defended_against_exists(uvicorn):
    """Without the defence structlog's fields come along; if this fails, the loop was repaired."""
    source = FASTAPI + (
        "\nimport structlog\n"
        "instrumentation.uninstrument()\n"
        "@app.middleware('http')\n"
        "async def look(request, call_next):\n"
        "    say(found=len(structlog.contextvars.get_contextvars()))\n"
        "    structlog.contextvars.bind_contextvars(user=1)\n"
        "    return await call_next(request)\n"
    )
    served = uvicorn(source, "--loop", "asyncio", "--http", "httptools")
    body = {"text": "x" * 400_000}
    with observation.suppress(), httpx.Client(timeout=20, trust_env=False) as client:
        for _ in range(8):
            client.post(served.url + "/body", json=body)

    assert any(line["found"] for line in served.said() if "found" in line)


@LOOPS
async def test_two_hundred_requests_at_once_never_mix(uvicorn, loop):
    """Each answer has the ID that its caller sent, inside and outside."""
    served = uvicorn(FASTAPI, "--loop", loop)

    async def one(client, number):
        headers = {"x-correlation-id": f"id-{number}"}
        response = await client.get(f"{served.url}/wait/{number}", headers=headers)
        return response.json()["ids"], response.headers.get_list("x-correlation-id")

    limits = httpx.Limits(max_connections=None)
    with observation.suppress():
        async with httpx.AsyncClient(timeout=30, limits=limits, trust_env=False) as client:
            answers = await asyncio.gather(*(one(client, number) for number in range(200)))

    assert answers == [([f"id-{n}"] * 2, [f"id-{n}"]) for n in range(200)]
    work = served.ended(200)
    assert sorted(one["id"] for one in work) == sorted(f"id-{n}" for n in range(200))
    assert {one["outcome"] for one in work} == {"ok"}


@pytest.mark.parametrize(
    "implementation", sorted({"websockets", "websockets-sansio"} & WS_PROTOCOLS.keys())
)
async def test_a_websocket_is_one_unit_of_work(uvicorn, implementation):
    """Two messages on one connection: one ID, two numbers, and the header on the handshake."""
    served = uvicorn(FASTAPI, "--ws", implementation)
    url = f"ws://127.0.0.1:{served.port}/chat/7"
    async with websockets.connect(url) as connection:
        ids = []
        for text in ("a", "b"):
            await connection.send(text)
            ids.append(await connection.recv())
        headers = connection.response.headers.get_all("x-correlation-id")
    work = served.ended()

    assert headers == ids[:1]
    assert ids == [work[0]["id"]] * 2
    assert (len(work), work[0]["ended"]) == (1, "WEBSOCKET /chat/{room}")
    assert (work[0]["protocol"], work[0]["status"], work[0]["outcome"]) == ("websocket", 101, "ok")
    assert [line["fields"]["message_seq"] for line in served.logged("app", 2)] == [1, 2]


@pytest.mark.parametrize("interface", ["auto", "asgi3"])
def test_the_server_takes_the_application_for_what_it_is(uvicorn, interface):
    """It is neither a factory nor of the old interface, as instance and as factory."""
    served = uvicorn(FASTAPI, "--interface", interface)

    assert served.get("/ok/7").status_code == 200
    assert "factory" not in "".join(line.get("message", "") for line in served.said())
    assert b"factory" not in served.server.process.stderr


def test_an_application_factory_works(uvicorn):
    """uvicorn calls what it is given, and serves what it gets."""
    source = FASTAPI + "\nmade = app\ndef app():\n    return made\n"
    served = uvicorn(source, "--factory")

    assert served.get("/ok/7").status_code == 200
    assert len(served.ended()) == 1


def test_an_outer_middleware_of_the_users_own_works(uvicorn):
    """A plain ASGI function around the application is what the server calls."""
    source = FASTAPI + (
        "\ninner = app\n"
        "async def app(scope, receive, send):\n"
        "    await inner(scope, receive, send)\n"
    )
    served = uvicorn(source)

    assert len(served.get("/ok/7").headers.get_list("x-correlation-id")) == 1
    assert len(served.ended()) == 1


@pytest.mark.parametrize("value", [b"a\tb", b"x" * 9000, b"\xff\xfe", b"", b"a b", b"<script>"])
def test_hostile_ids_never_come_back(uvicorn, value):
    """A new ID takes their place."""
    served = uvicorn(FASTAPI)
    with served.connect() as connection:
        connection.sendall(
            b"GET /ok/7 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Correlation-ID: "
            + value
            + b"\r\n\r\n"
        )
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    work = served.ended()[0]

    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.lower().count(b"x-correlation-id: " + work["id"].encode()) == 1
    assert len(work["id"]) == 32
    assert work["source"] in ("invalid", "generated")


def test_a_proxied_public_client_is_not_believed(uvicorn):
    """Behind a proxy the address of the client decides: outside IDs begin anew."""
    served = uvicorn(FASTAPI)
    headers = {"x-correlation-id": "mine", "x-forwarded-for": "93.184.216.34"}
    response = served.get("/ok/7", headers=headers)

    assert response.headers["x-correlation-id"] != "mine"
    assert served.ended()[0]["source"] == "restarted"
    assert "obskit-cause" not in response.headers
