"""Applications that say something in every way there is; none of them knows obskit."""

SPEAKING = """
import asyncio, logging, sys, threading, traceback, warnings
import structlog
from loguru import logger as loguru_logger

sys.stdout.write("module imported\\n")  # at once, since two workers may do it at the same time
log = logging.getLogger("shop")


def speak():
    log.warning("by logging %s", "now")
    structlog.get_logger().warning("by structlog")
    loguru_logger.info("by loguru")
    print("by print")
    sys.stdout.write("by write\\n")
    print("by print to stderr", file=sys.stderr)
    warnings.warn("by warnings")
    try:
        raise KeyError("handled")
    except KeyError:
        traceback.print_exc()
    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()


def in_thread():
    log.warning("in a thread")
    print("printed in a thread")
    raise LookupError("of a thread")


class Broken:
    def __del__(self):
        raise ValueError("of a finalizer")
"""

FASTAPI = (
    SPEAKING
    + """
from fastapi import BackgroundTasks, FastAPI, HTTPException, WebSocket
from starlette.responses import StreamingResponse

app = FastAPI()


@app.middleware("http")
async def middleware(request, call_next):
    if request.url.path == "/middleware":
        raise LookupError("of the middleware")
    return await call_next(request)


@app.get("/speak")
def say(tasks: BackgroundTasks):
    speak()
    Broken()
    tasks.add_task(log.error, "in the background")


@app.get("/ok/{number}")
async def ok(number: int):
    log.error("handling %d", number)
    await asyncio.sleep(0)
    print("printing", number)
    return number


@app.get("/missing")
async def missing():
    log.error("missing")
    raise HTTPException(404)


@app.get("/boom")
async def boom():
    log.error("about to fail")
    raise LookupError("of the handler")


@app.get("/stream")
async def stream():
    async def chunks():
        for number in range(3):
            log.error("chunk %d", number)
            yield "x"

    return StreamingResponse(chunks())


@app.get("/slow")
async def slow():
    log.error("slow begins")
    await asyncio.sleep(0.5)
    log.error("slow ends")


@app.get("/background")
def background(tasks: BackgroundTasks):
    tasks.add_task(later)


async def later():
    log.error("later")
    print("printed later")
    raise LookupError("of the background")


@app.get("/forgotten")
async def forgotten():
    asyncio.ensure_future(failing())
    await asyncio.sleep(0)


async def failing():
    raise LookupError("of a task")


@app.post("/body")
async def body(data: dict):
    log.error("body %d", len(data["text"]))


@app.websocket("/chat")
async def chat(websocket: WebSocket):
    await websocket.accept()
    while True:
        text = await websocket.receive_text()
        log.error("got %s", text)
        await websocket.send_text(text)
"""
)

FLASK = (
    SPEAKING
    + """
from flask import Flask, Response

app = Flask("shop")


@app.get("/speak")
def say():
    speak()
    Broken()
    app.logger.warning("by the application's logger")
    return "said"


@app.get("/boom")
def boom():
    raise LookupError("of the handler")


@app.get("/ok/<int:number>")
def ok(number):
    log.error("handling %d", number)
    print("printing", number)
    return str(number)


@app.get("/broken")
def broken():
    def chunks():
        yield "x"
        raise LookupError("of the body")

    return Response(chunks())
"""
)
