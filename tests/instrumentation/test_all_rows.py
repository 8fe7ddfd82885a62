"""Ten thousand names of chance through all rows: series stay few, and no secret comes out."""

import gzip
import json
import random
import socket
import subprocess
import sys
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client.parser import text_string_to_metric_families

from obskit.fields import METRICS
from tests.instrumentation.all_rows import SECRET
from tests.services.processes import ROOT, environment

COUNT = 10_000
BUDGET = 100
USED = {
    "asgi", "wsgi", "starlette", "fastapi", "flask", "django", "httpx", "requests", "urllib3",
    "urllib", "aiohttp_client", "pika", "celery",
}  # fmt: skip


class Receiver(ThreadingHTTPServer):
    """Take spans as Zipkin does, and keep their text."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Taking)
        self.texts = []

    @property
    def spans(self):
        """All spans that came."""
        return [span for text in self.texts for span in json.loads(text)]


class Taking(BaseHTTPRequestHandler):
    """One batch."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        """Keep it."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.texts.append(gzip.decompress(body))
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def receiver():
    """Give a receiver that runs."""
    with Receiver() as one:
        thread = threading.Thread(target=one.serve_forever, args=(0.01,))
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def series(page):
    """Return the label sets of each metric of ours; buckets of a histogram are one."""
    found = defaultdict(set)
    for family in text_string_to_metric_families(page):
        for name in {family.name, f"{family.name}_total"} & {metric.name for metric in METRICS}:
            for sample in family.samples:
                labels = {key: value for key, value in sample.labels.items() if key != "le"}
                found[name].add(tuple(sorted(labels.items())))
    return found


@pytest.mark.slow
def test_names_of_chance_and_secrets_stay_outside(receiver, tmp_path):
    """Of each metric there are no more series than allowed; what is more has overflowed."""
    seed = random.randrange(10**9)
    print("seed", seed)
    log = tmp_path / "log"
    env = environment({
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        "OBSKIT_ZIPKIN": f"http://user:{SECRET}@127.0.0.1:{receiver.server_port}",
        "OBSKIT_METRICS_PORT": "off",
        "OBSKIT_LOG_STREAM": str(log),
        "OBSKIT_SERIES_BUDGET": str(BUDGET),
    })  # fmt: skip
    page = tmp_path / "page"
    words = f'exec "$@" 3>{page}'
    done = subprocess.run(
        ["sh", "-c", words, "sh", sys.executable, "-m", "tests.instrumentation.all_rows",
         str(seed), str(COUNT)],
        env=env, cwd=ROOT, capture_output=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    told = json.loads(page.read_text())
    counted = series(told["page"])
    lines = log.read_bytes()

    assert told["errors"] == {}
    # The first two are handed out by us; there is nothing to hook.
    assert {name for name in USED if told["states"][name] != "hooked"} <= {"asgi", "wsgi"}
    assert {name: len(found) for name, found in counted.items() if len(found) > BUDGET} == {}
    for name in ("http_server_requests_total", "http_client_request_duration_seconds",
                 "messaging_publish_duration_seconds", "task_duration_seconds"):  # fmt: skip
        assert any("__overflow__" in dict(labels).values() for labels in counted[name]), name
    assert lines.count(b'"message":"request finished"') == COUNT * 3 // 5
    assert len(receiver.spans) > COUNT // 2
    secret = SECRET.encode()
    places = {
        "lines": lines,
        "streams": done.stdout + done.stderr,
        "spans": b"".join(receiver.texts),
        "metrics": told["page"].encode(),
    }
    assert [name for name, text in places.items() if secret in text] == []


PROGRAM = f"""
import logging, urllib.request
from fastapi import FastAPI, Request

app = FastAPI()

@app.post("/orders/{{number}}")
@app.get("/orders/{{number}}")
def order(number: int, request: Request):
    logging.getLogger("shop").warning("ordered", extra={{"token": "{SECRET}"}})
    call = urllib.request.Request(
        "http://127.0.0.1:9/?token={SECRET}", b"{SECRET}", {{"authorization": "{SECRET}"}}
    )
    urllib.request.urlopen(call)
"""


@pytest.mark.slow
def test_the_doctor_tells_no_secret(tmp_path):
    """Neither of what it asks for, nor of what the program does, nor of the settings."""
    (tmp_path / "app.py").write_text(PROGRAM)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    done = subprocess.run(
        [sys.executable, "-m", "obskit", "doctor", "--json", "--path", f"/orders/7?token={SECRET}",
         "--", sys.executable, "-m", "uvicorn", "app:app", "--port", port],
        env=environment({"OBSKIT_ZIPKIN": f"http://user:{SECRET}@127.0.0.1:9"}),
        cwd=tmp_path, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    found = json.loads(done.stdout)

    assert found["checks"]
    assert b"dependency" in done.stdout or b"500" in done.stdout
    assert SECRET.encode() not in done.stdout + done.stderr
