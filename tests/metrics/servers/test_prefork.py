"""Several workers count as one service, without a word of configuration."""

import contextlib
import http.client
import os
import random
import signal
import threading
import time

import pytest
from uvicorn.supervisors import Multiprocess

from tests.services.ports import wait_until

FLASK = """
from flask import Flask
app = Flask("shop")

@app.get("/cds/<int:number>")
def cds(number):
    time.sleep(0.002)
    return "x" * 3000
"""

FASTAPI = """
import asyncio
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
app = FastAPI()

@app.get("/cds/{number}", response_class=PlainTextResponse)
async def cds(number: int):
    await asyncio.sleep(0.002)
    return "x" * 3000
"""

SERVERS = {
    "gunicorn": (FLASK, "gunicorn", ("--workers", "4", "--log-level", "critical")),
    "gunicorn --preload": (
        FLASK,
        "gunicorn",
        ("--workers", "4", "--preload", "--log-level", "critical"),
    ),
    "gunicorn threads": (
        FLASK,
        "gunicorn",
        ("--workers", "4", "--threads", "3", "--log-level", "critical"),
    ),
    "uvicorn": (FASTAPI, "uvicorn", ("--workers", "4")),
}
REVIVING = [
    "gunicorn",
    "gunicorn --preload",
    pytest.param(
        "uvicorn",
        marks=pytest.mark.skipif(
            not hasattr(Multiprocess, "keep_subprocess_alive"),
            reason="this uvicorn starts none in place of a dead worker",
        ),
    ),
]
ACTIVE = 'http_server_active_requests{http_request_method="GET"}'


@pytest.fixture(params=SERVERS)
def service(request, uvicorn, gunicorn):
    """Serve by four workers."""
    source, server, args = SERVERS[request.param]
    return {"uvicorn": uvicorn, "gunicorn": gunicorn}[server](source, *args)


class Load:
    """Clients that ask one after the other, and know what they have sent and received whole."""

    def __init__(self, port, clients=3):
        self.port = port
        self.sent = self.received = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self):
        while not self._stop.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.ask()

    def ask(self):
        """Send one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            with self._lock:
                self.sent += 1
            connection.request("GET", f"/cds/{random.randrange(10**6)}")
            body = connection.getresponse().read()
            if len(body) == 3000:
                with self._lock:
                    self.received += 1
        finally:
            connection.close()


def total(samples, name="http_server_requests_total"):
    """Return how many requests were counted."""
    return sum(v for k, v in samples.items() if k.startswith(name + "{"))


def files(temporary):
    """Return the files of all families."""
    return [path for path in temporary.rglob("*") if path.is_file()]


def test_without_deaths_every_request_is_counted_exactly(service, temporary):
    """By whichever worker it is served; the gauge is back at 0, and stays in the folder."""
    load = Load(service.port)
    with load:
        wait_until(lambda: load.sent >= 300, lambda: f"{load.sent} sent", 30)
    samples = service.until(lambda found: total(found) >= load.sent)

    assert load.received == load.sent == total(samples)
    assert total(samples, "http_server_request_duration_seconds_count") == load.sent
    assert samples[ACTIVE] == 0
    assert all("/cds/" in name for name in samples if name.startswith("http_server_requests"))
    service.server.stop()
    left = {path.parent for path in files(temporary)}
    assert len(left) <= 1


def test_workers_without_traffic_are_counted(service):
    """All four are there before the first request, and their master is none of them."""
    samples = service.until(lambda found: found.get("obskit_workers") == 4)
    processes = [name for name in samples if name.startswith("process_resident_memory_bytes")]

    assert len(processes) == 4
    service.get("/cds/1")
    assert service.until(lambda found: total(found) == 1)["obskit_workers"] == 4


@pytest.mark.slow
@pytest.mark.parametrize("service", REVIVING, indirect=True)
def test_workers_killed_again_and_again_lose_nothing(service, temporary):
    """Received whole <= counted <= sent; the gauge is 0 at the end, the files are few."""
    killed = 0
    with Load(service.port, clients=4) as load:
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            workers = service.workers()
            if len(workers) >= 2 and load.received:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(random.choice(workers), signal.SIGKILL)
                    killed += 1
            time.sleep(0.15)
    before = -1.0

    def settled(found):
        nonlocal before
        quiet, before = total(found) == before, total(found)
        return quiet and found.get(ACTIVE) == 0

    samples = service.until(settled)

    assert killed >= 5
    assert load.received > 0
    assert load.received <= total(samples) <= load.sent, (load.received, load.sent, samples)
    durations = total(samples, "http_server_request_duration_seconds_count")
    assert load.received <= durations <= load.sent
    # Four kinds of numbers, a lock and exemplars for each slot; there are few more slots than
    # workers, since those that die make room.
    assert len(files(temporary)) <= 7 * 7, sorted(path.name for path in files(temporary))


def test_workers_that_are_replaced_leave_their_counts(gunicorn, temporary):
    """With max_requests each worker lives for ten requests, and no count is lost."""
    served = gunicorn(FLASK, "--workers", "2", "--max-requests", "10", "--log-level", "critical")
    first = set(served.workers())
    load = Load(served.port)
    with load:
        wait_until(lambda: load.sent >= 80, lambda: f"{load.sent} sent", 60)
    samples = served.until(lambda found: total(found) >= load.received)

    assert not first & set(served.workers())
    assert load.received <= total(samples) <= load.sent
    # A worker that has served nothing yet has no gauge.
    assert samples.get(ACTIVE, 0) == 0
    assert len(files(temporary)) <= 7 * 5


def test_a_scrape_takes_a_bounded_time(gunicorn):
    """Also with a full budget of series in each of several workers."""
    source = FLASK + "for number in range(600): serve(route=f'/full/{number}')\n"
    served = gunicorn(source, "--workers", "3", "--log-level", "critical")
    served.until(lambda found: found.get("obskit_workers", 0) == 3 and total(found) == 1800, 90)
    times = []
    for _ in range(5):
        began = time.monotonic()
        page = served.page()
        times.append(time.monotonic() - began)

    assert page.count("\n") > 5000
    assert min(times) < 2.0, times


def test_the_next_start_begins_at_zero_and_sweeps(gunicorn, temporary):
    """A service that was killed as a whole leaves no numbers and, in the end, no files."""
    first = gunicorn(FLASK, "--workers", "2", "--log-level", "critical")
    assert first.get("/cds/1") == 200
    first.until(lambda found: total(found) == 1)
    first.server.process.kill()
    second = gunicorn(FLASK, "--workers", "2", "--log-level", "critical")
    assert second.get("/cds/1") == 200
    samples = second.until(lambda found: total(found))

    assert total(samples) == 1
    assert len({path.parent for path in files(temporary)}) == 1


def test_without_a_folder_the_service_runs_and_says_so(gunicorn, temporary):
    """Where nothing can be written each worker counts for itself, and that is on the page."""
    temporary.joinpath(f"obskit-{os.geteuid()}").touch()
    served = gunicorn(FLASK, "--workers", "2", "--log-level", "critical")
    for _ in range(10):
        assert served.get("/cds/1") == 200
    samples = served.until(
        lambda found: 'obskit_internal_errors_total{where="metrics.workers"}' in found
    )

    assert total(samples) <= 10
