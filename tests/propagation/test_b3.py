"""Zipkin's own headers, single and multiple."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.context import DEBUG, SAMPLED
from obskit.propagation import b3
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
