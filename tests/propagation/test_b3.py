"""Zipkin's own headers, single and multiple."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit import clock, context, propagation
from obskit.context import DEBUG, OURS, SAMPLED, Context
from obskit.propagation import Policy, b3
from obskit.propagation.b3 import B3

TRACE, SPAN = "a" * 32, "b" * 16
NONE = B3("", "", None)
DIGITS = "0123456789abcdef"
TRACE_IDS = st.text(DIGITS, min_size=32, max_size=32).filter(lambda text: int(text, 16))
SPAN_IDS = st.text(DIGITS, min_size=16, max_size=16).filter(lambda text: int(text, 16))
FLAGS = st.sampled_from([0, SAMPLED, SAMPLED | DEBUG])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{TRACE}-{SPAN}-1", B3(TRACE, SPAN, SAMPLED)),
        (f"{TRACE}-{SPAN}-0", B3(TRACE, SPAN, 0)),
        (f"{TRACE}-{SPAN}-d", B3(TRACE, SPAN, SAMPLED | DEBUG)),
        (f"{TRACE}-{SPAN}", B3(TRACE, SPAN, None)),
        (f"{TRACE}-{SPAN}-1-{'c' * 16}", B3(TRACE, SPAN, SAMPLED)),
        (f"{'a' * 16}-{SPAN}-1", B3("0" * 16 + "a" * 16, SPAN, SAMPLED)),
        ("0", B3("", "", 0)),
        ("1", B3("", "", SAMPLED)),
        ("d", B3("", "", SAMPLED | DEBUG)),
    ],
)
def test_the_single_header_is_understood(text, expected):
    """Ids, a decision, both, with or without the parent's span, 64 bits or 128."""
    assert b3.parse({"b3": text}) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2",
        "true",
        TRACE,
        f"{TRACE}-{SPAN}-2",
        f"{TRACE}-{SPAN}-1\n",
        f"{TRACE}-{SPAN}-1-{'c' * 15}",
        f"{TRACE}-{SPAN}-1-{'c' * 16}-e",
        f"{TRACE.upper()}-{SPAN}-1",
        f"{'0' * 32}-{SPAN}-1",
        f"{TRACE}-{'0' * 16}-1",
        f"{'a' * 20}-{SPAN}-1",
        f"{TRACE}-{SPAN[1:]}\u0661-1",
        f"{TRACE}-{SPAN}-1,{TRACE}-{SPAN}-1",
    ],
)
def test_a_malformed_single_header_is_absent(text):
    """Zeros, capitals, wrong lengths, digits of other scripts and two headers say nothing."""
    assert b3.parse({"b3": text}) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"traceid": TRACE, "spanid": SPAN, "sampled": "1"}, B3(TRACE, SPAN, SAMPLED)),
        ({"traceid": TRACE, "spanid": SPAN, "sampled": "true"}, B3(TRACE, SPAN, SAMPLED)),
        ({"traceid": TRACE, "spanid": SPAN, "sampled": "False"}, B3(TRACE, SPAN, 0)),
        ({"traceid": TRACE, "spanid": SPAN, "sampled": "0"}, B3(TRACE, SPAN, 0)),
        ({"traceid": TRACE, "spanid": SPAN}, B3(TRACE, SPAN, None)),
        ({"traceid": TRACE, "spanid": SPAN, "flags": "1"}, B3(TRACE, SPAN, SAMPLED | DEBUG)),
        ({"traceid": TRACE, "spanid": SPAN, "flags": "0"}, B3(TRACE, SPAN, None)),
        ({"traceid": TRACE, "spanid": SPAN, "sampled": "d"}, B3(TRACE, SPAN, None)),
        ({"traceid": "a" * 16, "spanid": SPAN}, B3("0" * 16 + "a" * 16, SPAN, None)),
        ({"sampled": "0"}, B3("", "", 0)),
        ({"flags": "1"}, B3("", "", SAMPLED | DEBUG)),
        ({"traceid": TRACE}, None),
        ({"traceid": TRACE, "sampled": "1"}, B3("", "", SAMPLED)),
        ({"traceid": "0" * 32, "spanid": SPAN}, None),
        ({"traceid": TRACE, "spanid": "x"}, None),
        ({}, None),
    ],
)
def test_the_multiple_headers_are_understood(headers, expected):
    """Ids need each other; a decision stands alone too; debug implies sampled."""
    assert b3.parse({f"x-b3-{name}": value for name, value in headers.items()}) == expected


def test_the_single_header_goes_first():
    """The multiple ones are asked where it says nothing."""
    multiple = {"x-b3-traceid": "c" * 32, "x-b3-spanid": "d" * 16}

    assert b3.parse({"b3": f"{TRACE}-{SPAN}", **multiple}) == B3(TRACE, SPAN, None)
    assert b3.parse({"b3": "broken", **multiple}) == B3("c" * 32, "d" * 16, None)


@given(TRACE_IDS, SPAN_IDS, FLAGS)
def test_what_is_written_is_read(trace_id, span_id, flags):
    """Both forms bring trace, span and decision back."""
    several = {name.lower(): value for name, value in b3.multi(trace_id, span_id, flags)}

    assert b3.parse({"b3": b3.single(trace_id, span_id, flags)}) == B3(trace_id, span_id, flags)
    assert b3.parse(several) == B3(trace_id, span_id, flags)
    assert ("x-b3-sampled" in several) is not bool(flags & DEBUG)


@given(st.dictionaries(
    st.sampled_from(["b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"]),
    st.text(max_size=80),
))  # fmt: skip
def test_hostile_headers_never_raise(headers):
    """The answer is valid ids or none, and a known decision or none."""
    found = b3.parse(headers) or NONE

    assert re.fullmatch(r"(?:[0-9a-f]{32})?", found.trace_id)
    assert re.fullmatch(r"(?:[0-9a-f]{16})?", found.span_id)
    assert found.flags in (None, 0, SAMPLED, SAMPLED | DEBUG)


def test_the_chosen_forms_are_written():
    """One of them, both, or none."""
    assert b3.written({"w3c"}, TRACE, SPAN, SAMPLED) == []
    assert b3.written({"b3"}, TRACE, SPAN, SAMPLED) == [("b3", f"{TRACE}-{SPAN}-1")]
    assert b3.written({"b3", "b3multi"}, TRACE, SPAN, 0) == [
        ("b3", f"{TRACE}-{SPAN}-0"),
        *b3.multi(TRACE, SPAN, 0),
    ]


@pytest.fixture
def policy(floor):
    """Give what sets what is sent and the ratio."""

    def configure(*propagate, ratio=1.0):
        propagation.configure(Policy(propagate=frozenset(propagate), ratio=ratio))

    return configure


def passed_on(headers):
    """Return what a service that gets *headers* sends on, and its unit of work."""
    unit = propagation.extract(headers).unit
    context.attach(Context(unit, unit.root_span_id, unit.parent_span_id, {}))
    clock.attach(clock.begin(unit.root_span_id))
    return {name.lower(): value for name, value in propagation.headers()}, unit


IDS = {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN}


@pytest.mark.parametrize("headers", [{"b3": f"{TRACE}-{SPAN}"}, IDS])
@pytest.mark.parametrize(("ratio", "sampled"), [(1.0, True), (0.0, False)])
def test_a_sender_that_defers_lets_us_decide(policy, headers, ratio, sampled):
    """And what we have decided is sent on."""
    policy("b3", "b3multi", ratio=ratio)
    sent, unit = passed_on(headers)

    assert unit.trace_id == TRACE
    assert unit.sampled is sampled
    assert bool(unit.flags & OURS) is not sampled
    assert sent["b3"].endswith(f"-{sampled:d}")
    assert sent["x-b3-sampled"] == f"{sampled:d}"


@pytest.mark.parametrize(
    "headers",
    [
        {"b3": "0"},
        {"x-b3-sampled": "0"},
        {"x-b3-sampled": "false"},
        {"b3": f"{TRACE}-{SPAN}-0"},
        {**IDS, "x-b3-sampled": "0"},
    ],
)
def test_a_denial_is_kept(policy, headers):
    """Also where it stands alone, as for health checks; no error of ours overrules it."""
    policy("b3", "b3multi", "w3c")
    sent, unit = passed_on(headers)

    assert not unit.sampled
    assert not unit.flags & OURS
    assert sent["b3"].endswith("-0")
    assert sent["x-b3-sampled"] == "0"
    assert sent["traceparent"].endswith(("-00", "-02"))


@pytest.mark.parametrize(
    "headers",
    [
        {"b3": "d"},
        {"x-b3-flags": "1"},
        {"b3": f"{TRACE}-{SPAN}-d"},
        {**IDS, "x-b3-flags": "1"},
        {"b3": f"{TRACE}-{SPAN}-d", "traceparent": f"00-{TRACE}-{SPAN}-01"},
        {**IDS, "x-b3-flags": "1", "traceparent": f"00-{TRACE}-{SPAN}-00"},
        {"b3": "d", "traceparent": f"00-{TRACE}-{SPAN}-00"},
    ],
)
def test_debug_is_kept(policy, headers):
    """Through all services, also beside a traceparent, and whatever the ratio is."""
    policy("b3", "b3multi", "w3c", ratio=0.0)
    for _ in range(3):
        headers, unit = passed_on(headers)

        assert unit.flags & DEBUG
        assert unit.sampled
        assert headers["b3"].endswith("-d")
        assert headers["x-b3-flags"] == "1"
        assert "x-b3-sampled" not in headers


def test_debug_of_another_trace_is_not_ours(policy):
    """The traceparent goes first; nor does anything but debug change what it says."""
    policy("w3c")
    parent = f"00-{TRACE}-{SPAN}-00"

    for single in (f"{'c' * 32}-{SPAN}-d", f"{TRACE}-{SPAN}-1", "1", "broken"):
        assert not passed_on({"b3": single, "traceparent": parent})[1].sampled, single


def test_strangers_cannot_ask_for_debug(policy):
    """At the edge a new trace begins, and our own ratio decides."""
    policy("b3", ratio=0.0)
    unit = propagation.extract({"b3": f"{TRACE}-{SPAN}-d"}, peer="93.184.216.34").unit

    assert unit.trace_id != TRACE
    assert not unit.flags & (DEBUG | 1)
