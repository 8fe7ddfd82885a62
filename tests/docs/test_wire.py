"""The page about what is sent says what the code does."""

import re

import pytest

from obskit import clock, context, propagation
from obskit.context import Context, Unit
from obskit.propagation import Policy, correlation, inbound, w3c
from tests.source import ROOT

PAGE = (ROOT / "docs" / "reference" / "wire.md").read_text(encoding="utf-8")
SPAN = "b" * 16


def section(title):
    """Return the text below a heading."""
    return re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", PAGE, re.M | re.S)[1]


def rows(title):
    """Return the cells of a section's table, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def sent(peer, *, dated=False):
    """Return the names of all headers that can go to a host."""
    everything = frozenset({"correlation", "w3c", "b3", "b3multi"})
    propagation.configure(Policy(service="shop", propagate=everything))
    names = set()
    for flags in (context.SAMPLED, context.SAMPLED | context.DEBUG):
        facts = {"tracestate": "a=1", "baggage": "b=2", "synthetic": "probe"}
        unit = Unit.of("c", "inherited", "a" * 32, SPAN, flags=flags, **facts)
        unit.born_ms, unit.debug = 1_790_000_000_000, True
        context.attach(Context(unit, SPAN, None, {}))
        clock.attach(clock.begin(SPAN))
        found = dict(propagation.headers(peer, dated=dated))
        names |= found.keys()
    return names, found.get("baggage", "")


def test_the_headers_that_leave_are_those_of_the_table(floor):
    """To hosts of ours and to all others."""
    inside, outside = set(), set()
    for names, to_ours, to_others, _ in rows("Sent"):
        found = set(re.findall("`([^`]+)`", names))
        inside |= found
        outside |= found if to_others == "yes" else set()
        assert to_ours in ("yes", "if chosen")

    assert sent("warehouse")[0] == inside
    assert sent("example.com")[0] == outside


def test_the_entries_of_the_baggage_are_those_of_the_table(floor):
    """No more, no fewer, in this order."""
    listed = [re.fullmatch("`(.+)`", name)[1] for name, _ in rows("Entries in `baggage`")]
    own = [item.partition("=")[0] for item in sent("warehouse", dated=True)[1].split(",")]

    assert [name for name in own if name.startswith("obskit.")] == sorted(listed, key=own.index)
    assert len(listed) == w3c.MOST_OWN_MEMBERS


def test_the_suffixes_of_hosts_are_named():
    """People look up whether a name of theirs is inside."""
    named = re.search("names that end in (.+?),? and what", section("Sent"))[1]

    assert set(re.findall("`([^`]+)`", named)) == set(inbound.INTERNAL_SUFFIXES)


@pytest.mark.parametrize(
    ("headers", "source"),
    [
        ({"x-correlation-id": "a"}, "inherited"),
        ({"baggage": "obskit.correlation=a"}, "baggage"),
        ({"x-request-id": "a"}, "request_id"),
        ({"traceparent": f"00-{'a' * 32}-{SPAN}-01"}, "trace"),
    ],
)
def test_the_order_of_ids_is_the_codes(floor, headers, source):
    """Each place with the word that `correlation_source` has for it."""
    numbered = re.findall(r"^\d\. (.+) \((.+)\)$", section("Read"), re.M)
    words = [re.findall("`([a-z_]+)`", told)[-1 if "correlation_source" in told else 0]
             for _, told in numbered]  # fmt: skip
    place = words.index(source)
    name = next(iter(headers))

    assert words == ["inherited", "baggage", "request_id", "trace", "generated"]
    assert name in numbered[place][0].lower()
    assert propagation.extract(headers).unit.correlation_source == source


def test_the_characters_of_an_id_are_listed():
    """Exactly those that are valid."""
    listed = re.search("characters of `([^`]+)`", section("Read"))[1].split()
    allowed = {chr(code) for code in range(0x250) if correlation.is_valid(chr(code))}

    spelled = set()
    for item in listed:
        first, _, last = item.partition("-") if len(item) == 3 else (item, "", "")
        spelled |= {chr(code) for code in range(ord(first), ord(last or first) + 1)}
    assert spelled == allowed


def test_the_reasons_of_a_refusal_are_listed():
    """People look for them in their metrics."""
    told = re.search("by reason: (.+)\\.", section("Read"))[1]
    reasons = {correlation.why_invalid(text) for text in ("", "x" * 129, "a b")}

    assert set(re.findall("`([^`]+)`", told)) == reasons


def test_the_modes_of_trust_are_listed():
    """All that the setting takes, with its default."""
    modes = [re.search("`([^`]+)`", mode)[1] for mode, _ in rows("Whom to believe")]

    assert set(modes) == {"internal", "edge", "auto"}
    assert Policy().trust == "auto"
    assert "default" in rows("Whom to believe")[modes.index("auto")][0]


def test_the_limits_are_the_codes():
    """Each number of the table."""
    numbers = {
        what: [int(one) for one in re.findall(r"\d+", most)] for what, most in rows("Limits")
    }

    assert numbers == {
        "correlation ID": [correlation.LONGEST_ID],
        "`tracestate`": [w3c.MOST_TRACESTATE_MEMBERS, w3c.LONGEST_TRACESTATE],
        "`baggage`": [w3c.MOST_BAGGAGE_MEMBERS, w3c.LONGEST_BAGGAGE],
        "entries of obskit in it": [w3c.MOST_OWN_MEMBERS, w3c.LONGEST_OWN],
        "`Obskit-Cause`": [clock.LONGEST_HEADER, clock.MOST_POINTERS],
        "`X-Forwarded-For`, `Forwarded`": [inbound._LONGEST_FORWARDED],
    }


def test_the_shape_of_the_clock_is_read():
    """An example made by the page's grammar is understood."""
    grammar = re.search("`Obskit-Cause: ([^`]+)`", section("The causal clock"))[1]
    assert grammar == "1.<lc>[.<hop>][.<strand>-<n>]...[.<hop>~<lc>]...[.x]"

    example = f"1.a.{SPAN}.{'c' * 16}-3.{'d' * 16}~9.x"
    cause = clock.parse(example)
    assert (cause.lc, cause.after, cause.broken) == (10, (f"{'c' * 16}-3",), True)
    assert cause.seen == (f"{SPAN}-10", f"{'d' * 16}-9")
