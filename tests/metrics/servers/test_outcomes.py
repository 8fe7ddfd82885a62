"""Real requests through real servers: one count each, with the outcome that says whose fault."""

import socket

import pytest

FASTAPI = """
import asyncio, httpx
from fastapi import FastAPI, HTTPException, Request, Response, WebSocket
from starlette.responses import StreamingResponse

app = FastAPI()

@app.get("/ok/{number}")
async def ok(number: int): return number
@app.get("/missing")
async def missing(): raise HTTPException(404)
@app.get("/limited")
async def limited(): raise HTTPException(429)
@app.get("/late")
async def late():
    async with asyncio.timeout(0.01):
        await asyncio.sleep(5)
@app.get("/gateway")
async def gateway(): return Response(status_code=504)
@app.get("/boom")
async def boom(): raise LookupError("boom")
@app.get("/fail")
async def fail(): return Response(status_code=503)
@app.get("/unreachable")
async def unreachable():
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get("http://127.0.0.1:1/")
@app.get("/upstream")
async def upstream(request: Request):
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{request.base_url}fail")
    return Response(status_code=502 if answer.status_code == 503 else 200)
@app.get("/recovered")
async def recovered(request: Request):
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get("http://127.0.0.1:1/")
    except httpx.HTTPError:
        return "from the cache"
@app.get("/endless")
async def endless():
    async def chunks():
        while True:
            yield "x" * 1000
            await asyncio.sleep(0.01)
    return StreamingResponse(chunks())
@app.websocket("/chat")
async def chat(socket: WebSocket):
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()
"""

FLASK = """
import time, requests
from flask import Flask, Response, abort, request

app = Flask("shop")

@app.get("/ok/<int:number>")
def ok(number): return str(number)
@app.get("/missing")
def missing(): abort(404)
@app.get("/limited")
def limited(): abort(429)
@app.get("/late")
def late(): raise TimeoutError("too late")
@app.get("/gateway")
def gateway(): return "", 504
@app.get("/boom")
def boom(): raise LookupError("boom")
@app.get("/fail")
def fail(): return "", 503
@app.get("/unreachable")
def unreachable():
    with requests.Session() as session:
        session.trust_env = False
        session.get("http://127.0.0.1:1/")
@app.get("/upstream")
def upstream():
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(request.host_url + "fail")
    return "", 502 if answer.status_code == 503 else 200
@app.get("/recovered")
def recovered():
    try:
        with requests.Session() as session:
            session.trust_env = False
            session.get("http://127.0.0.1:1/")
    except requests.RequestException:
        return "from the cache"
@app.get("/endless")
def endless():
    def chunks():
        while True:
            yield "x" * 65536
            time.sleep(0.01)
    return Response(chunks())
"""

CASES = [
    ("/ok/7", "ok", 200, ""),
    ("/missing", "client_error", 404, ""),
    ("/ok/x", "client_error", None, ""),
    ("/nowhere/4711", "client_error", 404, ""),
    ("/limited", "rejected", 429, ""),
    ("/late", "timeout", 500, ""),
    ("/gateway", "timeout", 504, ""),
    ("/boom", "server_error", 500, ""),
    ("/unreachable", "dependency", 500, "127.0.0.1:1"),
    ("/recovered", "ok", 200, ""),
]
PLACES = {"fastapi": ("/ok/{number}", 422), "flask": ("/ok/<int:number>", 404)}


def total(samples):
    """Return how many requests were counted."""
    return sum(v for k, v in samples.items() if k.startswith("http_server_requests_total{"))


def counted(samples, **labels):
    """Return the counts of requests that have *labels*."""
    wanted = [f'{name}="{value}"' for name, value in labels.items()]
    return {
        name: value
        for name, value in samples.items()
        if name.startswith("http_server_requests_total{") and all(one in name for one in wanted)
    }


@pytest.fixture(params=["fastapi", "flask"])
def shop(request, uvicorn, gunicorn):
    """Serve the shop by FastAPI under uvicorn, or by Flask under gunicorn."""
    if request.param == "fastapi":
        return request.param, uvicorn(FASTAPI)
    return request.param, gunicorn(FLASK, "--threads", "4", "--log-level", "critical")


def test_each_request_has_one_count_of_the_right_outcome(shop):
    """Ok, the client's fault, refused, too late, ours, and a dependency's: each exactly once."""
    framework, served = shop
    template, unprocessable = PLACES[framework]
    for count, (path, outcome, status, dependency) in enumerate(CASES, 1):
        status = status or unprocessable
        assert served.get(path) == status, path
        samples = served.until(lambda found, count=count: total(found) >= count)
        route = {"/ok/7": template, "/nowhere/4711": "__unmatched__"}.get(path, path)
        if path == "/ok/x":
            route = template if framework == "fastapi" else "__unmatched__"
        labels = {
            "http_route": route,
            "outcome": outcome,
            "http_response_status_code": status,
            "dependency": dependency,
            "http_request_method": "GET",
        }
        found = counted(samples, **labels)
        assert total(samples) == count, path
        twice = framework == "flask" and path == "/nowhere/4711"
        assert list(found.values()) == [2 if twice else 1], (path, samples)
    assert not any("4711" in name for name in samples)
    assert samples['http_server_active_requests{http_request_method="GET"}'] == 0


def test_an_answer_of_5xx_downstream_is_named(shop):
    """The peer that failed is on the count of the caller, and on that of the call."""
    _, served = shop
    assert served.get("/upstream") == 502
    samples = served.until(lambda found: total(found) == 2)
    peer = f"127.0.0.1:{served.port}"

    upstream = counted(samples, http_route="/upstream", outcome="dependency", dependency=peer)
    assert list(upstream.values()) == [1]
    assert list(counted(samples, http_route="/fail", outcome="server_error").values()) == [1]
    assert list(counted(samples, http_route="/fail", caller="shop").values()) == [1]
    calls = (
        'http_client_request_duration_seconds_count{http_request_method="GET",'
        f'outcome="server_error",server_address="{peer}"}}'
    )
    assert samples[calls] == 1


def test_a_client_that_leaves_is_nobodys_fault(shop):
    """Gone before the last byte: 499, whatever the status was."""
    _, served = shop
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: shop\r\n\r\n")
        assert client.recv(100)
        running = served.until(lambda found: any("active_requests" in name for name in found))
        assert running['http_server_active_requests{http_request_method="GET"}'] == 1
        assert total(running) == 0
    samples = served.until(lambda found: total(found) == 1)
    found = counted(
        samples, http_route="/endless", outcome="client_gone", http_response_status_code="499"
    )

    assert list(found.values()) == [1]
    assert samples['http_server_active_requests{http_request_method="GET"}'] == 0


def test_a_websocket_is_counted_once(uvicorn):
    """When it is over, with the status of its handshake and without a duration."""
    from websockets.sync.client import connect

    served = uvicorn(FASTAPI)
    with connect(f"ws://127.0.0.1:{served.port}/chat", proxy=None) as client:
        assert client.recv() == "hello"
    samples = served.until(lambda found: total(found) == 1)

    found = counted(samples, http_route="/chat", outcome="ok", http_response_status_code="101")
    assert list(found.values()) == [1]
    assert not any(name.startswith("http_server_request_duration") for name in samples)
