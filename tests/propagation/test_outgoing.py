"""What is written for what is sent."""

import time

import pytest

from obskit import clock, context, propagation
from obskit.context import Context, Unit
from obskit.propagation import Policy, outgoing

pytestmark = pytest.mark.usefixtures("floor")

TRACE, SPAN, OTHER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "c" * 16
NOW_NS = 1_795_000_000_123_456_789


def attach(correlation_id="c-1", **named):
    """Attach a new unit of work and its clock; return the unit."""
    unit = Unit.of(correlation_id, "inherited", TRACE, SPAN, **named)
    context.attach(Context(unit, SPAN, None, {}))
    clock.attach(clock.begin(SPAN))
    return unit


def by_headers(monkeypatch):
    """Return what the list of headers says, in lower case, of a message sent then."""
    monkeypatch.setattr(outgoing, "time_ns", lambda: NOW_NS)
    return {name.lower(): value for name, value in propagation.headers(dated=True)}


@pytest.mark.parametrize(
    "chosen", [{"correlation", "w3c"}, {"w3c"}, {"correlation", "b3"}, {"b3multi"}, set()]
)
@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"tracestate": "a=1", "baggage": "b=2", "hop": 3, "synthetic": "probe"},
        {"born_ms": 1_795_000_000_000, "flags": 0},
        {"debug": True, "synthetic": "probe"},
        {"correlation_id": "c" * 128, "synthetic": "s" * 128, "debug": True},
        {"correlation_id": "c" * 128, "synthetic": "s" * 128, "baggage": "b=" + "x" * 8000},
    ],
)
@pytest.mark.parametrize("lines", [0, 1, 40])
def test_a_message_carries_what_the_headers_say(monkeypatch, chosen, facts, lines):
    """The short way comes to the same as the long one, whatever the settings and the unit."""
    propagation.configure(Policy(service="s" * 128, propagate=frozenset(chosen)))
    attach(**facts)
    for _ in range(lines):
        clock.tick()

    assert propagation.message(NOW_NS) == by_headers(monkeypatch)


@pytest.mark.parametrize("hop", [SPAN, OTHER])
@pytest.mark.parametrize(
    "cause",
    ["1.5.{0}-3", f"1.5.{{0}}-3.{'d' * 16}~2", "1.5.{0}-3.x", f"1.40.{{0}}-3.{'d' * 16}-2"],
)
def test_a_clock_that_has_heard_is_carried_in_full(monkeypatch, hop, cause):
    """Where there is more to say than the sender's own place, it is said."""
    attach()
    clock.attach(clock.begin(SPAN, clock.parse(cause.format(OTHER))))
    for lines in range(3):
        found = propagation.message(NOW_NS)

        assert found == by_headers(monkeypatch)
        assert found["obskit-cause"] == clock.header(), lines
        clock.tick()


def test_what_others_know_to_travel_on_does(monkeypatch):
    """As their baggage may have changed since it came in."""
    attach(baggage="a=1")
    monkeypatch.setattr(outgoing, "foreign", lambda unit: "changed=2")

    assert propagation.message()["baggage"].endswith(",changed=2")


def test_a_message_is_dated_now_unless_it_is_told_when():
    """In milliseconds since 1970, in base 36."""
    attach()
    before = time.time_ns() // 1_000_000
    unit = propagation.extract(propagation.message(), believed=True).unit
    assert before <= unit.sent_ms <= time.time_ns() // 1_000_000

    unit = propagation.extract(propagation.message(NOW_NS), believed=True).unit
    assert unit.sent_ms == NOW_NS // 1_000_000


def test_a_wish_for_debug_lines_travels_where_there_is_room():
    """With the longest names and IDs there is none, and the limit is kept."""
    propagation.configure(Policy(service="s"))
    attach(debug=True)
    assert ",obskit.debug=1" in propagation.message()["baggage"]
    attach()
    assert "obskit.debug" not in propagation.message()["baggage"]

    propagation.configure(Policy(service="s" * 128))
    attach("c" * 128, debug=True, synthetic="p" * 128, born_ms=NOW_NS // 10**6)
    sent = propagation.message()["baggage"]
    assert len(sent) <= 511
    assert "obskit.debug" not in sent


def test_a_wish_that_comes_later_travels_from_then_on():
    """What is sent of a unit of work is made anew."""
    attach(correlation_id="c-1")
    assert "obskit.debug" not in propagation.message()["baggage"]
    context.debug_operation()

    assert "obskit.debug=1" in propagation.message()["baggage"]
    assert "obskit.debug=1" in dict(propagation.headers("warehouse"))["baggage"]
    assert "baggage" not in dict(propagation.headers("example.com"))


@pytest.mark.parametrize("how", ["headers", "message"])
def test_the_next_hop_takes_the_wish_on(how):
    """And the one behind it: request or message."""
    attach(correlation_id="c-1", debug=True)
    for _ in range(3):
        sent = propagation.message() if how == "message" else dict(propagation.headers("shop"))
        unit = propagation.extract(
            {name.lower(): value for name, value in sent.items()}, peer="127.0.0.1"
        ).unit
        assert unit.debug
        context.attach(Context(unit, SPAN, None, {}))

    outside = propagation.extract({name.lower(): v for name, v in sent.items()}, peer="8.8.8.8")
    assert not outside.unit.debug


@pytest.mark.parametrize("value", ["0", "", "2", "true", "1 1", "11"])
def test_another_word_is_no_wish(value):
    """Nor is one in an entry of somebody else's."""
    for text in (f"obskit.debug={value}", "a=obskit.debug=1", "xobskit.debug=1"):
        assert not propagation.extract({"baggage": text}, peer="127.0.0.1").unit.debug


def test_outside_of_a_unit_a_message_carries_nothing():
    """Also not where only the process has fields bound."""
    assert propagation.message() == {}
    context.bind(a=1)
    assert propagation.message() == {}


def test_a_broken_clock_costs_the_clock_alone(monkeypatch):
    """The ID and the trace go on, and it is counted."""
    attach()
    monkeypatch.setattr(outgoing, "_short_cause", lambda: None)
    monkeypatch.setattr(outgoing, "_cause", lambda: 1 / 0)

    assert propagation.message().keys() == {"x-correlation-id", "traceparent", "baggage"}


FACTS = ("correlation_id", "correlation_source", "trace_id", "parent_span_id", "flags", "hop",
         "causation_id", "caller", "synthetic", "born_ms", "sent_ms", "baggage", "tracestate",
         "trusted", "harmless")  # fmt: skip


@pytest.mark.parametrize(
    "facts", [{}, {"synthetic": "probe", "hop": 3}, {"flags": 0}, {"baggage": "b=2"}]
)
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"traceparent": "00-" + "0" * 32 + f"-{SPAN}-01"},
        {"x-correlation-id": "another"},
        {"x-correlation-id": "no id"},
        {"obskit-cause": "2.no.clock"},
        {"obskit-cause": f"1.5.{OTHER}-3.x"},
        {"baggage": "obskit.hop=2"},
        {"baggage": ""},
        {"x-request-id": "r-1"},
        {"b3": "1"},
    ],
)
def test_what_we_have_written_is_read_the_short_way(facts, changed):
    """To the same as the long way; and where anything is changed, the long way is taken."""
    propagation.configure(Policy(service="shop"))
    attach(**facts)
    clock.tick()
    carrier = {**propagation.message(NOW_NS), **changed}
    short = propagation.take(carrier, None, "message", True)
    long = propagation._take_all(carrier, "message", True)

    assert told(short) == told(long)


def told(taken):
    """Return all that was taken, and what is written next, without the IDs that are new."""
    unit, position, invalid = taken
    clock.attach(position)
    facts = {name: getattr(unit, name) for name in FACTS}
    if unit.trace_id != TRACE:
        facts["trace_id"] = "new"
    written = f"{clock.header()} {clock.tick()}".replace(unit.root_span_id, "here")
    return facts, invalid, written
