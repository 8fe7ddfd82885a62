"""The headers of the W3C: traceparent, tracestate, baggage."""

import re
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.propagation import correlation, w3c
from obskit.propagation.w3c import Traceparent


class Own(NamedTuple):
    """Our own baggage entries, in the order in which they are given back."""

    correlation: str | None = None
    hop: str | None = None
    causation: str | None = None
    caller: str | None = None
    synthetic: str | None = None
    born: str | None = None
    sent: str | None = None
    cause: str | None = None
    debug: str | None = None


TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
DIGITS = "0123456789abcdef"
TRACE_IDS = st.text(DIGITS, min_size=32, max_size=32).filter(lambda text: int(text, 16))
SPAN_IDS = st.text(DIGITS, min_size=16, max_size=16).filter(lambda text: int(text, 16))

# Written anew from the grammar of the standard, for what leaves must fit it.
KEY = r"[a-z0-9][a-z0-9_\-*/@]{0,255}"
STATE = rf"{KEY}=[ -+\--<>-~]{{0,255}}[!-+\--<>-~]"
TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
OCTETS = r"(?:(?![\",;\\])[!-~])*"
MEMBER = rf"{TOKEN}[ \t]*=[ \t]*{OCTETS}(?:[ \t]*;[ \t]*{TOKEN}(?:[ \t]*=[ \t]*{OCTETS})?)*"


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (f"00-{TRACE}-{SPAN}-00", 0),
        (f"00-{TRACE}-{SPAN}-01", 1),
        (f"00-{TRACE}-{SPAN}-02", 2),
        (f"00-{TRACE}-{SPAN}-03", 3),
        (f"00-{TRACE}-{SPAN}-ff", 3),
        (f"00-{TRACE}-{SPAN}-08", 0),
        (f" 00-{TRACE}-{SPAN}-01\t", 1),
        (f"01-{TRACE}-{SPAN}-01", 1),
        (f"cc-{TRACE}-{SPAN}-01", 1),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", 1),
        (f"cc-{TRACE}-{SPAN}-01-", 1),
        (f"fe-{TRACE}-{SPAN}-00-x", 0),
    ],
)
def test_a_traceparent_is_understood(text, flags):
    """Also with flags that nobody knows and of versions to come, as far as they are known."""
    assert w3c.parse_traceparent(text) == Traceparent(TRACE, SPAN, flags)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-x",
        f"00-{TRACE}-{SPAN}-01.",
        f"00-{TRACE}-{SPAN}-01\n",
        f"\n00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0x",
        f"00-{TRACE}-{SPAN}-.1",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"00-{TRACE}-{SPAN}-0A",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}a-{SPAN}-01",
        f"00-{TRACE}-{SPAN[1:]}-01",
        f"00-{TRACE[:-1]}.-{SPAN}-01",
        f"00-{TRACE[:-1]}\u0661-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01-x",
        f"0-{TRACE}-{SPAN}-01",
        f"000-{TRACE}-{SPAN}-01",
        f"0g-{TRACE}-{SPAN}-01",
        f"FE-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01x",
        f"cc-{TRACE}-{SPAN}-01.x",
        f"cc-{TRACE}-{SPAN}-01-\n",
        f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01",
    ],
)
def test_a_malformed_traceparent_is_absent(text):
    """Version ff, zeros, capitals, lengths, more than version 00 may have, two headers."""
    assert w3c.parse_traceparent(text) is None


@given(TRACE_IDS, SPAN_IDS, st.integers(0, 255))
def test_a_written_traceparent_is_read(trace_id, span_id, flags):
    """It is of version 00, and only flags of the standard leave."""
    text = w3c.format_traceparent(trace_id, span_id, flags)

    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]", text)
    assert w3c.parse_traceparent(text) == Traceparent(trace_id, span_id, flags & 3)


@given(st.binary(max_size=120))
def test_arbitrary_bytes_are_no_traceparent(data):
    """Nothing raises."""
    assert w3c.parse_traceparent(data.decode("latin-1")) is None


PARTS = ["00", "ff", "cc", TRACE, SPAN, "0" * 32, "0" * 16, "01", "", "x", "\n", "\xa0"]


@given(st.lists(st.sampled_from(PARTS), max_size=7))
def test_pieces_of_a_traceparent_in_any_order_give_a_valid_span_or_none(parts):
    """What is understood can be written, and says the same then."""
    found = w3c.parse_traceparent("-".join(parts))

    assert found is None or w3c.parse_traceparent(w3c.format_traceparent(*found)) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", "a=1"),
        ("a=1,b=2", "a=1,b=2"),
        ("a=1 , \tb=2\t", "a=1,b=2"),
        ("a=1,,b=2,", "a=1,b=2"),
        ("", ""),
        (" , ,", ""),
        ("a=1,b=2,a=3", "a=1,b=2"),
        ("0a_-*/=1", "0a_-*/=1"),
        ("fw529a3039@dt=FfSFRgI", "fw529a3039@dt=FfSFRgI"),
        ("t61rcwkgmzE@v=1", ""),
        ("a= 1", "a= 1"),
        ("a=1 2", "a=1 2"),
        (f"{'a' * 256}=1", f"{'a' * 256}=1"),
        (f"{'a' * 257}=1", ""),
        (f"a={'1' * 256}", f"a={'1' * 256}"),
        (f"a={'1' * 257}", ""),
        ("A=1", ""),
        ("_a=1", ""),
        ("a", ""),
        ("a=", ""),
        ("=1", ""),
        ("a=1=2", ""),
        ("a =1", ""),
        ("a=1;b", "a=1;b"),
        ("a=\x1f", ""),
        ("a=\x7f", ""),
        ("a=\xe9", ""),
        ("a=1\nb=2", ""),
        ("a=1,b", ""),
    ],
)
def test_a_tracestate_is_read_by_the_grammar(text, expected):
    """One bad member discards the whole list; the first of one key stays; blanks are trimmed."""
    assert w3c.parse_tracestate(text) == expected


def test_a_tracestate_has_at_most_32_members():
    """A longer list is discarded as a whole."""
    full = ",".join(f"k{number}=v" for number in range(32))

    assert w3c.parse_tracestate(full) == full
    assert w3c.parse_tracestate(full + ",one=more") == ""


def test_512_characters_of_tracestate_travel_on():
    """The standard asks for at least so many."""
    full = ",".join(f"k{number:02}={'v' * 12}" for number in range(32))

    assert len(full) >= 512
    assert w3c.parse_tracestate(full) == full


def test_a_tracestate_that_is_too_long_loses_large_members_first():
    """What is short is kept, and the last ones go where that is not enough."""
    large = ",".join(f"l{number}={'v' * 200}" for number in range(20))
    text = f"a=1,{large},z=1"
    just = ",".join(f"j{number:02}={'v' * 124}" for number in range(32))

    assert w3c.parse_tracestate(text) == "a=1,z=1"
    kept = w3c.parse_tracestate(just)
    assert just.startswith(kept)
    assert len(just) - 129 <= len(kept) <= w3c.LONGEST_TRACESTATE


STATES = st.lists(
    st.one_of(st.from_regex(STATE, fullmatch=True), st.text(max_size=12)), max_size=36
).map(",".join)


@given(st.one_of(STATES, st.binary(max_size=300).map(lambda data: data.decode("latin-1"))))
def test_a_tracestate_that_travels_on_is_valid(text):
    """Whatever came, what leaves fits the grammar, and is left as it is by the next service."""
    found = w3c.parse_tracestate(text)
    members = found.split(",") if found else []

    assert all(re.fullmatch(STATE, member) for member in members)
    assert len(members) <= 32
    assert len({member.partition("=")[0] for member in members}) == len(members)
    assert w3c.parse_tracestate(found) == found


OWN = (
    "obskit.correlation=c-1,obskit.hop=3,obskit.causation=" + SPAN +
    ",obskit.caller=shop,obskit.synthetic=probe,obskit.born=mh1,obskit.sent=mh2" +
    ",obskit.cause=1.a." + SPAN + "-3"
)  # fmt: skip
ALL = Own("c-1", "3", SPAN, "shop", "probe", "mh1", "mh2", f"1.a.{SPAN}-3")


@pytest.mark.parametrize(
    ("text", "own", "others"),
    [
        (OWN, ALL, ""),
        (f"a=1,{OWN},b=2;p=1", ALL, "a=1,b=2;p=1"),
        (OWN.replace("=", " = ").replace(",", " , "), ALL, ""),
        (OWN.replace("caller=shop", "caller=shop;property=x"), ALL, ""),
        (OWN.replace("caller=shop", "caller=%73hop"), ALL, ""),
        (f"{OWN},obskit.caller=other", ALL, ""),
        ("obskit.correlation=a%20b", Own("a b"), ""),
        ("obskit.caller=a%20b", Own(), ""),
        ("obskit.caller=", Own(), ""),
        ("obskit.born=-1,obskit.sent=A", Own(), ""),
        ("obskit.born=,obskit.sent=12345678901", Own(), ""),
        (f"obskit.caller={'x' * 129}", Own(), ""),
        ("obskit.hop=-1", Own(), ""),
        ("obskit.hop=1e3", Own(), ""),
        ("obskit.hop=1234567", Own(), ""),
        ("obskit.hop=\u0663", Own(), ""),
        ("obskit.hop=", Own(), ""),
        ("obskit.unknown=1,a=1", Own(), "a=1"),
        ("a=1,obskit.debug=1", Own(debug="1"), "a=1"),
        ("obskit.caller", Own(), ""),
        ("", Own(), ""),
        ("a=1", Own(), "a=1"),
        ("a=1, b = 2 ;p;q=3 ,", Own(), "a=1,b = 2 ;p;q=3"),
        ("a=1,b,=2,c d=1,e=\xe9,f=1\n2,g=3", Own(), "a=1,g=3"),
        ('a="1",b=1\\2,c=%22', Own(), "c=%22"),
        ("a=1,a=2", Own(), "a=1,a=2"),
    ],
)
def test_baggage_is_split_into_ours_and_theirs(text, own, others):
    """Ours is read and never travels on as it came, theirs does, the rest is dropped."""
    assert w3c.read_baggage(text) == (own, others)


def test_foreign_baggage_is_bounded():
    """Whole members go at the end: 56 of them, and as many bytes as leave room for ours."""
    many = ",".join(f"k{number}=v" for number in range(100))
    long = ",".join(f"k{number}={'v' * 300}" for number in range(w3c.MOST_FOREIGN_MEMBERS))

    most = range(w3c.MOST_FOREIGN_MEMBERS)
    assert w3c.read_baggage(many)[1] == ",".join(f"k{number}=v" for number in most)
    kept = w3c.read_baggage(long)[1]
    assert long.startswith(kept + ",")
    assert w3c.LONGEST_FOREIGN - 305 <= len(kept) <= w3c.LONGEST_FOREIGN


def test_64_members_of_8192_bytes_are_carried_with_ours():
    """The standard's limits hold for both together."""
    assert w3c.MOST_FOREIGN_MEMBERS + w3c.MOST_OWN_MEMBERS == 64
    assert w3c.LONGEST_FOREIGN + 1 + w3c.LONGEST_OWN == 8192
    assert w3c.LONGEST_OWN < 512


def test_endless_baggage_costs_no_more_than_its_beginning():
    """A header of a megabyte is read as far as 16 kB, and no half member travels on."""
    endless = ",".join(f"key{number}={'v' * 5000}" for number in range(200))

    others = w3c.read_baggage(endless)[1]
    assert others == ",".join(f"key{number}={'v' * 5000}" for number in range(1))


def test_a_member_that_was_cut_is_not_sent_on():
    """Half a value would be a wrong one."""
    filling = "obskit.x=" + "v" * (2 * w3c.LONGEST_BAGGAGE - 20)

    assert w3c.read_baggage(f"{filling},a=1,b=2345678")[1] == "a=1"


# Built from their characters: from the expression itself it takes too long.
TOKENS = st.text("".join(filter(re.compile(TOKEN).fullmatch, map(chr, range(128)))), min_size=1)
OCTET_TEXTS = st.text("".join(filter(re.compile(OCTETS).fullmatch, map(chr, range(128)))))
SPACES = st.text(" \t", max_size=2)
MEMBERS = st.lists(
    st.one_of(
        st.builds("{}{}={}{}".format, TOKENS, SPACES, SPACES, OCTET_TEXTS),
        st.builds("{}={};{}{}={}".format, TOKENS, OCTET_TEXTS, SPACES, TOKENS, OCTET_TEXTS),
        st.text(max_size=20),
        st.sampled_from(OWN.split(",")),
        st.sampled_from(["obskit.hop=%", "obskit.caller=%zz", "obskit.correlation=%ff"]),
    ),
    max_size=80,
).map(",".join)


@given(st.one_of(MEMBERS, st.binary(max_size=300).map(lambda data: data.decode("latin-1"))))
def test_baggage_that_travels_on_is_valid(text):
    """Whatever came, what leaves fits the grammar and the limits, and has nothing of ours."""
    own, others = w3c.read_baggage(text)
    members = others.split(",") if others else []

    assert all(re.fullmatch(MEMBER, member) for member in members)
    assert not any(member.startswith("obskit.") for member in members)
    assert len(members) <= w3c.MOST_FOREIGN_MEMBERS
    assert len(others) <= w3c.LONGEST_FOREIGN
    assert w3c.read_baggage(others) == (Own(), others)
    named = own[2:5]
    assert all(value is None or correlation.is_valid(value) for value in named)
