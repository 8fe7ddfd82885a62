"""What is produced is received by a real Zipkin, or counted as lost: however a process ends."""

import json
import secrets
import signal
import sys
import time
import urllib.request

import pytest

BEGIN = """
import os, signal, sys, time
import obskit

obskit.init()

def work(count):
    for number in range(int(count)):
        with obskit.unit_of_work("job", number=number):
            pass
    return os.getpid()
"""
TERMINATE = "os.kill(os.getpid(), signal.SIGTERM); time.sleep(20)"
OWN_BEFORE = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
obskit.init(env="other")
work(20)
"""
OWN_LATER = """
was = signal.signal(signal.SIGTERM, lambda *a: (was(*a), sys.exit(7)))
work(20)
"""
FORK = """
work(10)
pid = os.fork()
work(10)
if pid: os.waitpid(pid, 0)
sys.exit(0)
"""
FORK_WHILE_SENDING = """
work(10)
time.sleep(0.5)
pid = os.fork()
work(10)
if pid: os.waitpid(pid, 0)
"""
FORK_AND_LEAVE = """
work(10)
pid = os.fork()
work(10)
if not pid: os._exit(0)
os.waitpid(pid, 0)
"""
THREADS = """
import threading
threads = [threading.Thread(target=work, args=(10,)) for _ in range(4)]
[one.start() for one in threads]
"""
# The way that a process ends, its exit status, how many spans are received and how many lost.
ENDS = {
    "returns": ("work(20)", 0, 20, 0),
    "sys.exit": ("work(20); sys.exit(3)", 3, 20, 0),
    "error": ("work(20); raise LookupError('boom')", 1, 20, 0),
    "SIGTERM": (f"work(20); {TERMINATE}", -15, 20, 0),
    "SIGTERM while it sends": (f"work(20); time.sleep(0.5); work(20); {TERMINATE}", -15, 40, 0),
    "SIGTERM, own handler before": (OWN_BEFORE + TERMINATE, 7, 20, 0),
    "SIGTERM, own handler later": (OWN_LATER + TERMINATE, 7, 20, 0),
    "os._exit": ("work(20); os._exit(4)", 4, 0, 20),
    "shutdown, then os._exit": ("work(20); obskit.shutdown(); os._exit(4)", 4, 20, 0),
    "raw fork": (FORK, 0, 30, 0),
    "raw fork, child by os._exit": (FORK_AND_LEAVE, 0, 20, 10),
    "fork while it sends": (FORK_WHILE_SENDING, 0, 30, 0),
    "threads": (THREADS, 0, 40, 0),
    "burst": ("work(5000)", 0, 5000, 0),
}
CHILDREN = {
    "Process": """
    children = [multiprocessing.Process(target=work, args=(10,)) for _ in range(2)]
    [one.start() for one in children]
    [one.join() for one in children]
""",
    "Process, terminated": """
    children = [multiprocessing.Process(target=forever, args=(10,)) for _ in range(2)]
    [one.start() for one in children]
    time.sleep(1.5)
    [one.terminate() for one in children]
    [one.join() for one in children]
""",
    "Pool": """
    pool = multiprocessing.Pool(2)
    pool.map(work, [5, 5, 5, 5], 1)
    pool.close()
    pool.join()
""",
    "ProcessPoolExecutor": """
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        list(pool.map(work, [5, 5, 5, 5]))
""",
}
MULTIPROCESSING = """
import concurrent.futures, multiprocessing

def forever(count):
    work(count)
    time.sleep(60)

if __name__ == "__main__":
    multiprocessing.set_start_method({method!r})
"""
CELERY = """
import os, pathlib
import celery, obskit

obskit.init()
folder = pathlib.Path(__file__).parent
queue = folder / "queue"
queue.mkdir(exist_ok=True)
app = celery.Celery("ledger", broker="filesystem://")
app.conf.update(
    broker_transport_options={
        "data_folder_in": str(queue), "data_folder_out": str(queue), "control_folder": str(queue),
    },
    worker_prefetch_multiplier=1,
)

@app.task(name="job")
def job(number):
    with obskit.unit_of_work("job", number=number):
        pass
    (folder / f"done-{number}").touch()

if __name__ == "__main__":
    for number in range(20):
        job.delay(number)
"""
APP = """
import os
import obskit

obskit.init()

def app(environ, start_response):
    with obskit.unit_of_work("job"):
        pass
    start_response("200 OK", [("content-length", "2")])
    return [b"ok"]

with obskit.unit_of_work("load"):
    pass
"""


@pytest.fixture
def service():
    """Give a name that no other test uses."""
    return f"ledger-{secrets.token_hex(6)}"


def settings(zipkin, service):
    """Return the environment of a service that sends its spans."""
    return {"OBSKIT_ZIPKIN": zipkin.url, "OBSKIT_SERVICE": service, "OBSKIT_METRICS_PORT": "off"}


def lost(output):
    """Return how many spans the lines of a program say to be lost."""
    lines = [json.loads(line) for line in output.lines if line.startswith(b"{")]
    return sum(line["obskit_lost"] for line in lines if line["message"] == "spans were lost")


def received(zipkin, service, count):
    """Return how many spans have come of those that were produced, and not one twice."""
    if not count:
        time.sleep(0.3)
        return len(zipkin.spans(service, until=lambda _: True))
    found = zipkin.spans(service, until=lambda spans: len(spans) >= count)
    assert len({span["id"] for span in found}) == len(found)
    return len(found)


@pytest.mark.parametrize("end", ENDS)
def test_a_process_ends(end, zipkin, service, start_process):
    """What had any chance to be sent has arrived, the rest is counted, the exit status is kept."""
    code, status, sent, dropped = ENDS[end]
    program = start_process(
        sys.executable, "-c", BEGIN + code, env=settings(zipkin, service), capture="file"
    )
    output = program.wait(40)

    assert output.returncode == status, output
    assert (received(zipkin, service, sent), lost(output)) == (sent, dropped)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("children", CHILDREN)
def test_children_of_multiprocessing_end(
    children, method, zipkin, service, start_process, tmp_path
):
    """They run no atexit: what they have done arrives all the same."""
    script = tmp_path / "script.py"
    script.write_text(BEGIN + MULTIPROCESSING.format(method=method) + CHILDREN[children])
    program = start_process(sys.executable, str(script), env=settings(zipkin, service))
    output = program.wait(60)

    assert output.returncode == 0, output
    assert (received(zipkin, service, 20), lost(output)) == (20, 0)


@pytest.mark.parametrize("options", [(), ("--preload",)])
def test_gunicorn_replaces_its_workers(options, zipkin, service, run_gunicorn):
    """With --max-requests a worker ends every few requests; no span is lost by that."""
    workers = ("--workers", "2", "--max-requests", "5", *options)
    server = run_gunicorn(APP, *workers, env=settings(zipkin, service))
    for _ in range(40):
        with urllib.request.urlopen(server.url, timeout=20) as answer:
            answer.read()
    output = server.stop()

    found = zipkin.spans(service, until=lambda spans: names(spans).count("job") >= 40)
    assert names(found).count("job") == 40
    assert lost(output) == 0


def names(spans):
    """Return the names of spans."""
    return [span["name"] for span in spans]


UVICORN = """
import obskit
obskit.init()

async def app(scope, receive, send):
    if scope["type"] == "http":
        with obskit.unit_of_work("job"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
"""


@pytest.mark.parametrize("options", [(), ("--workers", "2"), ("--factory",)])
def test_uvicorn_ends_by_a_signal(options, zipkin, service, run_uvicorn):
    """It has a handler of its own, sometimes before we come, and raises the signal in the end."""
    app = UVICORN
    if "--factory" in options:
        app = f"def app():\n    from served import app\n    return app\nSERVED = {UVICORN!r}\n"
        app += "import pathlib\npathlib.Path('served.py').write_text(SERVED)\n"
    server = run_uvicorn(app, *options, env=settings(zipkin, service))
    with urllib.request.urlopen(server.url, timeout=20) as answer:
        answer.read()
    output = server.stop()

    assert output.returncode == (0 if "--workers" in options else -signal.SIGTERM)
    assert names(zipkin.spans(service)) == ["job"]
    assert lost(output) == 0


@pytest.mark.slow
@pytest.mark.parametrize("most", [1, 1000])
def test_celery_replaces_its_children(most, zipkin, service, start_process, tmp_path):
    """With max_tasks_per_child they end by `os._exit`, after a word to whoever listens."""
    tmp_path.joinpath("jobs.py").write_text(CELERY)
    env = settings(zipkin, service) | {"OBSKIT_INSTRUMENT": "-celery"}
    words = ("-m", "celery", "-A", "jobs", "worker", "-P", "prefork", "-c", "2", "-l", "WARNING")
    worker = start_process(
        sys.executable, *words, "--max-tasks-per-child", str(most), env=env, cwd=tmp_path
    )
    start_process(sys.executable, "jobs.py", env=env, cwd=tmp_path).wait(40)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("done-*"))) < 20:
        assert worker.running, worker.wait()
        assert time.monotonic() < deadline, worker.stdout
        time.sleep(0.1)
    output = worker.stop(timeout=40)

    found = zipkin.spans(service, until=lambda spans: names(spans).count("job") >= 20)
    assert names(found).count("job") == 20
    assert lost(output) == 0
