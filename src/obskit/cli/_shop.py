"""Start the services of the example shop, send them orders, and stop them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("fastapi", "uvicorn", "flask", "gunicorn", "httpx")
READY_WITHIN = 30.0
STOPPED_WITHIN = 10.0

# Two of these customers live where no carrier goes to.
ORDERS: tuple[tuple[str, str], ...] = (
    ("ada", "DE"),
    ("ben", "FR"),
    ("cleo", "XX"),
    ("dora", "GB"),
    ("emil", "SE"),
    ("fay", "UK"),
    ("gus", "DE"),
    ("hana", "FR"),
)


@dataclass(frozen=True, slots=True)
class Service:
    """A running service of the shop."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    log: Path
    metrics_url: str | None = None


def missing() -> list[str]:
    """Return the packages that the shop needs and that are not installed."""
    from importlib.util import find_spec

    return [name for name in NEEDED if find_spec(name) is None]


def programs() -> Path:
    """Return the folder with the shop's programs, from the wheel or from a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_examples" / "musiccorp", package.parents[1] / "examples" / "musiccorp"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError("the example shop is not part of this installation")


def free_port() -> int:
    """Return a port on loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(folder: Path, *, observed: bool, clock_offset: float = 0.0) -> list[Service]:
    """Start both services, bare or under obskit, and wait until they answer.

    Raises:
        RuntimeError: A service ended or did not answer in time; the text has its last lines.
    """
    folder.mkdir(parents=True, exist_ok=True)
    warehouse_port, invoice_port = free_port(), free_port()
    warehouse = _start(
        "warehouse", warehouse_port, folder, observed,
        ["gunicorn", "--workers", "2", "--bind", f"127.0.0.1:{warehouse_port}", "warehouse:app"],
        {"OBSKIT_DEMO_CLOCK_OFFSET": str(clock_offset)} if clock_offset else {},
    )  # fmt: skip
    invoice = _start(
        "invoice", invoice_port, folder, observed,
        ["uvicorn", "--port", str(invoice_port), "--no-use-colors", "invoice:app"],
        {"WAREHOUSE_URL": warehouse.url},
    )  # fmt: skip
    services = [invoice, warehouse]
    try:
        for service in services:
            _wait(service)
    except BaseException:
        stop(services)
        raise
    return services


def _start(
    name: str,
    port: int,
    folder: Path,
    observed: bool,
    command: list[str],
    more: Mapping[str, str],
) -> Service:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("OBSKIT_")}
    environ |= {"PYTHONUNBUFFERED": "1", **more}
    log = folder / f"{name}.log"
    command = [sys.executable, "-m", *command]
    metrics_url = None
    if observed:
        metrics_port = free_port()
        metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
        environ |= {"OBSKIT_SERVICE": name, "OBSKIT_METRICS_PORT": str(metrics_port)}
        command = [sys.executable, "-m", "obskit", "run", "--", *command]
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command,
            cwd=programs(),
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    return Service(name, f"http://127.0.0.1:{port}", process, log, metrics_url)


def _wait(service: Service) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        if service.process.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{service.url}/health", timeout=2):
            return
        time.sleep(0.1)
    words = service.log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise RuntimeError(f"{service.name} did not start:\n{words}")


def stop(services: list[Service]) -> None:
    """Ask the services to end, and see that they do."""
    for service in services:
        with contextlib.suppress(ProcessLookupError):
            service.process.send_signal(signal.SIGTERM)
    for service in services:
        try:
            service.process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(service.process.pid, signal.SIGKILL)
            service.process.wait()


@contextlib.contextmanager
def running(folder: Path, *, observed: bool, clock_offset: float = 0.0) -> Iterator[list[Service]]:
    """Have the shop running inside the block."""
    services = start(folder, observed=observed, clock_offset=clock_offset)
    try:
        yield services
    finally:
        stop(services)


def order_all(shop: str) -> dict[str, int]:
    """Place all orders at once and return the status that each customer got."""
    with ThreadPoolExecutor(len(ORDERS)) as customers:
        statuses = customers.map(lambda order: place(shop, *order), ORDERS)
        return {customer: status for (customer, _), status in zip(ORDERS, statuses, strict=True)}


def place(shop: str, customer: str, country: str, copies: int = 1) -> int:
    """Place one order and return the status of the answer."""
    body = json.dumps({"order_id": f"CD-{customer}", "country": country, "copies": copies})
    request = urllib.request.Request(
        f"{shop}/orders/{customer}",
        data=body.encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
