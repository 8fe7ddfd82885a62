"""What the demo says: the mystery, each scene with its story, and the tables at the end."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obskit.cli import _mystery, _samples, _scenes
from obskit.cli._mystery import Told
from obskit.cli._scenes import FORGOTTEN, Line, Scene
from obskit.cli._shop import Services

if TYPE_CHECKING:
    from obskit.story import Hops

WIDTH = 100
Say = Callable[..., None]


def heading(text: str) -> str:
    """Return *text* as a heading."""
    return f"\n{text}\n{'=' * len(text)}"


def solve(lines: Sequence[Line], folder: Path, say: Say) -> dict[str, Any]:
    """Tell of the unknown country code, first by time, then by cause.

    Raises:
        RuntimeError: No order has failed as it should.
    """
    told = _mystery.tell_apart(lines)
    chosen = next((one for one in told if one.is_mysterious), None)
    if chosen is None:
        raise RuntimeError(f"no failed order is in the lines in {folder}")
    _show_pairs(told, say)
    say(f"\n{chosen.customer.title()}'s order by time, as every log viewer sorts it:\n")
    for line in _mystery.by_time(lines, chosen.correlation_id):
        time_of_day = str(line["timestamp"])[11:23]
        say(f"  {time_of_day}  {line['service']:<10} {line['level']:<8} {line['message']}")
    say("\nThe CD is looked for before there is an order: clocks cannot be trusted. By cause:\n")
    return tell(_scenes.COUNTRY, chosen.correlation_id, lines, folder, say, whole=True)


def _show_pairs(told: Sequence[Told], say: Say) -> None:
    say("Each line carries the ID of its order, in all services. So who said what about whom:\n")
    say(f"  {'customer':<10} {'Shop':<24} {'Inventory':<24} answer")
    for one in told:
        if one.shop or one.inventory:
            shop, inventory = ("; ".join(words) or "-" for words in (one.shop, one.inventory))
            say(f"  {one.customer:<10} {shop:<24} {inventory:<24} {one.status}")


def play(
    scene: Scene,
    lines: Sequence[Line],
    names: Mapping[str, str],
    found: Hops,
    folder: Path,
    say: Say,
) -> dict[str, Any]:
    """Tell of a scene: question, story, culprit.

    Args:
        scene: One that has been played.
        lines: What all services have written.
        names: Services by their addresses.
        found: The edges between the services.
        folder: Where the files of the demo are.
        say: Prints a line.
    """
    say(f"\n{scene.title}\n{'-' * len(scene.title)}")
    say(scene.asks + "\n")
    customer = scene.orders[0].customer
    result = tell(scene, _scenes.id_of(lines, customer), lines, folder, say, names=names)
    if scene is FORGOTTEN:
        result["culprit"] = _show_break(lines, customer, found, say)
    if result["culprit"] not in result.pop("shown"):
        say(f"\n  Culprit: {result['culprit']}")
    return result


def tell(
    scene: Scene,
    correlation_id: str,
    lines: Sequence[Line],
    folder: Path,
    say: Say,
    *,
    names: Mapping[str, str] | None = None,
    whole: bool = False,
) -> dict[str, Any]:
    """Print and keep the story of one operation."""
    from obskit import story

    told = story.tell(lines, correlation_id)
    text = story.render_text(told, width=WIDTH)
    stories = folder / "stories"
    stories.mkdir(exist_ok=True)
    (stories / f"{scene.name}.txt").write_text(text, encoding="utf-8")
    say(f"  $ obskit story {correlation_id} {shlex.quote(str(folder))}\n")
    shown = text if whole else _scenes.folded(text, told)
    for line in shown.splitlines():
        say(f"  {line}".rstrip())
    return {
        "correlation_id": correlation_id,
        "culprit": _scenes.culprit_of(told, names or {}),
        "shown": shown,
        "story": json.loads(story.render_json(told)),
    }


def _show_break(lines: Sequence[Line], customer: str, found: Hops, say: Say) -> str:
    say("\n  It is not there. What was said of it, with the IDs of the lines:\n")
    for line in _scenes.around(lines, customer):
        number = f"[{str(line.get('correlation_id', ''))[:8]}]"
        say(f"  {number:<10}  {line['service']:<9} {line['message']}")
    say("\n  The mail room sends the mail on with the headers that it knows, and `obskit hops`")
    say("  says between whom the ID gets lost.")
    return "; ".join(map(_scenes.described, _scenes.lost(found))) or "nobody"


def show_edges(found: Hops, folder: Path, say: Say) -> list[dict[str, Any]]:
    """Print who calls whom, and what gets lost on the way."""
    from obskit.cli import hops

    text = hops.as_text(found, _scenes.lost(found), argparse.Namespace(entry=[]))
    say(f"  $ obskit hops {shlex.quote(str(folder))}\n")
    for line in text.splitlines():
        say(f"  {line}".rstrip())
    return hops.as_data(found, _scenes.lost(found))["edges"]  # type: ignore[no-any-return]


def show_rates(pages: Mapping[str, str], say: Say) -> list[dict[str, Any]]:
    """Print rate, errors and duration of each service."""
    say("\nAnd what Prometheus sees of it (rate, errors, duration, from each /metrics):\n")
    say(f"  {'service':<10} {'work':<21} {'outcome':<13} {'number':>6} {'mean':>10}")
    table = []
    for service, page in pages.items():
        for rate in _samples.rates(service, page):
            if rate.work not in ("/health", "health"):
                table.append(rate._asdict())
                say(
                    f"  {service:<10} {rate.work:<21} {rate.outcome:<13} {rate.number:>6}"
                    f" {rate.mean_ms:>7,.1f} ms"
                )
    return table


def introduce(services: Services, say: Say) -> list[dict[str, Any]]:
    """Print where the services are that go on."""
    say("\nStill running:")
    kept: list[dict[str, Any]] = []
    for service in services.values():
        metrics = f"http://127.0.0.1:{service.metrics_port}/metrics"
        say(f"  {service.name:<10} {service.url or '':<22} metrics {metrics}")
        one = {"service": service.name, "url": service.url, "metrics": metrics}
        kept.append(one | {"pid": service.process.pid})
    say(f"End them with: kill {' '.join(str(one['pid']) for one in kept)}")
    return kept
