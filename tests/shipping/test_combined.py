"""Zipkin hangs, nobody reads the log, and then comes SIGTERM: the service is what it is bare."""

import json
import sys
import time
import urllib.request

import pytest

from tests.services.ports import wait_until
from tests.shipping.stalling import Stall, Traffic, end, last_words

# From then on an exchange that is not answered is known to hang.
SOON = 3.0
LONGEST_END, LONGEST_MORE = 5.0, 3.0
LARGEST_LAG = 0.010

CHAIN = """
import logging, pathlib, signal

was = signal.getsignal(signal.SIGTERM)

def mine(number, frame):
    pathlib.Path("mine").touch()
    if callable(was):
        was(number, frame)

signal.signal(signal.SIGTERM, mine)
"""
ASYNC = f"""{CHAIN}
import asyncio, contextlib, time
from fastapi import FastAPI

lags = []

def waited():
    with open("/proc/thread-self/schedstat") as file:
        return int(file.read().split()[1]) / 1e9

async def measure():
    while True:
        begun, before = time.perf_counter(), waited()
        await asyncio.sleep(0.005)
        # What the thread has waited for a processor is others' doing.
        lags.append(time.perf_counter() - begun - 0.005 - (waited() - before))

@contextlib.asynccontextmanager
async def lifespan(app):
    task = asyncio.create_task(measure())
    yield
    task.cancel()
    pathlib.Path("lifespan").touch()

app = FastAPI(lifespan=lifespan)

@app.get("/")
async def root():
    logging.getLogger("shop").error("handled")
    print("printed")
    return "ok"

@app.get("/lags")
async def get_lags():
    return lags
"""
SYNC = f"""{CHAIN}
from flask import Flask

app = Flask("shop")

@app.get("/")
def root():
    logging.getLogger("shop").error("handled")
    return "ok"
"""
UNITS = 100
PROCESSES = f"""
import logging, multiprocessing, os, pathlib, signal, sys, time

def stop(*_):
    pathlib.Path("mine").touch()
    sys.exit(7)

def unit(number):
    time.sleep(0.01)
    import obskit
    if obskit.status()["enabled"]:
        with obskit.unit_of_work("job"):
            logging.getLogger("shop").error("handled")
    pathlib.Path(f"done-{{os.getpid()}}-{{number}}").touch()

def work():
    for number in range({UNITS}):
        unit(number)
    time.sleep(60)

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    signal.signal(signal.SIGTERM, stop)
    child = multiprocessing.Process(target=work)
    child.start()
    pool = multiprocessing.Pool(2)
    try:
        pool.map(unit, range({UNITS}), 1)
        work()
    finally:
        child.terminate()
        pool.close()
        child.join()
        pool.join()
        pathlib.Path(f"child-{{child.exitcode}}").touch()
"""
TASKS = 40
CELERY = f"""
import logging, os, pathlib, signal, time
import celery

app = celery.Celery("jobs", broker=os.environ["BROKER"])
app.conf.update(
    task_default_queue=os.environ["QUEUE"], broker_connection_retry_on_startup=True,
    broker_heartbeat=0,
)

@app.task(name="job")
def job(number):
    logging.getLogger("shop").error("handled")
    pathlib.Path(f"done-{{number}}").touch()

@celery.signals.worker_ready.connect
def ready(**_):
    was = signal.getsignal(signal.SIGTERM)

    def mine(number, frame):
        pathlib.Path("mine").touch()
        was(number, frame)

    signal.signal(signal.SIGTERM, mine)
    pathlib.Path("ready").touch()

if __name__ == "__main__":
    for number in range({TASKS}):
        job.delay(number)
"""


@pytest.fixture
def stall(tmp_path, server, obskit_command, free_port):
    """Give a log that nobody reads and a Zipkin that takes what is sent and never answers."""
    server.mode = "hang"
    return Stall(tmp_path / "log", server.url, obskit_command, free_port())


def files(folder, pattern):
    """Return how many files there are whose names are like *pattern*."""
    return len(list(folder.glob(pattern)))


def check_ends(bare, ours, folders, stall, *, spans, lines):
    """End both programs, and check that they end alike, in time, and that each loss is counted."""
    counted = stall.settled()
    expected, seconds = end(bare)
    found, more = end(ours)
    said = last_words(found)

    assert found.returncode == expected.returncode
    assert more < max(LONGEST_END, seconds + LONGEST_MORE), (seconds, more)
    assert [(folder / "mine").exists() for folder in folders] == [True, True]
    assert counted["spans"] + said["spans were lost"] == spans, (counted, said)
    assert said["lines were lost"] >= lines
    assert counted["logs"] > 0


@pytest.mark.slow
def test_uvicorn_serves_and_ends(run_uvicorn, stall):
    """Its loop is not held up, and the application's handler and lifespan run to their end."""
    bare = run_uvicorn(ASYNC, capture="file")
    ours = run_uvicorn(ASYNC, launcher=stall.launcher, env=stall.env)
    traffic = Traffic(ours.port)
    time.sleep(SOON)
    traffic.stop()
    with urllib.request.urlopen(ours.url + "/lags", timeout=10) as answer:
        lags = json.load(answer)

    assert traffic.failed == []
    assert len(lags) > 100
    assert sorted(lags)[-1 - len(lags) // 100] <= LARGEST_LAG
    folders = (bare.folder, ours.folder)
    check_ends(
        bare.process, ours.process, folders, stall,
        spans=traffic.answered + 1, lines=3 * traffic.answered,
    )  # fmt: skip
    assert [(folder / "lifespan").exists() for folder in folders] == [True, True]


@pytest.mark.slow
def test_gunicorn_serves_and_ends(run_gunicorn, stall):
    """With workers that end before the arbiter does."""
    bare = run_gunicorn(SYNC, "--workers", "2", capture="file")
    ours = run_gunicorn(SYNC, "--workers", "2", launcher=stall.launcher, env=stall.env)
    traffic = Traffic(ours.port)
    time.sleep(SOON)
    traffic.stop()

    assert traffic.failed == []
    check_ends(
        bare.process, ours.process, (bare.folder, ours.folder), stall,
        spans=traffic.answered, lines=2 * traffic.answered,
    )  # fmt: skip


def both(start_process, stall, tmp_path, name, source, env, *words):
    """Start a program bare and with us, each in a folder of its own; return these, too."""
    started, folders = [], []
    for launcher, more in (((), {}), (stall.launcher, stall.env)):
        folder = tmp_path / f"folder-{len(folders)}"
        folder.mkdir()
        (folder / name).write_text(source)
        own = {key: value.format(len(folders)) for key, value in env.items()}
        these = [word.format(len(folders)) for word in words]
        started.append(
            start_process(
                *launcher, sys.executable, *these, cwd=folder, env=own | more, capture="file"
            )
        )
        folders.append(folder)
    return *started, folders


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_processes_work_and_end(method, start_process, stall, tmp_path):
    """A child and a pool whose end a handler of the program's asks for, and waits for."""
    bare, ours, folders = both(
        start_process, stall, tmp_path, "script.py", PROCESSES, {}, "script.py", method
    )
    for process, folder in zip((bare, ours), folders, strict=True):
        wait_until(
            lambda folder=folder: files(folder, "done-*") == 3 * UNITS,
            lambda process=process: f"{process.stdout} {process.stderr}",
            20,
        )

    check_ends(bare, ours, folders, stall, spans=3 * UNITS, lines=6 * UNITS)
    assert [name.name for name in folders[0].glob("child-*")] == [
        name.name for name in folders[1].glob("child-*")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_celery_works_and_ends(pool, start_process, stall, tmp_path, rabbitmq):
    """Warm, with what its children have to say before it goes itself."""
    queue = f"{rabbitmq.queue()}-{{}}"
    env = {"BROKER": rabbitmq.url, "QUEUE": queue, "C_FORCE_ROOT": "1"}
    bare, ours, folders = both(
        start_process, stall, tmp_path, "jobs.py", CELERY, env,
        "-m", "celery", "-A", "jobs", "worker", "-P", pool, "-c", "2", "-n", "{}@here",
        "--without-gossip", "--without-mingle",
    )  # fmt: skip
    processes = list(zip((bare, ours), folders, strict=True))
    for number, (process, folder) in enumerate(processes):
        wait_until(
            (folder / "ready").exists,
            lambda process=process: f"{process.stdout} {process.stderr}",
            30,
        )
        own = env | {"QUEUE": queue.format(number)}
        start_process(sys.executable, "jobs.py", cwd=folder, env=own).wait()
    for process, folder in processes:
        wait_until(
            lambda folder=folder: files(folder, "done-*") == TASKS,
            lambda process=process: f"{process.stdout} {process.stderr}",
            20,
        )
    time.sleep(SOON)

    check_ends(bare, ours, folders, stall, spans=TASKS, lines=2 * TASKS)
