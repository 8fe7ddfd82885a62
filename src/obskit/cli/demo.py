"""``obskit demo``: mysteries in a shop for CDs, first without obskit, then solved with it."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from obskit.cli import _mystery, _narrator, _output, _services, _shop
from obskit.cli._narrator import Say, heading
from obskit.cli._scenes import COUNTRY, SCENES, Line, Scene
from obskit.cli._services import Service
from obskit.cli._shop import Services, Shop

WELL, WRONG_USE = 0, 2
SECONDS_BEHIND = 42.0
FOLDER = "obskit-demo"
MOST_FOLDERS = 100
ALL_WRITTEN_WITHIN = 20.0
SCRAPED_WITHIN = 10.0
FOUND_WITHIN = 5.0
PORTS = {"amqp": 5672, "amqps": 5671, "http": 80, "https": 443}
TASKS_OF_AN_ORDER = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "--folder", type=Path, help=f"where its files are left (default: {FOLDER}, if it is free)"
    )
    parser.add_argument(
        "--scenario",
        choices=[scene.name for scene in SCENES],
        metavar="NAME",
        help="play only this one: " + ", ".join(scene.name for scene in SCENES),
    )
    parser.add_argument(
        "--broker",
        metavar="URL",
        help="the broker of the tasks, as in amqp://guest:guest@localhost//"
        " (default: a folder, by kombu's filesystem transport)",
    )
    parser.add_argument(
        "--zipkin",
        metavar="URL",
        help="send the traces to this server, as in http://localhost:9411",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave the services running and print their addresses"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON only")


def run(arguments: argparse.Namespace) -> int:
    """Play the demo and return the exit code."""
    missing = _shop.missing()
    if missing:
        return _refuse(f"{', '.join(missing)} not installed: pip install 'obskit[demo]'")
    for option, schemes in (("broker", ("amqp", "amqps")), ("zipkin", ("http", "https"))):
        why = _unusable(getattr(arguments, option), schemes)
        if why:
            return _refuse(f"--{option}: {why}")
    say = _silent if arguments.json else _say
    try:
        with _ended_by_signals(), _reserved(arguments.folder) as (folder, lock):
            result = _play(folder, lock, say, arguments)
    except (OSError, RuntimeError) as error:
        return _refuse(str(error))
    if arguments.json:
        _output.write(json.dumps(result, indent=2) + "\n")
    return WELL


def _unusable(url: str | None, schemes: Sequence[str]) -> str:
    """Return why nothing can be sent to *url*: it is none, or nobody is there."""
    if url is None:
        return ""
    split = urlsplit(url)
    try:
        port = split.port or PORTS.get(split.scheme, 0)
    except ValueError:
        port = 0
    if split.scheme not in schemes or not split.hostname or not port:
        return f"wants {schemes[0]}://HOST:PORT"
    try:
        socket.create_connection((split.hostname, port), FOUND_WITHIN).close()
    except OSError as error:
        return f"nobody is at {split.hostname}:{port} ({error.strerror or error})"
    return ""


def _refuse(why: str) -> int:
    sys.stderr.write(f"obskit demo: {why}\n")
    return WRONG_USE


def _say(text: str = "") -> None:
    _output.write(text + "\n", now=True)


def _silent(text: str = "") -> None:
    pass


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the demo as Ctrl-C does: its services are stopped first."""
    names = ("SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _reserved(wanted: Path | None) -> Iterator[tuple[Path, int]]:
    """Have a folder that no other demo uses, and the lock on it; kept services hold that too.

    Raises:
        RuntimeError: The folder that is wanted is in use.
    """
    for number in range(1, MOST_FOLDERS):
        folder = wanted or Path(FOLDER if number == 1 else f"{FOLDER}-{number}")
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".running", os.O_CREAT | os.O_RDWR, 0o644)
        try:
            if _locked(lock):
                yield folder, lock
                return
        finally:
            os.close(lock)
        if wanted:
            break
    raise RuntimeError(f"another demo runs in {wanted or FOLDER}; name another --folder")


def _locked(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:  # no such locks on this platform
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _play(folder: Path, lock: int, say: Say, arguments: argparse.Namespace) -> dict[str, Any]:
    scenes = [one for one in SCENES if arguments.scenario in (None, one.name)]
    result: dict[str, Any] = {"folder": str(folder)}
    if COUNTRY in scenes:
        result["bare"] = _first_act(Shop(folder / "1-bare", observed=False), say)
    shop = Shop(
        folder / "2-observed",
        observed=True,
        broker=arguments.broker,
        zipkin=arguments.zipkin,
        clock_offset=-SECONDS_BEHIND,
        inherited=(lock,),
    )
    result |= _second_act(shop, scenes, say, keep=arguments.keep)
    if shop.zipkin:
        say(f"\nThe traces are in Zipkin: {shop.zipkin.rstrip('/')}/zipkin/?serviceName=shop")
    say(f"\nAll lines, metrics and stories are in {folder}/. Your own program is next:")
    say("  obskit run -- python your_program.py")
    return result


def _first_act(shop: Shop, say: Say) -> dict[str, Any]:
    say(heading("The mystery"))
    say("In a shop for CDs, Shop (FastAPI, uvicorn) asks Accounts (Django, gunicorn) where the")
    say("customer lives, and Inventory (Flask, gunicorn) for the CD.")
    say(f"{len(_shop.ORDERS)} customers order at once. The logs say:\n")
    with _shop.running(shop) as services:
        answers = _shop.order_all(services["shop"])
    logs = [services[name].log for name in ("shop", "inventory")]
    words = [line for log in logs for line in _mystery.bare_words(log)]
    for line in words:
        say(f"  {line}")
    failed = [customer for customer, status in answers.items() if status >= 500]
    say(f"\n{len(failed)} orders failed. Whose? And which warning led to which error?")
    return {"answers": answers, "failed": failed, "words": words}


def _second_act(shop: Shop, scenes: list[Scene], say: Say, *, keep: bool) -> dict[str, Any]:
    say(heading("The same programs, under `obskit run`"))
    say("No line of them is changed. With them run those who do the rest when they have time:")
    say("Invoice, Shipping and E-mail (Celery), and the old mail room.")
    say(f"To make it harder, Inventory's clock is made to run {SECONDS_BEHIND:.0f} s late.\n")
    services = _shop.start(shop)
    kept = False
    try:
        answers, pages = _perform(shop, services, scenes, again=keep)
        lines = _all_lines(services.values(), answers)
        pages |= {
            name: _scrape(service, shop.folder)
            for name, service in services.items()
            if name not in pages
        }
        kept = keep
    finally:
        if not kept:
            _services.stop(services.values())
    result: dict[str, Any] = {"answers": answers}
    result |= _tell_all(lines, services, scenes, shop.folder, say)
    result["red"] = _narrator.show_rates({name: pages[name] for name in services}, say)
    if kept:
        result["services"] = _narrator.introduce(services, say)
    return result


def _perform(
    shop: Shop, services: Services, scenes: Iterable[Scene], *, again: bool
) -> tuple[dict[str, int], dict[str, str]]:
    """Play the scenes; return the answers, and the metrics of who was stopped."""
    answers: dict[str, int] = {}
    pages: dict[str, str] = {}
    for scene in scenes:
        stopped = services.get(scene.without)
        if stopped is not None:
            _wait_for_reservations(stopped, answers)
            pages[stopped.name] = _scrape(stopped, shop.folder)
            _services.stop([stopped])
        answers |= _shop.order_all(services["shop"], scene.orders)
        if stopped is not None and again:
            services[stopped.name] = _shop.start_again(stopped, shop)
    return answers, pages


def _wait_for_reservations(inventory: Service, answers: Iterable[str]) -> None:
    """Wait until Inventory has done what it was asked for, also by those who have left."""
    wanted = len(list(answers))
    _read_until([inventory], lambda lines: _ended(lines, "/reservations") >= wanted)


def _all_lines(services: Iterable[Service], answers: dict[str, int]) -> list[Line]:
    """Return the lines of all services once the last line of each order and task is there."""
    tasks = TASKS_OF_AN_ORDER * sum(status == 200 for status in answers.values())

    def complete(lines: list[Line]) -> bool:
        done = sum("task_name" in line and line.get("outcome") == "ok" for line in lines)
        return _ended(lines, "/orders/") >= len(answers) and done >= tasks

    return _read_until(services, complete)


def _ended(lines: Iterable[Line], path: str) -> int:
    return sum(
        str(line.get("url_path", "")).startswith(path) and "outcome" in line for line in lines
    )


def _read_until(services: Iterable[Service], complete: Callable[[list[Line]], bool]) -> list[Line]:
    """Return the lines of services as soon as they are complete, at the latest in a while."""
    from obskit import story

    logs = [str(service.log) for service in services]
    deadline = time.monotonic() + ALL_WRITTEN_WITHIN
    while True:
        lines: list[Line] = list(story.read(logs))
        if complete(lines) or time.monotonic() > deadline:
            return lines
        time.sleep(0.1)


def _scrape(service: Service, folder: Path) -> str:
    deadline = time.monotonic() + SCRAPED_WITHIN
    while (page := _services.get(service.metrics_port or 0, "/metrics")) is None:
        if time.monotonic() < deadline:
            time.sleep(0.05)
            continue
        raise RuntimeError(f"{service.name} has no page of metrics")
    (folder / f"{service.name}.metrics").write_text(page, encoding="utf-8")
    return page


def _tell_all(
    lines: list[Line], services: Services, scenes: list[Scene], folder: Path, say: Say
) -> dict[str, Any]:
    from obskit import story

    names = {f"127.0.0.1:{one.program.port}": name for name, one in services.items()}
    logs = [str(service.log) for service in services.values()]
    found = story.hops(logs)
    result: dict[str, Any] = {"scenes": {}}
    if COUNTRY in scenes:
        solved = _narrator.solve(lines, folder, say)
        result |= solved
        result["scenes"]["country"] = solved
    others = [scene for scene in scenes if scene is not COUNTRY]
    if others:
        say(heading("More that goes wrong" if COUNTRY in scenes else "What goes wrong"))
    for scene in others:
        result["scenes"][scene.name] = _narrator.play(scene, lines, names, found, folder, say)
    say(heading("All of it"))
    result["edges"] = _narrator.show_edges(found, folder, say)
    return result
