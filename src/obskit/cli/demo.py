"""``obskit demo``: a murder mystery in a shop for CDs, first without obskit, then with it."""

from __future__ import annotations

import argparse
import json
import sys
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from obskit.cli import _shop

SECONDS_BEHIND = 42.0
Line = Mapping[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "--folder", type=Path, default=Path("obskit-demo"), help="where its files are left (default: %(default)s)"
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave the services running and print their addresses"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON only")


def run(arguments: argparse.Namespace) -> int:
    """Play the demo and return the exit code."""
    missing = _shop.missing()
    if missing:
        print(
            f"obskit demo needs {', '.join(missing)}: pip install 'obskit[demo]'", file=sys.stderr
        )
        return 2
    folder: Path = arguments.folder
    say = _silent if arguments.json else _say
    try:
        folder.mkdir(parents=True, exist_ok=True)
        bare = _first_act(folder / "1-bare", say)
        result = _second_act(folder / "2-obskit", say, keep=arguments.keep)
    except (OSError, RuntimeError) as error:
        print(f"obskit demo: {error}", file=sys.stderr)
        return 2
    result["bare"] = bare
    if arguments.json:
        print(json.dumps(result, indent=2))
    say(f"\nAll lines, metrics and the story are in {folder}{'/'}")
    return 0


def _say(text: str = "") -> None:
    print(text, flush=True)


def _silent(text: str = "") -> None:
    pass


def _heading(text: str) -> str:
    return f"\n{text}\n{'=' * len(text)}"


def _first_act(folder: Path, say: Any) -> dict[str, Any]:
    say(_heading("1. Without obskit"))
    say("Two services: invoice (FastAPI under uvicorn) and warehouse (Flask under gunicorn).")
    say(f"{len(_shop.ORDERS)} customers order a CD at the same time.\n")
    _clear(folder)
    with _shop.running(folder, observed=False) as services:
        answers = _shop.order_all(services[0].url)
    for service in services:
        for line in service.log.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(("[Invoice]", "[Warehouse]")) and " INFO " not in line:
                say(f"  {line}")
    failed = sorted(customer for customer, status in answers.items() if status >= 500)
    say(f"\n{len(failed)} orders failed. Which warning belongs to which error? Nobody can say.")
    return {"answers": answers, "failed": failed}


def _clear(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()


def _second_act(folder: Path, say: Any, *, keep: bool) -> dict[str, Any]:
    say(_heading("2. The same programs under `obskit run`"))
    say(f"No line of code is changed. The warehouse's clock is {SECONDS_BEHIND:.0f} s behind.\n")
    _clear(folder)
    services = _shop.start(folder, observed=True, clock_offset=-SECONDS_BEHIND)
    kept = False
    try:
        answers = _shop.order_all(services[0].url)
        scraped = {service.name: _scrape(service, folder) for service in services}
        kept = keep
    finally:
        if not kept:
            _shop.stop(services)
    lines = _read(services)
    result = _tell(lines, folder, say)
    result |= {"answers": answers, "red": _red_table(scraped, say)}
    if kept:
        result["services"] = _introduce(services, say)
    return result


def _scrape(service: _shop.Service, folder: Path) -> str:
    assert service.metrics_url is not None
    with urllib.request.urlopen(service.metrics_url, timeout=10) as answer:
        text: str = answer.read().decode()
    (folder / f"{service.name}.metrics").write_text(text, encoding="utf-8")
    return text


def _read(services: Iterable[_shop.Service]) -> list[Line]:
    from obskit import story

    return list(story.read([str(service.log) for service in services]))


def _tell(lines: list[Line], folder: Path, say: Any) -> dict[str, Any]:
    from obskit import story

    failed = [line for line in lines if line.get("service") == "invoice" and line.get("outcome") == "dependency"]
    if not failed:
        raise RuntimeError("no failed order is in the lines; something is wrong with the demo")
    correlation_id = str(failed[0]["correlation_id"])
    say(f"One failed order has the correlation ID {correlation_id}.\n")
    say("Its lines by time, as every log viewer sorts them (wrong: the effect comes first):\n")
    own = [line for line in lines if line.get("correlation_id") == correlation_id]
    for line in sorted(own, key=lambda line: str(line["timestamp"])):
        say(f"  {str(line['timestamp'])[11:23]}  {line['service']:<10} {line['level']:<8} {line['message']}")
    told = story.tell(lines, correlation_id)
    text = story.render_text(told)
    (folder / "story.txt").write_text(text, encoding="utf-8")
    say(f"\nThe same lines by cause: obskit story {correlation_id[:8]} {folder}\n")
    say(text)
    return {"correlation_id": correlation_id, "story": json.loads(story.render_json(told))}


def _red_table(scraped: Mapping[str, str], say: Any) -> list[dict[str, Any]]:
    from prometheus_client.parser import text_string_to_metric_families

    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for service, text in scraped.items():
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if not sample.name.startswith("http_server_request_duration_seconds_"):
                    continue
                labels = sample.labels
                key = (service, labels["http_route"], labels["outcome"])
                row = rows.setdefault(key, {"count": 0.0, "seconds": 0.0})
                if sample.name.endswith("_count"):
                    row["count"] += sample.value
                elif sample.name.endswith("_sum"):
                    row["seconds"] += sample.value
    say("Rate, errors and duration, scraped from both services' /metrics:\n")
    say(f"  {'service':<10} {'route':<22} {'outcome':<13} {'requests':>8} {'mean':>9}")
    table = []
    for (service, route, outcome), row in sorted(rows.items()):
        if route == "/health":
            continue
        mean = 1000 * row["seconds"] / row["count"]
        say(f"  {service:<10} {route:<22} {outcome:<13} {row['count']:>8.0f} {mean:>6.1f} ms")
        table.append(
            {"service": service, "route": route, "outcome": outcome, "requests": row["count"], "mean_ms": mean}
        )
    return table


def _introduce(services: Iterable[_shop.Service], say: Any) -> list[dict[str, Any]]:
    say("\nStill running (end them with kill):")
    kept = []
    for service in services:
        say(f"  {service.name:<10} {service.url}  metrics {service.metrics_url}  pid {service.process.pid}")
        kept.append(
            {"service": service.name, "url": service.url, "metrics": service.metrics_url, "pid": service.process.pid}
        )
    return kept
