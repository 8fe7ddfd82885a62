"""The example shop: ordinary services, and what obskit finds out about them.

One demo is played for each broker, and all tests look at what it has left.
"""

import json
import random
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from obskit import story
from obskit.cli import _scenes, main
from obskit.cli._scenes import SCENES
from obskit.story import Story
from tests.services.processes import environment
from tests.services.zipkin import Zipkin
from tests.source import ROOT, text_of

FOLDER = ROOT / "examples" / "musiccorp"
HEALTHY = "ada"
BROKEN = ("shop", "email", "celery:mails")
EDGES = {
    ("shop", "accounts", ""): 12,
    ("shop", "inventory", ""): 11,
    ("shop", "invoice", "celery:invoice"): 9,
    ("shop", "shipping", "celery:shipping"): 8,
    ("shop", "email", "celery:email"): 7,
    BROKEN: 1,
    ("shipping", "accounts", ""): 8,
}

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Played:
    """A demo that is over: what it said as JSON, all lines, and where its logs are."""

    found: dict[str, Any]
    lines: list[dict[str, Any]]
    folder: Path
    zipkin: Zipkin | None

    def story(self, customer: str) -> Story:
        """Return the story of a customer's order."""
        return story.tell(self.lines, _scenes.id_of(self.lines, customer))


@pytest.fixture(scope="module", params=["folder", "rabbitmq"])
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Give a demo with the embedded broker, and one with RabbitMQ and Zipkin."""
    folder = tmp_path_factory.mktemp("shop")
    words, zipkin = ["--json", "--folder", str(folder)], None
    if request.param == "rabbitmq":
        broker, zipkin = map(request.getfixturevalue, ("shared_broker", "zipkin"))
        broker.start()
        words += ["--broker", broker.url, "--zipkin", zipkin.url]
    command = [sys.executable, "-m", "obskit", "demo", *words]
    ended = subprocess.run(
        command, env=environment(None), capture_output=True, text=True, timeout=110, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    observed = folder / "2-observed"
    logs = sorted(map(str, observed.glob("*.log")))
    return Played(json.loads(ended.stdout), list(story.read(logs)), observed, zipkin)


def test_the_services_know_nothing_of_obskit():
    """What the demo shows is done without a change of the code."""
    for path in FOLDER.glob("*.py"):
        code = re.sub(r'""".*?"""', "", text_of(path), flags=re.DOTALL)
        assert "obskit" not in code.lower()


def test_a_healthy_order_has_one_story_over_requests_and_tasks(played):
    """Six services work for it, in processes of their own, and nothing is broken or lost."""
    told = played.story(HEALTHY)

    assert {unit.service for unit in told.units} == {
        "shop", "accounts", "inventory", "invoice", "shipping", "email",
    }  # fmt: skip
    assert not told.is_bad_news
    assert not told.verdict.recovered
    assert all(unit.parent for unit in told.units[1:])
    assert all(unit.outcome == "ok" for unit in told.units if unit.summary)


def test_an_unknown_country_is_told_by_its_cause(played):
    """Inventory fails with what Shop had warned of, although its clock is 42 s behind."""
    told = played.story("emil")
    [offset] = told.clocks.offsets[-1:]

    assert told.culprit.name == "inventory POST /reservations"
    assert told.culprit.fault == "KeyError: 'XX'"
    assert told.culprit.sign.line["message"] == "Unknown country code"
    assert offset.least <= -42.0 <= offset.most


def test_an_outage_is_blamed_on_who_is_away(played):
    """Inventory wrote no line of it: Shop's says whom it has asked."""
    told = played.story("olga")

    assert {unit.service for unit in told.units} == {"shop", "accounts"}
    assert told.culprit.unit is None
    assert re.fullmatch(r"127\.0\.0\.1:\d+", told.culprit.name)
    assert played.found["scenes"]["outage"]["culprit"].startswith("inventory at 127.0.0.1:")


def test_work_for_a_caller_that_has_left_is_told(played):
    """Shop gave up, Inventory went on; no task was ordered."""
    told = played.story("theo")
    [leaving] = told.left

    assert told.culprit.name == "inventory POST /reservations"
    assert told.culprit.fault == "went on after its caller had left"
    assert (leaving.unit.service, leaving.caller.service) == ("inventory", "shop")
    assert {unit.service for unit in told.units} == {"shop", "accounts", "inventory"}


def test_a_message_that_is_delivered_again_is_made_good(played):
    """The first process was killed, the second one wrote the invoice; both are in the story."""
    told = played.story("raul")
    attempts = [unit for unit in told.units if unit.said("task_name") == "invoice.write"]

    assert told.culprit is None
    assert [unit.outcome for unit in told.verdict.recovered] == ["server_error"]
    assert "WorkerLostError" in told.verdict.recovered[0].said("error_type")
    assert sorted((unit.outcome, unit.said("redelivered")) for unit in attempts) == [
        ("ok", True), ("server_error", None),
    ]  # fmt: skip
    assert len({unit.said("task_id") for unit in attempts}) == 1


def test_a_forgotten_header_breaks_the_story_where_it_is_forgotten(played):
    """The mail is in no story but its own, and the lines of the mail room have no ID."""
    told = played.story("nina")
    shown = _scenes.around(played.lines, "nina")
    ids = {line["service"]: line.get("correlation_id") for line in shown}

    assert {unit.service for unit in told.units} == {
        "shop", "accounts", "inventory", "invoice", "shipping",
    }  # fmt: skip
    assert ids["shop"] == told.correlation_id
    assert ids["mailroom"] is None
    assert ids["email"] not in (None, told.correlation_id)


def test_the_edge_that_loses_is_named_and_no_healthy_one(played, capsys):
    """All calls are counted, and `obskit hops` ends with bad news."""
    edges = {(one["caller"], one["callee"], one["place"]): one for one in played.found["edges"]}

    assert {edge: one["calls"] for edge, one in edges.items()} == EDGES
    assert [edge for edge, one in edges.items() if one["bad"]] == [BROKEN]
    assert (edges[BROKEN]["lost_id"], edges[BROKEN]["lost_clock"]) == (1, 0)
    assert main(["hops", str(played.folder), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["edges"] == played.found["edges"]


def test_stories_do_not_depend_on_clocks_or_on_the_order_of_lines(played):
    """Shuffled, and with timestamps at random, the same is told."""
    chance = random.Random(4711)
    shuffled = [dict(line) for line in played.lines]
    chance.shuffle(shuffled)
    for line in shuffled:
        line["timestamp"] = (
            f"2026-11-{chance.randint(10, 28)}T12:00:00.{chance.randrange(10**6):06}Z"
        )
    for customer in (HEALTHY, *(scene.orders[0].customer for scene in SCENES), "emil"):
        number = _scenes.id_of(played.lines, customer)
        texts = [
            story.render_text(story.tell(lines, number), times=False)
            for lines in (played.lines, shuffled)
        ]
        assert texts[0] == texts[1]


def test_errors_are_counted_for_those_whose_they_are(played):
    """Rates of requests and tasks come from the pages of all services."""
    numbers = {(row["work"], row["outcome"]): row["number"] for row in played.found["red"]}

    assert numbers == {
        ("/customers/<str:name>", "ok"): 20,
        ("/orders/{customer}", "dependency"): 3,
        ("/orders/{customer}", "ok"): 8,
        ("/orders/{customer}", "timeout"): 1,
        ("/reservations", "ok"): 9,
        ("/reservations", "server_error"): 2,
        ("email.confirm", "ok"): 8,
        ("invoice.write", "ok"): 8,
        ("invoice.write", "server_error"): 1,
        ("shipping.pack", "ok"): 8,
    }
    page = (played.folder / "invoice.metrics").read_text(encoding="utf-8")
    assert re.search(r'(?m)^messaging_redeliveries_total\{.*"invoice".*\} 1\.0$', page)


@pytest.mark.parametrize("played", ["rabbitmq"], indirect=True)
def test_zipkin_has_one_trace_over_requests_and_messages(played):
    """Each order is a tree, and errors are marked where there was an error, and only there."""
    whole = trace_of(played, HEALTHY, 13)
    kinds = sorted((span["kind"], span["localEndpoint"]["serviceName"]) for span in whole)

    assert kinds == sorted(
        [("SERVER", "shop"), ("SERVER", "accounts"), ("SERVER", "inventory")]
        + [("CLIENT", "shop")] * 2
        + [("PRODUCER", "shop")] * 3
        + [("CONSUMER", name) for name in ("invoice", "shipping", "email")]
        + [("CLIENT", "shipping"), ("SERVER", "accounts")]
    )
    numbers = {span["id"] for span in whole}
    assert [span["parentId"] in numbers for span in whole if "parentId" in span] == [True] * 12
    assert not failed(whole)
    assert failed(trace_of(played, "raul", 14)) == {("CONSUMER", "invoice")}
    assert failed(trace_of(played, "theo", 5)) == {("SERVER", "shop"), ("CLIENT", "shop")}
    assert failed(trace_of(played, "emil", 5)) == {
        ("SERVER", "shop"), ("CLIENT", "shop"), ("SERVER", "inventory"),
    }  # fmt: skip


@pytest.mark.parametrize("played", ["rabbitmq"], indirect=True)
def test_zipkin_knows_who_depends_on_whom(played):
    """Services depend on those that they call, and by way of the broker on workers."""
    wanted = {
        ("shop", "accounts"), ("shop", "inventory"), ("shop", "celery"), ("shipping", "accounts"),
        ("celery", "invoice"), ("celery", "shipping"), ("celery", "email"),
    }  # fmt: skip

    played.zipkin.dependencies(
        until=lambda links: wanted <= {(one["parent"], one["child"]) for one in links}
    )


def trace_of(played: Played, customer: str, size: int) -> list[dict[str, Any]]:
    """Return the spans of a customer's order."""
    number = _scenes.id_of(played.lines, customer)
    [trace_id] = {line["trace_id"] for line in played.lines if line.get("correlation_id") == number}
    assert played.zipkin is not None
    return played.zipkin.trace(trace_id, until=lambda spans: len(spans) >= size)


def failed(spans: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Return kinds and services of the spans that have an error."""
    return {
        (span["kind"], span["localEndpoint"]["serviceName"])
        for span in spans
        if "error" in span.get("tags", {})
    }
