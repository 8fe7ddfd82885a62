"""The story as a whole."""

import itertools
import json
import random
from datetime import UTC, datetime

import pytest

from obskit import schemas
from obskit.order import CONCURRENT
from obskit.story import find, render_json, render_shiviz, render_text, tell
from tests.story.cluster import Plan, operations
from tests.story.scenes import Play, failing_order, healthy_order


def shuffled(lines: list[dict], seed: int) -> list[dict]:
    """Return the lines in another order, with random timestamps."""
    chance = random.Random(seed)
    copies = [dict(line) for line in lines]
    for line in copies:
        moment = datetime.fromtimestamp(chance.uniform(0, 4e9), UTC)
        line["timestamp"] = f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
    chance.shuffle(copies)
    return copies


def without_times(story) -> tuple[str, str, str]:
    """Return all forms of a story, as far as they depend on causes only."""
    return render_text(story, times=False), render_json(story, times=False), render_shiviz(story)


@pytest.mark.parametrize("play", [failing_order, healthy_order])
def test_the_story_is_the_same_with_shuffled_lines_and_random_times(play):
    """No wall clock and no order of files has any say in it."""
    lines = play().lines
    expected = without_times(tell(lines, "op-1"))

    for seed in range(10):
        assert without_times(tell(shuffled(lines, seed), "op-1")) == expected


def test_the_story_of_a_wild_cluster_is_the_same_too():
    """Also with forks, lost answers and broken hops."""
    for cluster in operations(range(25), Plan(broken=0.1)):
        expected = without_times(tell(cluster.lines, "op"))
        assert without_times(tell(shuffled(cluster.lines, 1), "op")) == expected


def test_lines_of_other_operations_are_passed_over():
    """Only those with the ID are told."""
    play = failing_order()
    other = [dict(line, correlation_id="op-2") for line in play.lines]

    assert len(tell(play.lines + other, "op-1").events) == len(play.lines)


def test_a_healthy_operation_is_good_news():
    """No culprit, nothing broken, nothing lost."""
    story = tell(healthy_order().lines, "op-1")

    assert story.culprit is None
    assert not story.is_bad_news
    assert story.root.service == "invoice"


def test_the_culprit_changes_with_the_service_that_is_broken():
    """Blame follows the failure."""
    play = Play()
    play.enter("invoice").log("boom", "error", error_type="ValueError").end("server_error")

    assert tell(failing_order().lines, "op-1").culprit.unit.service == "warehouse"
    assert tell(play.lines, "op-1").culprit.unit.service == "invoice"


def test_a_hop_without_a_clock_is_broken():
    """It is named with the service that it came from."""
    play = Play()
    invoice = play.enter("invoice").log("x")
    invoice.call("warehouse", broken=True).log("y").end()
    invoice.end()
    [hop] = tell(play.lines, "op-1").broken

    assert (hop.unit.service, hop.sender) == ("warehouse", "invoice POST /orders")


def test_what_is_behind_a_broken_hop_is_not_broken_again():
    """The hop is named once, where it is."""
    play = Play()
    invoice = play.enter("invoice").log("x")
    warehouse = invoice.call("warehouse", broken=True).log("y")
    warehouse.call("carrier").log("z")
    invoice.hear(warehouse).end()

    assert [hop.unit.service for hop in tell(play.lines, "op-1").broken] == ["warehouse"]


def test_lost_lines_are_counted_by_service():
    """The dense numbers tell which service lost how many."""
    lines = [
        line
        for line in failing_order().lines
        if line["message"] not in ("Packing a parcel", "Unknown country code")
    ]

    assert [(loss.service, loss.count) for loss in tell(lines, "op-1").lost] == [
        ("invoice", 1),
        ("warehouse", 1),
    ]


def test_work_after_the_caller_had_left_is_told():
    """The callee went on for two lines that nobody waited for."""
    play = Play()
    invoice = play.enter("invoice").log("x")
    warehouse = invoice.call("warehouse").log("y")
    invoice.log("no answer", "error", error_type="ReadTimeout").end("dependency")
    warehouse.log("z").end()
    [leaving] = tell(play.lines, "op-1").left

    assert (leaving.unit.service, leaving.caller.service, leaving.lines) == (
        "warehouse",
        "invoice",
        3,
    )


def test_who_was_answered_has_not_left():
    """The last line of a callee is written after its answer, and that is no news."""
    assert tell(failing_order().lines, "op-1").left == []


def test_siblings_that_nothing_orders_ran_at_the_same_time():
    """Even if the times look as if one had waited for the other."""
    play = Play()
    shop = play.enter("shop").log("x")
    for name in ("mail", "points"):
        play.enter(name, "message orders", shop.send(), causation_id=shop.span).log("y").end()
    shop.end()
    [pair] = tell(play.lines, "op-1").together

    assert [unit.service for unit in pair] == ["mail", "points"]


def test_each_line_has_a_word_for_the_one_above():
    """None for the first one."""
    story = tell(failing_order().lines, "op-1")

    assert len(story.words) == len(story.events)
    assert story.words[0] is None
    assert CONCURRENT in story.words


def test_an_empty_story_is_told():
    """Nothing is known, and nothing breaks."""
    story = tell([], "op-1")

    assert (story.events, story.root, story.culprit) == ([], None, None)
    assert "No line" in render_text(story)


def test_lines_without_a_clock_are_shown_too():
    """A foreign service that carries the ID has lines without a place."""
    lines = [{"correlation_id": "op-1", "message": "hello", "service": "legacy"}]

    assert "hello" in render_text(tell([*healthy_order().lines, *lines], "op-1"))


def test_lines_may_have_different_formats(tmp_path):
    """The story is the one that the JSON lines tell."""
    lines = failing_order().lines
    assert len(lines) > len(schemas.NAMES)
    texts = []
    for line, name in zip(lines, itertools.cycle(schemas.NAMES), strict=False):
        made = schemas.of(name).encode(line)
        texts.append(made if isinstance(made, str) else json.dumps(made))
    (tmp_path / "all.log").write_text("\n".join(texts), encoding="utf-8")
    found = find([tmp_path], "op-1")

    assert found.lines == lines
    assert render_text(tell(found.lines, "op-1")) == render_text(tell(lines, "op-1"))
