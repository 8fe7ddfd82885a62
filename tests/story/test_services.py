"""The real thing: two servers of different frameworks whose clocks are apart."""

import json
import random
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any

import pytest

from obskit.story import failures, read, render_json, render_text, tell
from tests.source import ROOT

SHOP = ROOT / "tests" / "story" / "two_services"
BEHIND = -42.0


@pytest.fixture
def shop(run_uvicorn, run_gunicorn, obskit_command, tmp_path):
    """Give a run of the shop: orders go in, its lines come out of a file in random order."""

    def run(*countries: str, invoice: tuple[str, str] = ("", "")):
        launcher = (*obskit_command, "run", "--")
        source = {
            name: SHOP.joinpath(f"{name}.py").read_text("utf-8")
            for name in ("invoice", "warehouse")
        }
        offset = {"OBSKIT_DEMO_CLOCK_OFFSET": str(BEHIND), "OBSKIT_SERVICE": "warehouse"}
        off = {"OBSKIT_METRICS_PORT": "off"}
        warehouse = run_gunicorn(
            source["warehouse"], "--workers", "2", launcher=launcher, env=offset | off
        )
        server = run_uvicorn(
            source["invoice"].replace(*invoice) if invoice[0] else source["invoice"],
            launcher=launcher,
            env={"OBSKIT_SERVICE": "invoice", "WAREHOUSE_URL": warehouse.url} | off,
        )
        for country in countries:
            place(server.url, country)
        lines = server.stop().lines + warehouse.stop().lines
        random.Random(7).shuffle(lines)
        path = tmp_path / "all.log"
        path.write_bytes(b"\n".join(lines))
        return path

    return run


def place(url: str, country: str) -> None:
    """Place an order, whatever becomes of it."""
    request = urllib.request.Request(
        f"{url}/orders/ada",
        json.dumps({"order_id": f"CD-{country}", "country": country}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        urllib.request.urlopen(request, timeout=20).close()
    except urllib.error.HTTPError as error:
        error.close()


def at_random_times(lines: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Return the lines shuffled, with timestamps that mean nothing."""
    chance = random.Random(seed)
    copies = [dict(line) for line in lines]
    for line in copies:
        moment = datetime.fromtimestamp(chance.uniform(0, 4e9), UTC)
        line["timestamp"] = f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
    chance.shuffle(copies)
    return copies


def test_the_mystery_is_solved_whatever_the_clocks_say(shop):
    """Cause stands before effect, the culprit is named, and the healthy order has none."""
    path = shop("XX", "DE")
    lines = list(read([path]))
    [failed] = failures([path])
    text = render_text(failed, times=False)
    messages = [event.line["message"] for event in failed.events]
    [offset] = failed.clocks.offsets

    assert failed.culprit.name == "warehouse POST /parcels"
    assert failed.culprit.fault == "KeyError: 'XX'"
    assert failed.culprit.sign.line["message"] == "Unknown country code"
    assert [unit.service for unit in failed.culprit.victims] == ["invoice"]
    assert messages.index("Unknown country code") < messages.index("Packing a parcel")
    assert messages.index("Invalid country code") < messages.index(
        "Warehouse did not take the order"
    )
    assert offset.least <= BEHIND <= offset.most
    assert not failed.broken
    assert not failed.lost
    for seed in range(5):
        other = tell(at_random_times(lines, seed), failed.correlation_id)
        assert render_text(other, times=False) == text
        assert render_json(other, times=False) == render_json(failed, times=False)

    stories = failures([path], everything=True)
    healthy = [one for one in stories if one.root.work.startswith("POST") and not one.culprit]
    assert len(healthy) == 1
    assert not healthy[0].is_bad_news
    assert {unit.service for unit in healthy[0].units} == {"invoice", "warehouse"}


def test_the_culprit_is_another_one_where_another_service_is_broken(shop):
    """Invoice fails by itself after Warehouse has done its part."""
    bug = ('    log.info("Invoice written")', '    raise RuntimeError("no ink")')
    [failed] = failures([shop("DE", invoice=bug)])

    assert failed.culprit.name == "invoice POST /orders/{customer}"
    assert failed.culprit.fault == "RuntimeError: no ink"
    assert failed.culprit.victims == ()


def test_a_callee_that_went_on_after_a_timeout_is_told(shop):
    """Invoice waits for 10 ms only, and Warehouse packs the parcel that nobody waits for."""
    path = shop("DE", invoice=("timeout=5.0", "timeout=0.01"))
    [failed] = failures([path])
    [leaving] = failed.left

    assert failed.culprit.name == "warehouse POST /parcels"
    assert failed.culprit.fault == "went on after its caller had left"
    assert (leaving.unit.service, leaving.caller.service) == ("warehouse", "invoice")
    assert "After the caller had left" in render_text(failed)
