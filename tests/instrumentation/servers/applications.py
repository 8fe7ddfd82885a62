"""Applications that are served by several servers."""

FASTAPI = """
import asyncio, time
from fastapi import BackgroundTasks, FastAPI, HTTPException, WebSocket
from starlette.responses import StreamingResponse

app = FastAPI()
log = logging.getLogger("app")


@app.middleware("http")
async def middleware(request, call_next):
    if request.url.path == "/middleware":
        raise LookupError("in the middleware")
    return await call_next(request)


@app.get("/ok/{number}")
async def ok(number: int):
    context.bind(number=number)
    log.info("inside")
    return {"id": context.correlation_id()}


@app.get("/sync/{number}")
def sync(number: int):
    context.bind(number=number)
    log.info("inside")
    return {"id": context.correlation_id()}


@app.get("/wait/{number}")
async def wait(number: int):
    before = context.correlation_id()
    await asyncio.sleep(0.05)
    return {"ids": [before, await asyncio.to_thread(context.correlation_id)]}


@app.get("/missing")
async def missing():
    raise HTTPException(404)


@app.get("/boom")
async def boom():
    raise LookupError("boom")


@app.get("/stream")
async def stream(pause: float = 0):
    async def chunks():
        for _ in range(3):
            yield context.correlation_id() + " "
            await asyncio.sleep(pause)

    return StreamingResponse(chunks())


@app.get("/slow")
async def slow():
    await asyncio.sleep(0.5)
    return "slow"


@app.get("/background")
def background(tasks: BackgroundTasks):
    context.bind(order=7)
    tasks.add_task(after)


async def after():
    await asyncio.sleep(0.2)
    log.info("after")


@app.post("/body")
async def body(data: dict):
    return {"id": context.correlation_id(), "length": len(data["text"])}


@app.websocket("/chat/{room}")
async def chat(websocket: WebSocket, room: str):
    await websocket.accept()
    while True:
        text = await websocket.receive_text()
        log.info("got %s", text)
        await websocket.send_text(context.correlation_id())
"""

# What becomes of requests to it: method, path, status, name, outcome and error.
REQUESTS = [
    ("GET", "/ok/7", 200, "GET /ok/{number}", "ok", None),
    ("GET", "/sync/7", 200, "GET /sync/{number}", "ok", None),
    ("GET", "/nowhere", 404, "GET", "client_error", None),
    ("GET", "/missing", 404, "GET /missing", "client_error", None),
    ("GET", "/ok/x", 422, "GET /ok/{number}", "client_error", None),
    ("POST", "/ok/7", 405, "POST", "client_error", None),
    ("GET", "/boom", 500, "GET /boom", "server_error", "LookupError"),
    ("GET", "/middleware", 500, "GET", "server_error", "LookupError"),
    ("GET", "/stream", 200, "GET /stream", "ok", None),
    ("GET", "/background", 200, "GET /background", "ok", None),
]

FLASK = """
import time
from flask import Flask, Response, abort

app = Flask("shop")


@app.get("/ok/<int:number>")
def ok(number):
    context.bind(number=number)
    app.logger.info("inside")
    return context.correlation_id()


@app.get("/boom")
def boom():
    raise LookupError("boom")


@app.get("/abort")
def refuse():
    abort(404)


@app.get("/stream")
def stream():
    def chunks():
        for _ in range(3):
            app.logger.info("chunk")
            yield context.correlation_id() + " "

    return Response(chunks())


@app.get("/endless")
def endless():
    def chunks():
        while True:
            yield "x" * 65536
            time.sleep(0.01)

    return Response(chunks())


@app.get("/broken")
def broken():
    def chunks():
        yield "x"
        raise LookupError("in the body")

    return Response(chunks())
"""
