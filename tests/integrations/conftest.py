"""Real lines for the files in integrations/: of two services that had good and bad requests.

``lines -> tuple[bytes, ...]``
    What the services wrote, as they wrote it, without line feeds: requests that went well, were
    the client's fault (404), the service's (500) and that of the other service; a hop that carried
    the ID without the clock, and one that carried nothing; spans that were lost; the application's
    own fields.

``records -> tuple[dict, ...]``
    The same, parsed.
"""

import contextlib
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from tests.services.ports import reserve_port
from tests.services.processes import Process, environment
from tests.services.servers import wait_until_listening

SHOP = """
import logging, os
import httpx
from fastapi import FastAPI

app = FastAPI()
log = logging.getLogger("shop")


@app.get("/cds/{number}")
def cd(number: int):
    log.info("looking for a CD", extra={"cd": number, "price": 9.5, "label": "EMI"})
    if number == 5:
        raise ValueError("no such CD")
    httpx.get(f"{os.environ['STOCK']}/stock/{number}").raise_for_status()
    return number
"""
STOCK = """
import logging
from fastapi import FastAPI

app = FastAPI()
log = logging.getLogger("stock")


@app.get("/stock/{number}")
def stock(number: int):
    if number == 7:
        raise RuntimeError("the shelf is gone")
    log.warning("few are left", extra={"cd": number, "price": 9})
    return 3
"""
ASKED = ("/cds/1", "/cds/2", "/cds/5", "/cds/7", "/nothing")


def start(name: str, source: str, folder: Path, **names: str) -> tuple[Process, int]:
    """Start a service under obskit run and wait until it listens."""
    place = folder / name
    place.mkdir()
    place.joinpath("app.py").write_text(dedent(source), encoding="utf-8")
    port = reserve_port()
    where = ("--host", "127.0.0.1", "--port", str(port))
    command = (sys.executable, "-m", "obskit", "run", "--", "uvicorn", "app:app", *where)
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    nobody = f"http://127.0.0.1:{reserve_port()}"
    settings = {"OBSKIT_SERVICE": name, "OBSKIT_ENV": "test", "OBSKIT_METRICS_PORT": "off"}
    env = environment({"PATH": path, **settings, "OBSKIT_ZIPKIN": nobody, **names})
    process = Process(command, env=env, cwd=place, stdin=b"", capture="file", merge=False)
    wait_until_listening(process, port)
    return process, port


def get(address: str, **headers: str) -> None:
    """Send a request whose answer may be an error."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with contextlib.suppress(urllib.error.HTTPError):
        with urllib.request.urlopen(urllib.request.Request(address, headers=named), timeout=20):
            pass


@contextlib.contextmanager
def two_services(folder: Path) -> Iterator[tuple[Process, Process, str, str]]:
    """Run the shop and its stock, and stop them."""
    running = []
    try:
        stock, behind = start("stock", STOCK, folder)
        running.append(stock)
        address = f"http://127.0.0.1:{behind}"
        shop, front = start("shop", SHOP, folder, STOCK=address)
        running.append(shop)
        yield shop, stock, f"http://127.0.0.1:{front}", address
    finally:
        for process in running:
            process.kill()


@pytest.fixture(scope="session")
def lines(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, ...]:
    """Give what two services wrote, line by line."""
    with two_services(tmp_path_factory.mktemp("services")) as (shop, stock, front, behind):
        for path in ASKED:
            get(front + path)
        get(f"{behind}/stock/3", X_Correlation_ID="by-hand", baggage="obskit.caller=till")
        get(f"{behind}/stock/4", baggage="obskit.caller=till")
        ended = [shop.stop(), stock.stop()]
    return tuple(line for output in ended for line in output.stdout.splitlines())


@pytest.fixture(scope="session")
def records(lines: tuple[bytes, ...]) -> tuple[dict[str, object], ...]:
    """Give the same lines, parsed; every one of them is JSON."""
    return tuple(json.loads(line) for line in lines)
