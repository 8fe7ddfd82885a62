"""What clients are given to keep secret is in nothing that obskit writes, sends or shows."""

import json
import os
import sys

import pytest

CLIENTS = """
import asyncio, contextlib, json, sys, urllib.request
import aiohttp, httpx, requests, urllib3
from celery import Celery
import obskit
from obskit import metrics

SECRET = "hunter2"
app = Celery("app", broker="memory://")
app.conf.task_always_eager = True

@app.task
def charge(card):
    with contextlib.suppress(OSError):
        urllib3.PoolManager(retries=False).request("GET", f"{base}/a?card={card}")

def by_aiohttp(url):
    async def ask():
        async with aiohttp.ClientSession(cookies={"sid": SECRET}, raise_for_status=True) as one:
            await one.get(url)
    asyncio.run(ask())

ways = [
    lambda url: requests.get(url, cookies={"sid": SECRET}).raise_for_status(),
    lambda url: httpx.get(url, headers={"Authorization": SECRET}).raise_for_status(),
    lambda url: urllib.request.urlopen(url.replace(f"ada:{SECRET}@", "")),
    lambda url: urllib3.PoolManager(retries=False).request("GET", url),
    by_aiohttp,
    lambda url: charge.delay(SECRET),
]
for base in sys.argv[1:]:
    host = base.removeprefix("http://")
    for number, way in enumerate(ways):
        with contextlib.suppress(Exception), obskit.unit_of_work(f"way {number}"):
            way(f"http://ada:{SECRET}@{host}/a?token={SECRET}&{SECRET}")
with open("page.txt", "w") as file:
    file.write(metrics.render()[1].decode())
"""


@pytest.mark.parametrize("command", ["run", "doctor"])
def test_a_planted_secret_is_nowhere(zipkin, start_process, obskit_command, tmp_path, command):
    """As query, userinfo, cookie, header or argument, of calls that fail and that are refused."""
    (tmp_path / "shop.py").write_text(CLIENTS)
    service = f"secrets-{command}-{os.getpid()}"
    env = {"OBSKIT_ZIPKIN": zipkin.url, "OBSKIT_METRICS_PORT": "off", "OBSKIT_SERVICE": service}
    words = ("run", "--") if command == "run" else ("doctor", "--json", "--")
    output = start_process(
        *obskit_command, *words, sys.executable, "shop.py", zipkin.url, "http://127.0.0.1:1",
        env=env, cwd=tmp_path,
    ).wait(60)  # fmt: skip
    spans = zipkin.spans(service, until=lambda found: len(found) >= 24)
    page = (tmp_path / "page.txt").read_text()
    said = [json.loads(line) for line in output.lines] if command == "run" else output.stdout

    assert b"hunter2" not in output.stdout + output.stderr
    assert "hunter2" not in json.dumps(spans) + page
    assert any("http://[redacted]@" in span["tags"].get("error", "") for span in spans)
    assert "http_client_request_duration_seconds" in page
    if command == "run":
        assert any("?[redacted]" in line.get("error_stack", "") for line in said)
