"""What is told of the scenes of the demo."""

import pytest

from obskit import story
from obskit.cli import _scenes
from obskit.cli._scenes import SCENES
from obskit.story import Hops
from obskit.story.hops import Edge
from tests.story.scenes import Play


def told(play):
    """Return the story of a play."""
    return story.tell(play.lines, play.lines[0]["correlation_id"])


def test_every_scene_has_a_name_of_its_own_and_customers_of_its_own():
    """The lines of an order are found by its customer."""
    customers = [order.customer for scene in SCENES for order in scene.orders]

    assert len({scene.name for scene in SCENES}) == len(SCENES)
    assert len(set(customers)) == len(customers)


def test_who_stops_a_service_comes_last():
    """The others need it."""
    stopping = [bool(scene.without) for scene in SCENES]

    assert stopping == sorted(stopping)


def test_an_order_is_found_by_its_customer():
    """Only the last line of the request counts; who is not there is said."""
    lines = [
        {"url_path": "/orders/ada", "correlation_id": "no"},
        {"url_path": "/orders/ben", "correlation_id": "no", "outcome": "ok"},
        {"url_path": "/orders/ada", "correlation_id": "yes", "outcome": "ok"},
    ]

    assert _scenes.id_of(lines, "ada") == "yes"
    with pytest.raises(RuntimeError, match="cleo"):
        _scenes.id_of(lines, "cleo")


def test_a_culprit_that_wrote_no_line_is_called_by_its_name():
    """Lines know the address alone."""
    play = Play()
    play.enter("shop").log("x").end("dependency", dependency="127.0.0.1:81")

    culprit = _scenes.culprit_of(told(play), {"127.0.0.1:81": "inventory"})
    assert culprit.startswith("inventory at 127.0.0.1:81: did not do what")
    assert _scenes.culprit_of(told(play), {}).startswith("127.0.0.1:81: did not do what")


def test_what_was_delivered_again_has_no_culprit():
    """The first delivery failed, the second one went well."""
    play = Play()
    shop = play.enter("shop").log("x")
    header = shop.send()
    shop.end()
    task = {"task_name": "write", "task_id": "7"}
    for outcome, more in (
        ("server_error", {"error_type": "a.Lost"}),
        ("ok", {"redelivered": True}),
    ):
        unit = play.enter("invoice", "task write", header, causation_id=shop.span)
        unit.end(outcome, **task, **more)

    culprit = _scenes.culprit_of(told(play), {})
    assert culprit == "nobody: write ended in Lost, and its message was delivered again"


def test_nobody_is_to_blame_where_nothing_failed():
    """A story that ends well has no culprit."""
    play = Play()
    play.enter("shop").log("x").end()

    assert _scenes.culprit_of(told(play), {}) == "nobody"


def test_edges_that_lose_are_named_with_what_they_lose():
    """Healthy ones are left out."""
    edges = (
        Edge("shop", "email", "task", "celery:mails", 2, 1, 0),
        Edge("shop", "stock", "http", "", 2, 0, 1),
        Edge("shop", "stock", "http", "", 2, 0, 0),
    )

    assert list(map(_scenes.described, _scenes.lost(Hops(edges, (), 6)))) == [
        "shop -> email (task celery:mails): the ID gets lost",
        "shop -> stock (http): the clock gets lost",
    ]


def test_a_long_story_is_folded_to_the_services_in_trouble():
    """First line and lines of whom something happened to are kept; the rest is counted."""
    play = Play()
    shop = play.enter("shop").log("begin")
    for number in range(10):
        shop.log(f"step {number}")
    stock = shop.call("stock").log("wrong", "error")
    shop.hear(stock)
    stock.end("server_error")
    shop.end()
    one = told(play)
    text = story.render_text(one)

    folded = _scenes.folded(text, one, most=5)
    assert "begin" in folded
    assert "⋮  10 more" in folded
    assert "wrong" in folded
    assert "step 3" not in folded
    assert "caused by" not in folded
    assert "step 3" in _scenes.folded(text, one, most=50)


def test_lines_around_a_lost_id_are_shown_by_time():
    """Those of the order, of the mail room that has none, and of the mail that has another."""

    def line(time, service, correlation_id=None, logger=None, **more):
        found = {"timestamp": time, "service": service, "logger": logger or service, **more}
        return found | ({"correlation_id": correlation_id} if correlation_id else {})

    lines = [
        line("4", "email", "b"),
        line("3", "mailroom", message="Card read"),
        line("0", "mailroom", message="Open"),
        line("1", "shop", "a"),
        line("1", "shop", "z"),
        line("2", "shop", "a", "obskit.summary", url_path="/orders/nina", outcome="ok"),
        line(
            "5", "email", "b", "obskit.summary", messaging_destination_name="mails", task_name="x"
        ),
        line("5", "email", "c", message="of another order"),
    ]

    shown = _scenes.around(lines, "nina")
    assert [(one["timestamp"], one["service"]) for one in shown] == [
        ("1", "shop"), ("3", "mailroom"), ("4", "email"),
    ]  # fmt: skip
