"""``obskit demo``: a mystery in a shop for CDs, first without obskit, then solved with it."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from obskit.cli import _mystery, _samples, _shop
from obskit.cli._mystery import Line, Told
from obskit.cli._shop import Service, Shop

WELL, WRONG_USE = 0, 2
SECONDS_BEHIND = 42.0
FOLDER = "obskit-demo"
WIDTH = 98
MOST_FOLDERS = 100
ALL_WRITTEN_WITHIN = 5.0

Say = Callable[..., None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "--folder", type=Path, help=f"where its files are left (default: {FOLDER}, if it is free)"
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
    say = _silent if arguments.json else _say
    try:
        with _ended_by_signals(), _reserved(arguments.folder) as (folder, lock):
            result = _play(folder, lock, say, keep=arguments.keep)
    except (OSError, RuntimeError) as error:
        return _refuse(str(error))
    if arguments.json:
        sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return WELL


def _refuse(why: str) -> int:
    sys.stderr.write(f"obskit demo: {why}\n")
    return WRONG_USE


def _say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


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


def _play(folder: Path, lock: int, say: Say, *, keep: bool) -> dict[str, Any]:
    bare, observed = folder / "1-bare", folder / "2-observed"
    for part in (bare, observed):
        part.mkdir(exist_ok=True)
    result: dict[str, Any] = {"folder": str(folder)}
    result["bare"] = _first_act(Shop(bare, observed=False), say)
    shop = Shop(observed, observed=True, clock_offset=-SECONDS_BEHIND, inherited=(lock,))
    result |= _second_act(shop, say, keep=keep)
    say(f"\nAll lines, metrics and the story are in {folder}/. Your own program is next:")
    say("  obskit run -- python your_program.py")
    return result


def _heading(text: str) -> str:
    return f"\n{text}\n{'=' * len(text)}"


def _first_act(shop: Shop, say: Say) -> dict[str, Any]:
    say(_heading("1. The mystery"))
    say("A shop for CDs is two services: Invoice (FastAPI, uvicorn) asks Warehouse (Flask,")
    say(f"gunicorn) for a parcel. {len(_shop.ORDERS)} customers order at once. The logs say:\n")
    with _shop.running(shop) as services:
        answers = _shop.order_all(services[0].port)
    words = [line for service in services for line in _mystery.bare_words(service.log)]
    for line in words:
        say(f"  {line}")
    failed = [customer for customer, status in answers.items() if status >= 500]
    say(f"\n{len(failed)} orders failed. Whose? And which warning led to which error?")
    return {"answers": answers, "failed": failed, "words": words}


def _second_act(shop: Shop, say: Say, *, keep: bool) -> dict[str, Any]:
    say(_heading("2. The same two programs, under `obskit run`"))
    say("No line of them is changed. To make it harder, Warehouse's clock is made to run")
    say(f"{SECONDS_BEHIND:.0f} s late.\n")
    services = _shop.start(shop)
    kept = False
    try:
        answers = _shop.order_all(services[0].port)
        pages = {service.name: _scrape(service, shop.folder) for service in services}
        lines = _all_lines(services, len(answers))
        kept = keep
    finally:
        if not kept:
            _shop.stop(services)
    result = {"answers": answers} | _solve(lines, shop.folder, say)
    result["red"] = _show_rates(pages, say)
    if kept:
        result["services"] = _introduce(services, say)
    return result


def _scrape(service: Service, folder: Path) -> str:
    page = _shop.get(service.metrics_port or 0, "/metrics")
    if page is None:
        raise RuntimeError(f"{service.name} has no page of metrics")
    (folder / f"{service.name}.metrics").write_text(page, encoding="utf-8")
    return page


def _all_lines(services: Sequence[Service], orders: int) -> list[Line]:
    """Return the lines of both services once each order's last line is there."""
    from obskit import story

    deadline = time.monotonic() + ALL_WRITTEN_WITHIN
    while True:
        lines: list[Line] = list(story.read([str(service.log) for service in services]))
        ended = sum("/orders/" in str(line.get("url_path", "")) for line in lines)
        if ended >= orders or time.monotonic() > deadline:
            return lines
        time.sleep(0.05)


def _solve(lines: list[Line], folder: Path, say: Say) -> dict[str, Any]:
    told = _mystery.tell_apart(lines)
    chosen = next((one for one in told if one.is_mysterious), None)
    if chosen is None:
        raise RuntimeError(f"no failed order is in the lines in {folder}")
    _show_pairs(told, say)
    say(f"\n{chosen.customer.title()}'s order by time, as every log viewer sorts it:\n")
    for line in _mystery.by_time(lines, chosen.correlation_id):
        time_of_day = str(line["timestamp"])[11:23]
        say(f"  {time_of_day}  {line['service']:<10} {line['level']:<8} {line['message']}")
    say("\nThe parcel is packed before there is an order: clocks cannot be trusted. By cause:\n")
    return {"correlation_id": chosen.correlation_id, "story": _tell(lines, chosen, folder, say)}


def _show_pairs(told: Sequence[Told], say: Say) -> None:
    say("Each line carries the ID of its order, in both services. So who said what about whom:\n")
    say(f"  {'customer':<10} {'Invoice':<24} {'Warehouse':<24} answer")
    for one in told:
        if one.invoice or one.warehouse:
            invoice, warehouse = ("; ".join(words) or "-" for words in (one.invoice, one.warehouse))
            say(f"  {one.customer:<10} {invoice:<24} {warehouse:<24} {one.status}")


def _tell(lines: list[Line], chosen: Told, folder: Path, say: Say) -> Any:
    from obskit import story

    told = story.tell(lines, chosen.correlation_id)
    text = story.render_text(told, width=WIDTH)
    (folder / "story.txt").write_text(text, encoding="utf-8")
    say(f"  $ obskit story {chosen.correlation_id} {shlex.quote(str(folder))}\n")
    for line in text.splitlines():
        say(f"  {line}".rstrip())
    return json.loads(story.render_json(told))


def _show_rates(pages: dict[str, str], say: Say) -> list[dict[str, Any]]:
    say("\nAnd what Prometheus sees of it (rate, errors, duration, from both /metrics):\n")
    say(f"  {'service':<10} {'route':<20} {'outcome':<13} {'requests':>8} {'mean':>10}")
    table = []
    for service, page in pages.items():
        for rate in _samples.rates(service, page):
            if rate.route != "/health":
                table.append(rate._asdict())
                say(
                    f"  {service:<10} {rate.route:<20} {rate.outcome:<13} {rate.requests:>8}"
                    f" {rate.mean_ms:>7.1f} ms"
                )
    return table


def _introduce(services: Sequence[Service], say: Say) -> list[dict[str, Any]]:
    say("\nStill running:")
    kept = []
    for service in services:
        metrics = f"http://127.0.0.1:{service.metrics_port}/metrics"
        say(f"  {service.name:<10} {service.url}  metrics {metrics}")
        kept.append(
            {
                "service": service.name,
                "url": service.url,
                "metrics": metrics,
                "pid": service.process.pid,
            }
        )
    say(f"End them with: kill {' '.join(str(one['pid']) for one in kept)}")
    return kept
