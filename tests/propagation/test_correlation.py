"""Which correlation ID an operation has, and whether one from outside is fit."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.propagation import correlation

ALLOWED = string.ascii_letters + string.digits + "._:~+/=@-"
IDS = st.text(ALLOWED, min_size=1, max_size=128)
AMAZON = "1-5759e988-bd862e3fe1be46a994272793"
ROOT = "5759e988bd862e3fe1be46a994272793"


@given(IDS)
def test_an_id_of_allowed_characters_is_valid(text):
    """Anything that people call an ID is one: UUIDs, ULIDs, hashes, numbers with prefixes."""
    assert correlation.is_valid(text)


@given(IDS, st.characters().filter(lambda char: char not in ALLOWED), st.integers(0, 128))
def test_one_other_character_anywhere_makes_it_invalid(text, char, place):
    """The list is one of what is allowed: nothing else in Unicode passes."""
    assert not correlation.is_valid(text[:place] + char + text[place:])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("a" * 129, "too_long"),
        ("-" * 4096 + "0123456789abcdef" * 2, "too_long"),
        ("{" * 500, "too_long"),
        ("x" * 8192, "too_long"),
        ("0123456789abcdef0123456789abcdef\n", "characters"),
        ("0123456789abcdef\n0123456789abcdef", "characters"),
        ("a\r\nSet-Cookie: a=b", "characters"),
        ("a\x00b", "characters"),
        ("a b", "characters"),
        ("a" * 127 + " ", "characters"),
        (" a", "characters"),
        ("{12345678-1234-5678-1234-567812345678}", "characters"),
        ("<script>", "characters"),
        ('a","level":"error', "characters"),
        ("a,b", "characters"),
        ("a;b", "characters"),
        ("a%0Ab", "characters"),
        ("\u0661\u0662\u0663", "characters"),
        ("\uff21\uff22", "characters"),
        ("\u212a", "characters"),
    ],
)
def test_what_is_unfit_is_refused_for_a_reason(text, reason):
    """Newlines, lengths, digits of other scripts, quotes and separators never come in."""
    assert not correlation.is_valid(text)
    assert correlation.why_invalid(text) == reason


@pytest.mark.parametrize("length", [1, 128])
def test_the_limits_of_length_are_inside(length):
    """One and 128 characters are an ID."""
    assert correlation.is_valid("a" * length)


@given(st.text(max_size=300))
def test_a_name_is_made_fit_to_travel(text):
    """Whatever a service is called, its name is a valid ID or empty, and stays as it is then."""
    fit = correlation.fit(text)

    assert fit == "" or correlation.is_valid(fit)
    assert correlation.fit(fit) == fit
    assert len(fit) == min(len(text), 128)


@pytest.mark.parametrize(
    ("headers", "trace_id"),
    [
        ({"x-amzn-trace-id": f"Root={AMAZON}"}, "5759e988bd862e3fe1be46a994272793"),
        (
            {"x-amzn-trace-id": f"Self=1-67891234-def;Root={AMAZON};Sampled=1"},
            "5759e988bd862e3fe1be46a994272793",
        ),
        ({"x-amzn-trace-id": f"Root={AMAZON}; Parent=53995c3f42cd8ad8"}, ROOT),
        ({"x-b3-traceid": "a" * 32}, "a" * 32),
        ({"x-b3-traceid": "a" * 16}, "0" * 16 + "a" * 16),
        ({"x-amzn-trace-id": f"Root={AMAZON}", "x-b3-traceid": "a" * 32}, ROOT),
        ({"x-amzn-trace-id": "Root=broken", "x-b3-traceid": "a" * 32}, "a" * 32),
        ({}, None),
        ({"x-amzn-trace-id": "Root=1-00000000-000000000000000000000000"}, None),
        ({"x-amzn-trace-id": f"NoRoot={AMAZON}"}, None),
        ({"x-amzn-trace-id": f"Root={AMAZON}f"}, None),
        ({"x-amzn-trace-id": f"Root=2{AMAZON[1:]}"}, None),
        ({"x-amzn-trace-id": ";" * 600 + f"Root={AMAZON}"}, None),
        ({"x-b3-traceid": "0" * 32}, None),
        ({"x-b3-traceid": "a" * 31}, None),
        ({"x-b3-traceid": "A" * 32}, None),
        ({"x-b3-traceid": "\u0661" * 32}, None),
    ],
)  # fmt: skip
def test_other_tracers_headers_name_a_trace(headers, trace_id):
    """X-Ray's root comes first, a lone B3 trace ID next; what is malformed counts as absent."""
    assert correlation.foreign_trace_id(headers) == trace_id


@given(st.text(max_size=600), st.text(max_size=64))
def test_hostile_headers_of_other_tracers_never_raise(amazon, lone):
    """The answer is 32 hexadecimal digits or nothing."""
    found = correlation.foreign_trace_id({"x-amzn-trace-id": amazon, "x-b3-traceid": lone})

    assert found is None or (len(found) == 32 and int(found, 16))


TRACE = "c" * 32


@pytest.mark.parametrize(
    ("refused", "headers", "carried", "trace_id", "expected"),
    [
        (None, {"x-request-id": "r"}, "b", TRACE, ("b", "baggage", None)),
        (None, {"x-request-id": "r"}, None, TRACE, ("r", "request_id", None)),
        (None, {}, None, TRACE, (TRACE, "trace", None)),
        (None, {"x-b3-traceid": "d" * 32}, None, TRACE, (TRACE, "trace", None)),
        (None, {"x-b3-traceid": "d" * 32}, None, None, ("d" * 32, "trace", None)),
        (None, {}, None, None, (None, "", None)),
        ("a b", {}, None, None, (None, "invalid", "characters")),
        ("", {}, None, None, (None, "invalid", "empty")),
        (None, {"x-request-id": "a b"}, None, None, (None, "invalid", "characters")),
        (None, {}, "a b", None, (None, "invalid", "characters")),
        ("", {"x-request-id": "a b"}, None, None, (None, "invalid", "empty")),
        ("a b", {"x-request-id": "r"}, "", TRACE, ("r", "request_id", "characters")),
        (None, {"x-request-id": "r"}, "a b", None, ("r", "request_id", "characters")),
        ("a b", {}, None, TRACE, (TRACE, "trace", "characters")),
    ],
)
def test_the_next_best_id_is_taken_in_order(refused, headers, carried, trace_id, expected):
    """Our baggage, the request ID, the trace: and the first refusal is told, whatever follows."""
    assert correlation.next_best(refused, headers, carried, trace_id) == expected
