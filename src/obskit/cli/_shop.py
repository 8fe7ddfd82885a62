"""Start the services of the example shop, send them orders, and stop them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

NEEDED = ("fastapi", "uvicorn", "flask", "gunicorn", "httpx")
READY_WITHIN = 30.0
STOPPED_WITHIN = 10.0
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Order:
    """What a customer wants."""

    customer: str
    country: str
    copies: int = 1


# Only Invoice knows Italy, only Warehouse knows Switzerland, and nobody knows XX.
ORDERS = (
    Order("ada", "DE"),
    Order("ben", "FR"),
    Order("cleo", "CH"),
    Order("dora", "GB"),
    Order("emil", "XX"),
    Order("fay", "SE"),
    Order("gus", "IT"),
    Order("hana", "DE"),
)


@dataclass(frozen=True, slots=True)
class Service:
    """A running service of the shop."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    metrics_port: int | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Shop:
    """How the services are to run.

    Args:
        folder: Where they leave what they write.
        observed: Whether they run under obskit.
        clock_offset: Seconds that Warehouse's clock is ahead; only lines of obskit show it.
        inherited: Descriptors that stay open as long as a service runs.
    """

    folder: Path
    observed: bool
    clock_offset: float = 0.0
    inherited: tuple[int, ...] = ()


def missing() -> list[str]:
    """Return the packages that the shop needs and that are not installed."""
    return [name for name in NEEDED if find_spec(name) is None]


def programs() -> Path:
    """Return the folder with the shop's programs, from the wheel or from a checkout.

    Raises:
        FileNotFoundError: It is in neither.
    """
    package = Path(__file__).resolve().parents[1]
    places = (package / "_examples", package.parents[1] / "examples")
    for folder in places:
        if (folder / "musiccorp").is_dir():
            return folder / "musiccorp"
    raise FileNotFoundError("the example shop is not part of this installation")


@contextlib.contextmanager
def running(shop: Shop) -> Iterator[list[Service]]:
    """Have the shop running inside the block."""
    services = start(shop)
    try:
        yield services
    finally:
        stop(services)


def start(shop: Shop) -> list[Service]:
    """Start both services, and wait until they answer.

    Raises:
        RuntimeError: A service ended or did not answer in time; the text has its last lines.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _start_both(shop)
        except _PortTaken:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


class _PortTaken(RuntimeError):
    """Somebody was faster: between finding a free port and using it there is a moment."""


def _start_both(shop: Shop) -> list[Service]:
    services: list[Service] = []
    try:
        at = free_port()
        command = ["gunicorn", "--workers", "2", "--bind", f"127.0.0.1:{at}"]
        if find_spec("gunicorn.ctl") is not None:  # one for all gunicorns of a user
            command.append("--no-control-socket")
        offset = {"OBSKIT_DEMO_CLOCK_OFFSET": str(shop.clock_offset)} if shop.clock_offset else {}
        services.append(_start(shop, "warehouse", at, [*command, "warehouse:app"], offset))
        more = {"WAREHOUSE_URL": services[0].url}
        at = free_port()
        command = ["uvicorn", "--port", str(at), "--no-use-colors", "invoice:app"]
        services.insert(0, _start(shop, "invoice", at, command, more))
        for service in services:
            _wait(service)
    except BaseException:
        stop(services)
        raise
    return services


def free_port() -> int:
    """Return a port on loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _start(shop: Shop, name: str, port: int, words: list[str], more: Mapping[str, str]) -> Service:
    given = dict(os.environ)
    environ = {name: value for name, value in given.items() if not name.startswith("OBSKIT_")}
    environ |= {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", **more}
    environ |= dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1")
    command = [sys.executable, "-m", *words]
    metrics_port = None
    if shop.observed:
        metrics_port = free_port()
        environ |= {"OBSKIT_SERVICE": name, "OBSKIT_METRICS_PORT": str(metrics_port)}
        command = [sys.executable, "-m", "obskit", "run", "--", *command]
    log = shop.folder / f"{name}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            cwd=programs(),
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            pass_fds=shop.inherited,
        )
    return Service(name, port, process, log, metrics_port)


def _wait(service: Service) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while service.process.poll() is None and time.monotonic() < deadline:
        if get(service.port, "/health") is not None:
            return
        time.sleep(0.05)
    words = service.log.read_text(encoding="utf-8", errors="replace")
    kind = _PortTaken if "ddress already in use" in words else RuntimeError
    raise kind(f"{service.name} did not start:\n{words[-2000:]}")


def get(port: int, path: str) -> str | None:
    """Return the page at *path*; None where nobody answers it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        page = response.read().decode("utf-8")
        return page if response.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def stop(services: Iterable[Service]) -> None:
    """Ask the services to end, and see that they do, with all of their workers."""
    services = list(services)
    deadline = time.monotonic() + STOPPED_WITHIN
    try:
        for service in services:
            service.process.terminate()
        for service in services:
            with contextlib.suppress(subprocess.TimeoutExpired):
                service.process.wait(max(0.0, deadline - time.monotonic()))
    finally:
        for service in services:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(service.process.pid, signal.SIGKILL)
            service.process.wait()


def order_all(port: int, orders: Iterable[Order] = ORDERS) -> dict[str, int]:
    """Place all orders at once and return the status that each customer got."""
    orders = list(orders)
    with ThreadPoolExecutor(len(orders)) as customers:
        statuses = list(customers.map(lambda order: place(port, order), orders))
    return {order.customer: status for order, status in zip(orders, statuses, strict=True)}


def place(port: int, order: Order) -> int:
    """Place one order and return the status of the answer."""
    body = {"order_id": f"CD-{order.customer}", "country": order.country, "copies": order.copies}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(
            "POST",
            f"/orders/{order.customer}",
            body=json.dumps(body),
            headers={"Content-Type": "application/json"},
        )
        return connection.getresponse().status
    finally:
        connection.close()
