"""Where IDs and clocks get lost: each such edge is named, and no healthy one."""

import json
import random
from pathlib import Path

import pytest

from obskit.story.edges import Edges
from obskit.story.hops import Hops, hops, judge
from obskit.story.senders import Senders
from tests.story.company import (
    Company,
    any_company,
    bare,
    by_hand,
    only_trace,
    renamed,
    well,
)

pytestmark = pytest.mark.usefixtures("floor")

SHOP = {"shop": [("log",), ("call", "warehouse")], "warehouse": [("log",)]}
QUIET = {"shop": [("call", "warehouse")], "warehouse": []}
MAIL = {"shop": [("send", "invoices")], "billing": [("log",)], "crm": []}


def found(lines, *entries) -> Hops:
    """Return what is found in lines."""
    edges = Edges()
    for line in lines:
        edges.add(line)
    senders = Senders(edges)
    for line in lines:
        senders.add(line)
    return judge(edges, senders, frozenset(entries))


def lost(answer: Hops) -> dict[tuple[str, str], tuple[int, int, int]]:
    """Return calls, lost IDs and lost clocks of the edges that lose something."""
    return {
        (edge.caller, edge.callee): (edge.calls, edge.lost_id, edge.lost_clock)
        for edge in answer.edges
        if edge.lost
    }


def asked(plans, roads=None, times=4, **more) -> Company:
    """Return a company whose shop was asked some times."""
    company = Company(plans, roads, **more)
    for _ in range(times):
        company.ask("shop")
    return company


@pytest.mark.parametrize("plans", [SHOP, QUIET])
def test_healthy_hops_lose_nothing(plans):
    """The edge is there, with its calls, and what comes from browsers is no edge."""
    answer = found(asked(plans).lines)

    assert lost(answer) == {}
    (edge,) = answer.edges
    assert (edge.caller, edge.callee, edge.kind, edge.calls) == ("shop", "warehouse", "http", 4)
    (outside,) = answer.outside
    assert (outside.service, outside.count, outside.callers) == ("shop", 4, ())


@pytest.mark.parametrize("plans", [SHOP, QUIET])
@pytest.mark.parametrize(
    ("road", "ids", "clocks"),
    [(bare, 4, 0), (renamed, 4, 0), (by_hand, 0, 4)],
)
def test_a_request_that_loses_something_is_named(plans, road, ids, clocks):
    """The answer's headers tell the caller that its ID was not taken over."""
    answer = found(asked(plans, {("shop", "warehouse"): road}).lines)

    assert lost(answer) == {("shop", "warehouse"): (4, ids, clocks)}
    assert [one.service for one in answer.outside] == ["shop"]


def test_a_service_that_begins_anew_is_named():
    """Trusting nobody is right at the edge, and wrong behind it."""
    company = asked(SHOP, trust={"warehouse": "edge"})

    assert lost(found(company.lines)) == {("shop", "warehouse"): (4, 4, 0)}
    company = asked(SHOP, trust={"shop": "edge"})
    assert lost(found(company.lines)) == {}


def test_some_calls_may_be_lost():
    """One of several instances stands behind another proxy."""
    company = asked(SHOP, times=3)
    company.roads = {("shop", "warehouse"): bare}
    company.ask("shop")

    assert lost(found(company.lines)) == {("shop", "warehouse"): (4, 1, 0)}


def test_examples_are_operations_that_can_be_looked_at():
    """They are those of lost calls."""
    company = asked(SHOP, {("shop", "warehouse"): bare}, times=9)
    (edge,) = found(company.lines).edges
    callees = {one["correlation_id"] for one in company.lines if one["service"] == "warehouse"}

    assert len(edge.examples) == 3
    assert set(edge.examples) <= callees


def test_the_id_of_a_cached_answer_is_no_loss():
    """A cache answers under the ID of whoever asked first."""
    company = asked(SHOP, times=2)
    first = company.lines[0]["correlation_id"]
    (last,) = [one for one in company.lines if "outcome" in one and one["service"] == "shop"][1:]
    last["answered_as"] = [first]

    assert lost(found(company.lines)) == {}


def test_a_gateway_may_give_ids_to_all():
    """Two services that it calls are of one operation, and neither calls the other."""
    plans = {"shop": [("call", "warehouse")], "warehouse": [], "cart": []}
    company = Company(plans)
    company.ask("shop", {"x-correlation-id": "page-1"})
    company.ask("cart", {"x-correlation-id": "page-1"})
    answer = found(company.lines)

    assert lost(answer) == {}
    assert {one.service: one.unclear for one in answer.outside} == {"shop": 1, "cart": 1}


@pytest.mark.parametrize("road", [bare, by_hand])
def test_a_message_that_loses_something_is_named(road):
    """It is known who sends to the queue; the other consumer is well."""
    company = asked(MAIL, {("shop", "billing"): road}, queues={"invoices": ["billing", "crm"]})
    numbers = (4, 4, 0) if road is bare else (4, 0, 4)

    assert lost(found(company.lines)) == {("shop", "billing"): numbers}


def test_messages_of_others_are_from_outside():
    """All that was sent here has arrived with its ID."""
    company = asked(MAIL, queues={"invoices": ["billing"]})
    company.post("invoices")
    answer = found(company.lines)

    assert lost(answer) == {}
    assert [(one.service, one.count) for one in answer.outside] == [("billing", 1), ("shop", 4)]


def test_one_of_several_senders_may_have_lost_it():
    """Who it was cannot be told: both are named."""
    plans = MAIL | {"kiosk": [("send", "invoices")]}
    roads = {("shop", "billing"): bare, ("kiosk", "billing"): bare}
    company = asked(plans, roads, times=1, queues={"invoices": ["billing"]})
    company.ask("kiosk")

    assert lost(found(company.lines)) == {("kiosk or shop", "billing"): (2, 2, 0)}


def test_what_only_a_person_knows_can_be_told():
    """A client without obskit leaves nothing on the caller's line: the entries tell it."""
    company = asked(SHOP, times=2)
    company.ask("warehouse")
    answer = found(company.lines)

    assert lost(answer) == {}
    assert [(one.service, one.callers) for one in answer.outside][1] == ("warehouse", ("shop",))
    assert lost(found(company.lines, "shop")) == {("?", "warehouse"): (1, 1, 0)}
    assert lost(found(company.lines, "shop", "warehouse")) == {}


def test_a_trace_alone_keeps_the_id_but_not_the_clock():
    """Where an operation began by its trace, its ID is the trace's."""
    company = asked(SHOP, {("shop", "warehouse"): only_trace})

    assert lost(found(company.lines)) == {}
    assert lost(found(company.lines, "shop")) == {("?", "warehouse"): (4, 0, 4)}


def test_no_healthy_edge_is_ever_named():
    """Whatever services do, in whatever order their lines come, some of them twice."""
    for seed in range(150):
        chance = random.Random(seed)
        company = any_company(chance, [well])
        for _ in range(3):
            company.ask("service0")
            company.ask(chance.choice(list(company.plans)))
            for name in company.plans:
                company.ask(name, {"x-correlation-id": f"page-{chance.randint(1, 3)}"})
            for queue in company.queues:
                company.post(queue)
        lines = company.lines + chance.sample(company.lines, len(company.lines) // 3)
        chance.shuffle(lines)
        answer = found(lines)

        assert lost(answer) == {}, seed
        calls = {(edge.caller, edge.callee, edge.kind): 0 for edge in answer.edges}
        for edge in answer.edges:
            calls[edge.caller, edge.callee, edge.kind] += edge.calls
        assert calls == dict(company.calls), seed


def test_each_lost_hop_is_named_and_no_other():
    """Roads that lose the ID or the clock, between services that call each other at random."""
    named = 0
    for seed in range(400):
        chance = random.Random(seed)
        company = any_company(chance, [well, well, bare, by_hand])
        for _ in range(3):
            company.ask("service0")
        chance.shuffle(company.lines)
        answer = found(company.lines)
        truth = dict(company.lost)
        told = {}
        for edge in answer.edges:
            for what, count in (("id", edge.lost_id), ("clock", edge.lost_clock)):
                if count:
                    key = (edge.caller, edge.callee, what)
                    told[key] = told.get(key, 0) + count
        assert same(told, truth), (seed, told, truth)
        named += len(told)
    assert named > 200


def same(told, truth) -> bool:
    """Tell whether all that is named is true, and what can be known is named.

    "a or b" stands for either of them. A clock that is lost behind a hop that has lost it
    already may be missing: it is found when the first one is mended.
    """
    for caller, callee, what in told:
        if not any((name, callee, what) in truth for name in caller.split(" or ")):
            return False
    whole = {key for key in told if " or " not in key[0]}
    vague = {(callee, what) for caller, callee, what in told if " or " in caller}
    missing = [key for key in truth if key not in whole and key[1:] not in vague]
    first = any(what == "clock" for _, _, what in told)
    return not missing or (first and all(what == "clock" for _, _, what in missing))


def test_lines_are_read_from_files(tmp_path: Path):
    """Of each service its own."""
    company = asked(SHOP, {("shop", "warehouse"): bare})
    for name in SHOP:
        rows = [json.dumps(one) for one in company.lines if one["service"] == name]
        (tmp_path / f"{name}.log").write_text("\n".join(rows), encoding="utf-8")

    assert hops([tmp_path]) == found(company.lines)
