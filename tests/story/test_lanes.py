"""The picture beside the lines."""

import pytest

from obskit.order import Order
from obskit.story.lanes import DOT, MOST_LANES, _row, draw
from obskit.story.units import units_of
from tests.story.scenes import Play, failing_order


def picture(play: Play) -> list[str]:
    """Return the picture of a play."""
    order = Order(play.lines)
    return draw(order.events, units_of(order))


def test_a_call_opens_a_lane_and_its_answer_leads_back():
    """Causes between units are drawn from lane to lane, errors have another mark."""
    assert picture(failing_order()) == [
        "●  ",
        "●  ",
        "├─●",
        "│ ✗",
        "│ ✗",
        "│ ✗",
        "✗─┘",
        "✗  ",
    ]


def test_what_begins_late_comes_from_the_lane_of_its_sender():
    """Tasks of a request that is over do not take its place; the last one ends its lane."""
    play = Play()
    shop = play.enter("shop").log("x")
    stock = shop.call("stock").log("y")
    shop.hear(stock)
    stock.end()
    headers = [shop.send(), shop.send()]
    shop.end()
    for name, header in zip(("mail", "invoice"), headers, strict=True):
        play.enter(name, "task send", header, causation_id=shop.span).log("z").end()

    assert picture(play) == [
        "●  ",
        "├─●",
        "│ ●",
        "●─┘",
        "├─●",
        "│ ●",
        "└─●",
        "  ●",
    ]


def test_lanes_are_used_again():
    """Ten calls one after another need one lane beside their caller's."""
    play = Play()
    shop = play.enter("shop").log("x")
    for _ in range(10):
        callee = shop.call("price").log("y")
        shop.hear(callee)
        callee.end()
    shop.end()

    assert max(map(len, picture(play))) <= 6


@pytest.mark.parametrize(
    ("lanes", "own", "sources", "row"),
    [
        (["a", "b", "c"], 0, {1, 2}, "●─┼─┤"),
        (["a", "b", None], 0, {2}, "●─│─┘"),
        (["a", None, "c"], 2, {0}, "├───●"),
        ([None, "b", "c"], 2, {0, 1}, "└─┼─●"),
        (["a", "b", "c"], 1, {0, 2}, "├─●─┤"),
        (["a", None, "c"], 0, set(), "●   │"),
    ],
)
def test_causes_are_drawn_from_their_lanes(lanes, own, sources, row):
    """A source that goes on has a branch, one that is over has a corner."""
    assert _row(lanes, own, sources, DOT) == row


def test_hundreds_of_units_at_once_keep_the_picture_narrow():
    """Those who find no lane share the last one."""
    play = Play()
    shop = play.enter("shop").log("x")
    callees = [shop.call("price").log("y") for _ in range(40)]
    for callee in callees:
        callee.end()

    assert max(map(len, picture(play))) <= 2 * MOST_LANES
