"""The story for programs."""

import json
import random
import re

from obskit.story import render_json, render_shiviz, tell
from obskit.story.machine import SHIVIZ_PATTERN
from tests.story.cluster import Plan, damaged, operations
from tests.story.scenes import failing_order, healthy_order


def test_json_says_all():
    """Culprit, units, and the lines in causal order with their causes."""
    found = json.loads(render_json(tell(failing_order(warehouse=-42).lines, "op-1")))

    assert found["culprit"]["name"] == "warehouse POST /parcels"
    assert found["lines"][found["culprit"]["line"]]["line"]["error_type"] == "KeyError"
    assert found["lines"][found["culprit"]["first_sign"]]["line"]["level"] == "warning"
    assert [unit["service"] for unit in found["units"]] == ["invoice", "warehouse"]
    assert found["units"][1]["parent"] == found["units"][0]["id"]
    assert found["lines"][2]["causes"] == [1, 1]
    assert [line["relation"] for line in found["lines"]][:3] == [None, "caused", "caused"]
    assert found["clocks"]["offsets"][0]["most_seconds"] < -41


def test_json_of_a_healthy_operation_has_no_culprit():
    """Null, and empty lists."""
    found = json.loads(render_json(tell(healthy_order().lines, "op-1")))

    assert found["culprit"] is None
    assert found["broken_hops"] == found["lost"] == found["forged"] == found["without_place"] == []


def check_shiviz(text: str) -> int:
    """Check a log by the rules of ShiViz, and return how many lines it has.

    Own counts start at 1 and grow by 1; a vector names only hosts and counts that exist.
    """
    pattern, empty, *rows = text.rstrip("\n").split("\n")
    assert (pattern, empty) == (SHIVIZ_PATTERN, "")
    python = re.compile(pattern.replace("(?<", "(?P<"))
    own: dict[str, int] = {}
    wanted: list[tuple[str, int]] = []
    for head, event in zip(rows[::2], rows[1::2], strict=True):
        match = python.fullmatch(f"{head}\n{event}")
        vector = json.loads(match["clock"])
        own[match["host"]] = own.get(match["host"], 0) + 1
        assert vector[match["host"]] == own[match["host"]]
        wanted += vector.items()
    assert all(1 <= count <= own[host] for host, count in wanted)
    return len(rows) // 2


def test_shiviz_can_draw_it():
    """Also where lines are lost, which would keep it from drawing anything."""
    assert check_shiviz(render_shiviz(tell(failing_order().lines, "op-1"))) == 8
    for seed, cluster in enumerate(operations(range(20), Plan(broken=0.1))):
        lines = damaged(cluster.lines, random.Random(seed), lost=0.3, doubled=0.1)
        story = tell(lines, "op")
        if story.events:
            assert check_shiviz(render_shiviz(story)) == len(story.events)
