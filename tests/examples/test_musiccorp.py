"""The example shop: ordinary services, and what obskit finds out about them."""

import random
import re

import pytest

from obskit import story
from obskit.cli import _mystery, _shop
from obskit.cli._shop import Order, Shop
from tests.source import ROOT, text_of

FOLDER = ROOT / "examples" / "musiccorp"
HEALTHY, COUNTRY, COPIES = "ada", "emil", "nina"
ORDERS = (Order(HEALTHY, "DE"), Order(COUNTRY, "XX"), Order(COPIES, "FR", copies=0))


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """Give the lines of a healthy order, and of two that fail in different services."""
    folder = tmp_path_factory.mktemp("shop")
    with _shop.running(Shop(folder, observed=True, clock_offset=-42.0)) as services:
        _shop.order_all(services[0].port, ORDERS)
    return list(story.read([str(service.log) for service in services]))


def ids(lines):
    """Return the correlation ID of each customer's order."""
    return {told.customer: told.correlation_id for told in _mystery.tell_apart(lines)}


@pytest.mark.parametrize("name", ["invoice.py", "warehouse.py"])
def test_the_services_know_nothing_of_obskit(name):
    """What the demo shows is done without a change of the code."""
    code = re.sub(r'""".*?"""', "", text_of(FOLDER / name), flags=re.DOTALL)

    assert "obskit" not in code.lower()


@pytest.mark.slow
def test_the_culprit_is_the_service_that_is_broken(lines):
    """A wrong country breaks Warehouse, no copies break Invoice, and a good order nobody."""
    orders = ids(lines)
    told = {customer: story.render_text(story.tell(lines, orders[customer])) for customer in orders}

    assert "Culprit: warehouse POST /parcels" in told[COUNTRY]
    assert "Culprit: invoice POST /orders/{customer}: ZeroDivisionError" in told[COPIES]
    assert "Culprit" not in told[HEALTHY]


@pytest.mark.slow
def test_the_story_does_not_depend_on_clocks_or_on_the_order_of_lines(lines):
    """Shuffled, and with timestamps at random, the same is told."""
    chance = random.Random(4711)
    shuffled = [dict(line) for line in lines]
    chance.shuffle(shuffled)
    for line in shuffled:
        line["timestamp"] = (
            f"2026-11-{chance.randint(10, 28)}T12:00:00.{chance.randrange(10**6):06}Z"
        )
    order = ids(lines)[COUNTRY]

    assert messages(shuffled, order) == messages(lines, order)


def messages(lines, order):
    """Return the story without its times: they are what was replaced."""
    text = story.render_text(story.tell(lines, order)).partition("\n  Clocks")[0]
    text = text.partition("\nClocks")[0]
    return re.sub(r"\d\d:\d\d:\d\d\.\d+|\d{4}-\d\d-\d\dT\S+", "TIME", text)
