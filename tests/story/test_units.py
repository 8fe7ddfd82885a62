"""Units of work from lines."""

from obskit.order import Order
from obskit.story.units import ancestors, is_loud, units_of, was_answered
from tests.story.scenes import Play, failing_order, healthy_order


def units(play: Play):
    """Return the units of a play by service."""
    return {unit.service: unit for unit in units_of(Order(play.lines))}


def test_a_unit_knows_what_it_did():
    """Name, outcome and host come from its lines."""
    found = units(failing_order())

    assert found["warehouse"].name == "warehouse POST /parcels"
    assert found["warehouse"].outcome == "server_error"
    assert found["warehouse"].failed
    assert found["warehouse"].host == "warehouse-1"
    assert len(found["invoice"].events) == 4


def test_a_unit_knows_its_caller():
    """By the clock and by the IDs."""
    found = units(healthy_order())

    assert found["warehouse"].parent is found["invoice"]
    assert not found["warehouse"].guessed
    assert list(ancestors(found["warehouse"])) == [found["invoice"]]
    assert found["invoice"].children == [found["warehouse"]]


def test_without_a_clock_the_caller_is_guessed():
    """The IDs still say who sent it."""
    play = Play()
    invoice = play.enter("invoice").log("Order received")
    invoice.call("warehouse", broken=True).log("Packing").end()
    invoice.end()
    found = units(play)

    assert found["warehouse"].parent is found["invoice"]
    assert found["warehouse"].guessed


def test_without_ids_the_caller_is_known_by_the_clock():
    """Lines of a pipeline that keeps only the clock's fields."""
    play = healthy_order()
    for line in play.lines:
        line.pop("causation_id", None)
    found = units(play)

    assert found["warehouse"].parent is found["invoice"]


def test_ids_in_a_circle_are_not_followed():
    """Forged lines that cause each other have at most one parent between them."""
    play = Play()
    one = play.enter("one").log("x", causation_id=f"{2:016x}")
    play.enter("two").log("y", causation_id=one.span)
    found = units(play)

    assert sum(unit.parent is not None for unit in found.values()) == 1


def test_an_answer_that_was_heard_is_known():
    """A caller that went on without it does not know it."""
    assert was_answered(units(healthy_order())["warehouse"])

    play = Play()
    invoice = play.enter("invoice").log("Order received")
    invoice.call("warehouse").log("Packing").end()
    invoice.end("timeout")
    assert not was_answered(units(play)["warehouse"])


def test_messages_and_tasks_have_names():
    """Not all work is a request."""
    play = Play()
    play.enter("mail", "message orders").log("x").end()
    play.enter("billing", "task nightly").log("x").end()
    play.enter("worker", "task pack").log("x").end(
        messaging_system="celery", messaging_destination_name="tasks"
    )
    play.enter("script", "task x").log("x")

    assert [unit.name for unit in units_of(Order(play.lines))] == [
        "mail kafka orders",
        "billing nightly",
        "worker pack",
        "script",
    ]


def test_an_unmatched_route_is_shown_by_its_path():
    """A request for a page that does not exist has no route."""
    play = Play()
    play.enter("shop", "GET /x").end("client_error", 404, http_route="__unmatched__")

    assert units(play)["shop"].name == "shop GET /x"


def test_errors_are_loud():
    """By level, or by an exception."""
    order = Order(failing_order().lines)

    assert sum(map(is_loud, order.events)) == 5
