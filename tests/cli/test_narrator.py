"""What the demo says."""

from types import SimpleNamespace

import pytest

from obskit.cli import _narrator, _scenes
from obskit.story import Hops
from obskit.story.hops import Edge
from tests.story.scenes import failing_order, healthy_order

PAGE = """
task_duration_seconds_sum{outcome="ok",task_name="pack"} 3.0
task_duration_seconds_count{outcome="ok",task_name="pack"} 2.0
http_server_request_duration_seconds_sum{http_route="/health",outcome="ok"} 1.0
http_server_request_duration_seconds_count{http_route="/health",outcome="ok"} 9.0
"""


@pytest.fixture
def said():
    """Give a list that hears what is said, by its own `append`."""
    return []


def test_a_story_is_told_and_kept(said, tmp_path):
    """What is printed is in a file too, with the command that prints it."""
    lines = failing_order().lines
    number = lines[0]["correlation_id"]
    result = _narrator.tell(_scenes.COUNTRY, number, lines, tmp_path, said.append, whole=True)
    kept = (tmp_path / "stories" / "country.txt").read_text(encoding="utf-8")

    assert said[0] == f"  $ obskit story {number} {tmp_path}\n"
    assert [line.strip() for line in said[1:]] == [line.strip() for line in kept.splitlines()]
    assert result["story"]["culprit"]
    assert result["culprit"] in kept


def test_a_mystery_without_a_failure_is_not_told(said, tmp_path):
    """There is nothing to look at."""
    with pytest.raises(RuntimeError, match="no failed order"):
        _narrator.solve(healthy_order().lines, tmp_path, said.append)


def test_edges_are_shown_with_those_that_lose(said, tmp_path):
    """People read the same as `obskit hops` prints, programs get the same as from its JSON."""
    edges = (Edge("shop", "email", "task", "celery:mails", 2, 1, 0, ("abc",)),)
    found = _narrator.show_edges(Hops(edges, (), 2), tmp_path, said.append)

    assert any("shop -> email" in line for line in said)
    assert [(edge["callee"], edge["lost_id"], edge["bad"]) for edge in found] == [
        ("email", 1, True)
    ]


def test_rates_are_of_work_only(said):
    """Nobody wants to know how often the demo asked for health."""
    found = _narrator.show_rates({"shipping": PAGE}, said.append)

    assert found == [
        {"service": "shipping", "work": "pack", "outcome": "ok", "number": 2, "mean_ms": 1500.0}
    ]
    assert "pack" in said[-1]
    assert "1,500.0 ms" in said[-1]


def test_who_is_kept_is_introduced(said):
    """Addresses, and how to end them."""
    services = {
        "shop": SimpleNamespace(
            name="shop", url="http://x", metrics_port=1, process=SimpleNamespace(pid=7)
        ),
        "email": SimpleNamespace(
            name="email", url=None, metrics_port=2, process=SimpleNamespace(pid=8)
        ),
    }
    kept = _narrator.introduce(services, said.append)

    assert said[-1] == "End them with: kill 7 8"
    assert [one["url"] for one in kept] == ["http://x", None]
