"""The example shop: which services it has, and how customers order."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from obskit.cli import _services
from obskit.cli._services import PortTaken, Program, Service

NEEDED = ("celery", "django", "fastapi", "flask", "gunicorn", "httpx", "requests", "uvicorn")
ATTEMPTS = 3
WORKER = (
    "worker", "--concurrency", "1", "--loglevel", "INFO",
    "--without-gossip", "--without-mingle", "--without-heartbeat",
)  # fmt: skip

Services = dict[str, Service]


@dataclass(frozen=True, slots=True)
class Order:
    """What a customer wants."""

    customer: str
    cd: str = "Kind of Blue"
    copies: int = 1
    gift: bool = False


# Emil lives in a country that nobody knows, Gus in one that Inventory does not deliver to, and
# Shop does not know the tax of Cleo's.
ORDERS = tuple(map(Order, ("ada", "ben", "cleo", "dora", "emil", "fay", "gus", "hana")))


@dataclass(frozen=True, slots=True)
class Shop:
    """How the services are to run.

    Args:
        folder: Where they leave what they write.
        observed: Whether they run under obskit, and all of them; else those who serve requests.
        broker: URL of the broker; None for a folder that is one.
        zipkin: URL of the server that gets the traces.
        clock_offset: Seconds that Inventory's clock is ahead; only lines of obskit show it.
        inherited: Descriptors that stay open as long as a service runs.
    """

    folder: Path
    observed: bool
    broker: str | None = None
    zipkin: str | None = None
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
def running(shop: Shop) -> Iterator[Services]:
    """Have the shop running inside the block."""
    services = start(shop)
    try:
        yield services
    finally:
        _services.stop(services.values())


def start(shop: Shop) -> Services:
    """Start the services, and wait until all are ready.

    Raises:
        RuntimeError: A service ended or did not answer in time; the text has its last lines.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _start_all(shop)
        except PortTaken:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _start_all(shop: Shop) -> Services:
    services: Services = {}
    shop.folder.mkdir(parents=True, exist_ok=True)
    if shop.broker is None:  # an earlier run may have left messages
        shutil.rmtree(_folder_of_broker(shop), ignore_errors=True)
    try:
        for program in roster(shop):
            services[program.name] = _start(program, shop)
        for service in services.values():
            _services.wait(service)
    except BaseException:
        _services.stop(services.values())
        raise
    return services


def _start(program: Program, shop: Shop, *, again: bool = False) -> Service:
    return _services.start(
        program,
        programs(),
        shop.folder,
        observed=shop.observed,
        inherited=shop.inherited,
        again=again,
    )


def start_again(service: Service, shop: Shop) -> Service:
    """Start a service that was stopped, where it was before, and wait until it is ready."""
    started = _start(service.program, shop, again=True)
    try:
        _services.wait(started)
    except BaseException:
        _services.stop([started])
        raise
    return started


def roster(shop: Shop) -> list[Program]:
    """Return what is started, at ports that are free now."""
    at = {name: _services.free_port() for name in ("accounts", "inventory", "shop")}
    known = {f"{name.upper()}_URL": f"http://127.0.0.1:{port}" for name, port in at.items()}
    known["BROKER_URL"] = shop.broker or f"folder://{_folder_of_broker(shop)}"
    if shop.observed and shop.zipkin:
        known["OBSKIT_ZIPKIN"] = shop.zipkin
    late = {"OBSKIT_DEMO_CLOCK_OFFSET": str(shop.clock_offset)} if shop.clock_offset else {}
    web = [
        _gunicorn("accounts", "accounts:application", at["accounts"], known),
        _gunicorn("inventory", "inventory:app", at["inventory"], known | late),
        Program(
            "shop",
            ("uvicorn", "--port", str(at["shop"]), "--no-use-colors", "shop:app"),
            at["shop"],
            environ=known,
        ),
    ]
    if not shop.observed:
        return web
    return [
        *web,
        # Only what dies with its process needs a pool of processes.
        _worker("invoice", "invoice", "invoice", "prefork", known),
        _worker("shipping", "shipping", "shipping", "solo", known),
        _worker("email", "confirmation", "email,mails.checked", "solo", known),
        Program("mailroom", ("mailroom",), says="Open", environ=known),
    ]


def _folder_of_broker(shop: Shop) -> Path:
    return shop.folder.parent.absolute() / f"{shop.folder.name}-broker"


def _gunicorn(name: str, application: str, port: int, known: Mapping[str, str]) -> Program:
    words = ["gunicorn", "--workers", "2", "--bind", f"127.0.0.1:{port}"]
    if find_spec("gunicorn.ctl") is not None:  # one for all gunicorns of a user
        words.append("--no-control-socket")
    return Program(name, (*words, application), port, environ=known)


def _worker(name: str, module: str, queues: str, pool: str, known: Mapping[str, str]) -> Program:
    words = ("celery", "--app", module, *WORKER, "--queues", queues, "--pool", pool)
    return Program(name, (*words, "--hostname", f"{name}@%h"), says=" ready.", environ=known)


def order_all(service: Service, orders: Iterable[Order] = ORDERS) -> dict[str, int]:
    """Place all orders at once and return the status that each customer got."""
    orders = list(orders)
    with ThreadPoolExecutor(len(orders)) as customers:
        statuses = list(customers.map(lambda order: place(service, order), orders))
    return {order.customer: status for order, status in zip(orders, statuses, strict=True)}


def place(service: Service, order: Order) -> int:
    """Place one order and return the status of the answer."""
    body = {"cd": order.cd, "copies": order.copies, "gift": order.gift}
    connection = http.client.HTTPConnection("127.0.0.1", service.program.port, timeout=30)
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
