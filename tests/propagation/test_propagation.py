"""Take an operation's identity from a carrier, and put it into one."""

import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obskit import clock, context, health, propagation
from obskit.context import DEBUG, RANDOM, SAMPLED, Context, Unit
from obskit.propagation import Policy, b3, w3c

pytestmark = pytest.mark.usefixtures("floor")

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
AMAZON = "Root=1-5759e988-bd862e3fe1be46a994272793"
PUBLIC = "93.184.216.34"


def unit_of(headers, **named):
    """Return the unit of work that *headers* begin or continue."""
    return propagation.extract(headers, **named).unit


def attach(**named):
    """Attach a new unit of work and its clock; return the unit."""
    unit = Unit.of("c-1", "inherited", TRACE, SPAN, **named)
    context.attach(Context(unit, SPAN, None, {}))
    clock.attach(clock.begin(SPAN))
    return unit


PRECEDENCE = [
    ("x-correlation-id", "from-header", "inherited"),
    ("baggage", "obskit.correlation=from-baggage", "baggage"),
    ("x-request-id", "from-request", "request_id"),
    ("traceparent", PARENT, "trace"),
    ("b3", f"{'b' * 32}-{SPAN}-1", "trace"),
    ("x-amzn-trace-id", AMAZON, "trace"),
]
IDS = ["from-header", "from-baggage", "from-request", TRACE, "b" * 32]
IDS.append("5759e988bd862e3fe1be46a994272793")


@pytest.mark.parametrize("first", range(len(PRECEDENCE)))
def test_the_first_valid_id_counts(first):
    """Own header, own baggage, request ID, traceparent, B3, X-Ray: the source is told."""
    headers = {name: value for name, value, _ in PRECEDENCE[first:]}
    unit = unit_of(headers)

    assert unit.correlation_id == IDS[first]
    assert unit.correlation_source == PRECEDENCE[first][2]


@pytest.mark.parametrize("first", range(1, 3))
def test_an_unfit_id_gives_way_to_the_next(first):
    """It is told why it was refused."""
    headers = {"x-correlation-id": "a b", **{name: value for name, value, _ in PRECEDENCE[first:]}}
    entry = propagation.extract(headers)

    assert (entry.unit.correlation_id, entry.invalid) == (IDS[first], "characters")
    assert entry.unit.correlation_source == PRECEDENCE[first][2]


def test_without_any_id_one_is_generated():
    """It is the trace ID at birth: 32 lower-case hexadecimal digits."""
    unit = unit_of({})

    assert re.fullmatch("[0-9a-f]{32}", unit.correlation_id)
    assert unit.correlation_id == unit.trace_id
    assert unit.correlation_source == "generated"
    assert unit_of({}).correlation_id != unit.correlation_id


def test_an_unfit_id_alone_gives_a_new_one():
    """The source says that there was one."""
    entry = propagation.extract({"x-correlation-id": "a\nb"})

    assert re.fullmatch("[0-9a-f]{32}", entry.unit.correlation_id)
    assert (entry.unit.correlation_source, entry.invalid) == ("invalid", "characters")


@pytest.mark.parametrize("source", ["generated", "message", "schedule"])
def test_the_source_of_a_new_id_is_said_by_who_begins(source):
    """With nothing at all, and with headers that name no operation."""
    assert unit_of({}, source=source).correlation_source == source
    assert unit_of({"tracestate": "a=1"}, source=source).correlation_source == source


def test_a_trace_is_continued():
    """Trace, parent, flags and state are the sender's; the span is ours."""
    unit = unit_of({"traceparent": PARENT, "tracestate": "a=1, b=2", "x-correlation-id": "c"})

    assert (unit.trace_id, unit.parent_span_id, unit.flags) == (TRACE, SPAN, SAMPLED)
    assert unit.tracestate == "a=1,b=2"
    assert re.fullmatch("[0-9a-f]{16}", unit.root_span_id)
    assert unit.root_span_id != SPAN
    assert unit.correlation_id == "c"


@pytest.mark.parametrize("flags", ["00", "01", "02", "03"])
def test_the_senders_flags_are_kept(flags):
    """Neither the decision on sampling nor the promise of randomness is ours to change."""
    propagation.configure(Policy(ratio=1.0))

    assert unit_of({"traceparent": PARENT[:-2] + flags}).flags == int(flags)


def test_a_state_without_its_trace_is_dropped():
    """As it is where the traceparent is malformed."""
    assert unit_of({"tracestate": "a=1"}).tracestate == ""
    assert unit_of({"tracestate": "a=1", "traceparent": PARENT + "x"}).tracestate == ""
    assert unit_of({"tracestate": "a=1", "b3": f"{TRACE}-{SPAN}-1"}).tracestate == ""


def test_an_endless_state_costs_no_more_than_its_beginning():
    """A megabyte of it is no valid list."""
    state = ",".join(f"k{number}=v" for number in range(100_000))

    assert unit_of({"traceparent": PARENT, "tracestate": state}).tracestate == ""


def test_a_trace_of_b3_is_continued():
    """Debug travels on; a decision without ids decides for the new trace; a missing one is ours."""
    unit = unit_of({"b3": f"{TRACE}-{SPAN}-d"})
    assert (unit.trace_id, unit.parent_span_id, unit.flags) == (TRACE, SPAN, SAMPLED | DEBUG)

    unit = unit_of({"b3": "0"})
    assert (unit.parent_span_id, unit.sampled, unit.flags & RANDOM) == (None, False, RANDOM)

    propagation.configure(Policy(ratio=0.0))
    assert not unit_of({"b3": f"{TRACE}-{SPAN}"}).sampled


def test_traceparent_goes_before_b3():
    """A malformed one counts as absent."""
    headers = {"b3": f"{'b' * 32}-{SPAN}-1"}

    assert unit_of({"traceparent": PARENT, **headers}).trace_id == TRACE
    assert unit_of({"traceparent": "ff" + PARENT[2:], **headers}).trace_id == "b" * 32


def test_a_trace_that_names_no_span_is_continued():
    """A load balancer's trace ID is the trace's, for it has no parent span to tell."""
    unit = unit_of({"x-amzn-trace-id": AMAZON})

    assert unit.trace_id == unit.correlation_id == IDS[-1]
    assert unit.parent_span_id is None
    assert not unit.flags & RANDOM


def test_our_own_baggage_is_understood():
    """Hop, caller, causation and the name of a probe; foreign baggage travels on."""
    own = f"obskit.hop=3,obskit.caller=shop,obskit.causation={SPAN},obskit.synthetic=probe"
    unit = unit_of({"baggage": f"a=1,{own},b=2"})

    assert (unit.hop, unit.caller, unit.causation_id, unit.synthetic) == (4, "shop", SPAN, "probe")
    assert unit.baggage == "a=1,b=2"


def test_the_clock_is_continued():
    """The header says it, else our baggage; what carries an ID and no clock is broken."""
    header = {"x-correlation-id": "c", "obskit-cause": f"1.a.{SPAN}-3"}
    carried = {"x-correlation-id": "c", "baggage": f"obskit.cause=1.a.{SPAN}-3"}

    for headers in (header, carried):
        clock.attach(propagation.extract(headers).position)
        piece = clock.tick()
        assert piece.startswith('"lc":11,'), headers
        assert "lc_broken" not in piece
        assert f'"lc_after":["{SPAN}-3"]' in piece
    clock.attach(propagation.extract({"x-correlation-id": "c"}).position)
    assert '"lc_broken":true' in clock.tick()
    clock.attach(propagation.extract({}).position)
    assert "lc_broken" not in clock.tick()


@pytest.mark.parametrize("cause", ["2.a." + SPAN + "-3", "", "x" * 5000, "1.a\n", "1.zzzzzzzzzzz"])
def test_an_unknown_version_of_the_clock_is_absent(cause):
    """It is never an error, and the other place is asked then."""
    entry = propagation.extract({"x-correlation-id": "c", "obskit-cause": cause})
    clock.attach(entry.position)
    assert clock.tick().startswith('"lc":1,')

    carried = {"obskit-cause": cause, "baggage": f"obskit.cause=1.a.{SPAN}-3"}
    clock.attach(propagation.extract(carried).position)
    assert clock.tick().startswith('"lc":11,')
    assert not health.internal_errors


EVERYTHING = {
    "x-correlation-id": "c-1",
    "x-request-id": "r-1",
    "traceparent": PARENT,
    "tracestate": "a=1",
    "baggage": "a=1,obskit.caller=shop,obskit.hop=3,obskit.synthetic=probe",
    "obskit-cause": f"1.a.{SPAN}-3",
}


def is_restarted(unit):
    """Tell whether nothing of EVERYTHING is believed."""
    return (
        unit.correlation_source == "restarted"
        and unit.client_correlation_id == "c-1"
        and unit.links == ((TRACE, SPAN),)
        and unit.trace_id == unit.correlation_id != TRACE
        and (unit.parent_span_id, unit.caller, unit.hop, unit.synthetic) == (None, None, 1, None)
        and (unit.baggage, unit.tracestate, unit.trusted) == ("", "", False)
    )


def test_an_edge_begins_anew():
    """The client's ID is kept beside ours, its trace is linked, its baggage and clock dropped."""
    propagation.configure(Policy(trust="edge"))
    entry = propagation.extract(EVERYTHING, peer="127.0.0.1")
    clock.attach(entry.position)

    assert is_restarted(entry.unit)
    assert clock.tick() == f'"lc":1,"lc_at":"{entry.unit.root_span_id}-1"'


def test_an_edge_tells_new_unfit_and_restarted_operations_apart():
    """A client that says nothing has nothing restarted."""
    propagation.configure(Policy(trust="edge"))

    assert unit_of({}).correlation_source == "generated"
    assert unit_of({"x-correlation-id": "a b"}).correlation_source == "invalid"
    assert unit_of({"x-correlation-id": "a b"}).client_correlation_id is None
    assert unit_of({"traceparent": PARENT}).client_correlation_id == TRACE


def test_a_client_cannot_hide_from_sampling():
    """At the edge its decision does not count."""
    propagation.configure(Policy(trust="edge"))
    assert unit_of({"traceparent": PARENT[:-2] + "00"}).sampled

    propagation.configure(Policy(trust="edge", ratio=0.0))
    assert not unit_of({"traceparent": PARENT}).sampled
    assert not unit_of({"b3": f"{TRACE}-{SPAN}-d"}).sampled


def test_an_internal_service_believes_everybody():
    """Whatever the address and the proxies are."""
    propagation.configure(Policy(trust="internal"))
    unit = unit_of({**EVERYTHING, "x-forwarded-for": PUBLIC}, peer=PUBLIC)

    assert (unit.correlation_id, unit.trace_id, unit.hop, unit.trusted) == ("c-1", TRACE, 4, True)


@pytest.mark.parametrize(
    ("peer", "more", "believed"),
    [
        ("10.0.0.1", {}, True),
        (None, {}, True),
        ("10.0.0.1", {"x-forwarded-for": "10.0.0.2"}, True),
        (PUBLIC, {}, False),
        ("10.0.0.1", {"x-forwarded-for": PUBLIC}, False),
        ("10.0.0.1", {"forwarded": f"for={PUBLIC}"}, False),
        (PUBLIC, {"x-forwarded-for": "10.0.0.1"}, False),
    ],
)
def test_auto_believes_who_is_inside(peer, more, believed):
    """The peer and all that it forwards for, by default."""
    assert propagation.policy().trust == "auto"
    assert is_restarted(unit_of({**EVERYTHING, **more}, peer=peer)) is not believed


def test_who_was_near_is_not_believed_on_behalf_of_strangers():
    """A proxy of ours is known by now; for whom it forwards is looked at each time."""
    propagation.configure(Policy())
    for _ in range(2):
        assert unit_of({"traceparent": PARENT}, peer="10.0.0.1").trusted
        assert not unit_of({"traceparent": PARENT}, peer=PUBLIC).trusted
        for name in ("x-forwarded-for", "forwarded"):
            text = PUBLIC if name[0] == "x" else f"for={PUBLIC}"
            assert not unit_of({"traceparent": PARENT, name: text}, peer="10.0.0.1").trusted


def test_a_trace_alone_is_continued_as_among_other_headers():
    """Whether it is read the short way or not."""
    propagation.configure(Policy())
    short, long = (
        [propagation.extract({"traceparent": PARENT, **more}, peer="10.0.0.1") for _ in range(2)][1]
        for more in ({}, {"x-forwarded-for": ""})
    )

    assert {**vars(short.unit), "root_span_id": ""} == {**vars(long.unit), "root_span_id": ""}
    assert short.invalid is long.invalid is None
    for entry in (short, long):
        clock.attach(entry.position)
        assert '"lc_broken":true' in clock.tick()


def test_a_public_client_without_headers_begins_an_operation():
    """It is no restart, and it is not trusted."""
    unit = unit_of({}, peer=PUBLIC)

    assert (unit.correlation_source, unit.trusted) == ("generated", False)
    assert unit_of({}, peer="10.0.0.1").trusted


def test_a_broker_of_ours_is_believed_anyhow():
    """Messages have no address; who may write to it is the broker's affair."""
    propagation.configure(Policy(trust="edge"))

    assert unit_of(EVERYTHING, believed=True).correlation_id == "c-1"


@pytest.mark.parametrize(("ratio", "share"), [(0.0, 0.0), (0.25, 0.25), (1.0, 1.0)])
def test_new_traces_are_sampled_at_the_ratio(ratio, share):
    """The trace ID itself decides, so all services of one ratio decide the same."""
    propagation.configure(Policy(ratio=ratio))
    ids = [context.new_trace_id() for _ in range(4000)]
    sampled = [trace_id for trace_id in ids if propagation.sample(trace_id) & SAMPLED]

    assert len(sampled) / len(ids) == pytest.approx(share, abs=0.05)
    assert all(propagation.sample(trace_id) & SAMPLED for trace_id in sampled)
    assert all(propagation.sample(trace_id) & RANDOM for trace_id in ids)


def test_a_higher_ratio_keeps_what_a_lower_one_keeps():
    """The largest of the last 14 digits are kept first, as OpenTelemetry does it."""
    propagation.configure(Policy(ratio=0.5))

    assert propagation.sample("0" * 18 + "8" + "0" * 13) & SAMPLED
    assert not propagation.sample("0" * 18 + "7" + "f" * 13) & SAMPLED


def test_who_is_sent_by_nobody_enters_with_a_unit_of_its_own():
    """A cron job has ids and a clock."""
    here, position = propagation.enter(source="schedule")
    clock.attach(position)

    assert here.correlation_source == "schedule"
    assert here.correlation_id == here.trace_id
    assert clock.tick() == f'"lc":1,"lc_at":"{here.span_id}-1"'


def test_nothing_is_sent_outside_of_a_unit():
    """Also not where only the process has fields bound."""
    assert propagation.headers() == []
    context.bind(a=1)
    assert propagation.headers() == []


def test_inside_everything_is_sent():
    """Each name once."""
    propagation.configure(Policy(service="shop", propagate=frozenset({"correlation", "w3c", "b3"})))
    attach(tracestate="a=1", baggage="b=2", hop=3, synthetic="probe")
    clock.tick()
    found = propagation.headers("warehouse")

    assert dict(found) == {
        "X-Correlation-ID": "c-1",
        "traceparent": f"00-{TRACE}-{SPAN}-03",
        "tracestate": "a=1",
        "b3": f"{TRACE}-{SPAN}-1",
        "Obskit-Cause": f"1.1.{SPAN}-1",
        "baggage": f"obskit.correlation=c-1,obskit.hop=3,obskit.causation={SPAN},obskit.caller=shop"
        f",obskit.synthetic=probe,obskit.cause=1.1.{SPAN}-1,b=2",
    }
    assert len(found) == len(dict(found))


@pytest.mark.parametrize("peer", [PUBLIC, "api.example.com", "api.example.com:8443", ""])
def test_a_foreign_host_gets_the_id_and_the_traceparent_only(peer):
    """Neither clock, baggage, tracestate nor B3 leave the house."""
    propagation.configure(Policy(propagate=frozenset({"correlation", "w3c", "b3", "b3multi"})))
    attach(tracestate="a=1", baggage="b=2", synthetic="probe")

    assert [name for name, _ in propagation.headers(peer)] == ["X-Correlation-ID", "traceparent"]


@pytest.mark.parametrize("peer", [None, "warehouse:80", "10.0.0.1", "x.svc", "localhost"])
def test_internal_hosts_and_brokers_get_everything(peer):
    """A broker has no host to be judged by."""
    attach()

    assert "baggage" in dict(propagation.headers(peer))


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ({"correlation"}, {"X-Correlation-ID", "Obskit-Cause", "baggage"}),
        ({"w3c"}, {"traceparent", "tracestate", "Obskit-Cause", "baggage"}),
        ({"b3"}, {"b3"}),
        ({"b3multi"}, {"X-B3-TraceId", "X-B3-SpanId", "X-B3-Sampled"}),
        (set(), set()),
    ],
)
def test_only_the_chosen_formats_are_sent(chosen, names):
    """Who wants B3 alone gets B3 alone."""
    propagation.configure(Policy(propagate=frozenset(chosen)))
    attach(tracestate="a=1")

    assert {name for name, _ in propagation.headers()} == names


def test_the_span_of_the_step_is_the_parent():
    """What is called from within a step is its child."""
    attach()
    step = context.child(context.get())
    context.attach(step)

    assert dict(propagation.headers())["traceparent"] == f"00-{TRACE}-{step.span_id}-03"


def test_debug_of_b3_does_not_leak_into_the_traceparent():
    """The flags of the W3C have no bit for it."""
    propagation.configure(Policy(propagate=frozenset({"w3c", "b3multi"})))
    attach(flags=SAMPLED | DEBUG)
    found = dict(propagation.headers())

    assert found["traceparent"].endswith("-01")
    assert found["X-B3-Flags"] == "1"


LONG = st.text("Az09._:~+/=@-", min_size=1, max_size=128)
UNITS = st.fixed_dictionaries({
    "correlation": LONG,
    "service": st.one_of(LONG, st.text(max_size=200)),
    "synthetic": st.one_of(st.none(), LONG),
    "hop": st.integers(1, 10**6),
    "baggage": st.sampled_from(["", "a=1", "a=1;p=2,b=%20"]),
    "lines": st.integers(0, 3),
    "heard": st.integers(0, 12),
})  # fmt: skip


@given(UNITS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_sent_is_valid_bounded_and_understood(wanted):
    """Any unit's headers are printable ASCII, ours below 512 bytes, and the next hop reads them."""
    propagation.configure(Policy(service=wanted["service"]))
    unit = Unit.of(wanted["correlation"], "inherited", TRACE, SPAN, hop=wanted["hop"],
                synthetic=wanted["synthetic"], baggage=wanted["baggage"])  # fmt: skip
    context.attach(Context(unit, SPAN, None, {}))
    clock.attach(clock.begin(SPAN))
    for number in range(wanted["heard"]):
        clock.join(clock.Cause(5, (f"{number:016x}-3",), (f"{number + 99:016x}-5",)))
    for _ in range(wanted["lines"]):
        clock.tick()
    sent = propagation.headers()
    assert all(re.fullmatch("[!-~]+", value) for _, value in sent)
    carried = {name.lower(): value for name, value in sent}
    own = carried["baggage"].removesuffix(f",{unit.baggage}")
    assert len(own) < 512
    assert carried["baggage"].count("obskit.") <= w3c.MOST_OWN_MEMBERS

    for left_out in ("", "x-correlation-id", "obskit-cause"):
        got = {name: value for name, value in carried.items() if name != left_out}
        entry = propagation.extract(propagation.readable(got))
        there = entry.unit
        assert entry.invalid is None
        assert there.correlation_id == wanted["correlation"]
        assert (there.trace_id, there.parent_span_id) == (TRACE, SPAN)
        assert (there.causation_id, there.synthetic) == (SPAN, wanted["synthetic"])
        assert there.caller == (propagation.correlation.fit(wanted["service"]) or None)
        assert there.baggage == wanted["baggage"]
        if wanted["hop"] < 10**6:
            assert there.hop == wanted["hop"] + 1


NAMES = sorted(propagation.names)
TEXTS = st.one_of(
    st.text(max_size=60),
    st.binary(max_size=60).map(lambda data: data.decode("latin-1")),
    st.sampled_from([*EVERYTHING.values(), AMAZON, f"{TRACE}-{SPAN}-1", PUBLIC, "", "\n"]),
    st.sampled_from(["x" * 8192, "a=1," * 3000, "," * 5000, "%" * 600, "\u0661" * 32]),
)


@given(st.dictionaries(st.sampled_from(NAMES), TEXTS), st.one_of(st.none(), st.text(max_size=40)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hostile_headers_never_raise_and_never_leave(headers, peer):
    """Whatever came in, what goes out is valid by the standards' grammars."""
    for trust in ("auto", "internal", "edge"):
        propagation.configure(Policy(trust=trust, service="shop"))
        entry = propagation.extract(headers, peer)
        unit = entry.unit
        context.attach(Context(unit, unit.root_span_id, unit.parent_span_id, {}))
        clock.attach(entry.position)
        clock.tick()
        sent = dict(propagation.headers())

        assert propagation.correlation.is_valid(sent["X-Correlation-ID"])
        assert w3c.parse_traceparent(sent["traceparent"])
        assert clock.parse(sent["Obskit-Cause"]) is not None
        assert len(sent["baggage"]) <= w3c.LONGEST_BAGGAGE
        assert sent["baggage"].count(",") < w3c.MOST_BAGGAGE_MEMBERS
        assert all(re.fullmatch("[ -~\t]+", value) for value in sent.values())
        assert unit.correlation_source in {
            "inherited", "baggage", "request_id", "trace", "generated", "invalid", "restarted",
        }  # fmt: skip
        assert entry.invalid in (None, "empty", "too_long", "characters")


def test_an_answer_of_a_foreign_host_is_not_believed():
    """Its clock is not joined, an internal one's is."""
    for peer, lc in (("example.com", 1), ("warehouse", 11), (None, 11)):
        attach()
        propagation.hear({"obskit-cause": f"1.a.{'b' * 16}-3"}, peer)
        assert clock.tick().startswith(f'"lc":{lc},'), peer


def test_an_answer_under_another_id_is_noted():
    """That of one of ours: it has not got the ID that was sent."""
    unit = attach()
    own = unit.correlation_id
    for answer, peer in (
        ({"x-correlation-id": own}, "warehouse"),
        ({}, "warehouse"),
        ({"x-correlation-id": "theirs"}, "example.com"),
        ({"x-correlation-id": "cached", "age": "7"}, "warehouse"),
        ({"x-correlation-id": "not fit"}, "warehouse"),
    ):
        propagation.hear(answer, peer)
        assert unit.answered_as == ()
    for answer in ("other", "other", *map(str, range(50))):
        propagation.hear({"x-correlation-id": answer}, "warehouse")

    assert unit.answered_as == ("other", *map(str, range(propagation.MOST_OTHER_IDS - 1)))
    assert health.internal_errors == {}


def test_nothing_is_noted_where_no_id_was_sent():
    """Outside of a unit of work, and where the header is switched off."""
    propagation.hear({"x-correlation-id": "other"}, "warehouse")
    context.attach(Context(context.PROCESS, "", None, {}))
    propagation.hear({"x-correlation-id": "other"}, "warehouse")
    assert context.PROCESS.answered_as == ()

    propagation.configure(Policy(propagate=frozenset({"w3c"})))
    unit = attach()
    propagation.hear({"x-correlation-id": "other"}, "warehouse")
    assert unit.answered_as == ()


@pytest.mark.parametrize("headers", [None, 7, {"obskit-cause": 7}])
def test_an_answer_of_a_strange_shape_is_contained(headers):
    """It is counted and goes no further."""
    attach()
    propagation.hear(headers)

    assert health.internal_errors == {"propagation.hear": 1}


def test_the_names_of_headers_are_a_setting():
    """They are read and written under the new name, and the old one says nothing."""
    before = propagation.generation
    propagation.configure(Policy(correlation_header="X-Trace-Me", cause_header="X-Cause"))

    assert propagation.generation == before + 1
    assert {"x-trace-me", "x-cause"} <= propagation.names
    unit = unit_of({"x-trace-me": "c-1", "x-cause": f"1.a.{SPAN}-3"})
    assert unit.correlation_id == "c-1"
    assert unit_of({"x-correlation-id": "c-1"}).correlation_source == "generated"
    attach()
    assert {"X-Trace-Me", "X-Cause"} < dict(propagation.headers()).keys()


def test_a_readable_carrier_has_the_known_names_only():
    """What cannot be read at all is counted and counts as empty."""
    assert propagation.readable({"X-Correlation-ID": b"c", "Other": "x"}) == {
        "x-correlation-id": "c"
    }

    class Broken:
        @property
        def headers(self):
            raise LookupError("no headers yet")

    assert propagation.readable(Broken()) == {}
    assert health.internal_errors == {"propagation.readable": 1}


def test_a_clock_that_fails_keeps_no_request_from_its_identity(monkeypatch):
    """The ID travels, the failure is counted."""
    attach()
    monkeypatch.setattr(clock, "header", lambda: 1 / 0)
    sent = dict(propagation.headers())

    assert sent["X-Correlation-ID"] == "c-1"
    assert "Obskit-Cause" not in sent
    assert health.internal_errors == {"propagation.clock": 1}


def test_the_birth_of_an_operation_is_kept_on_all_hops():
    """A later service learns when the first one began, whatever it does itself."""
    unit = attach()
    unit.started_at_ns = 1_790_000_000_000_000_000
    first = dict(propagation.headers("warehouse"))["baggage"]
    entry = propagation.extract({"baggage": first})
    entry.unit.started_at_ns = 1_800_000_000_000_000_000
    context.attach(Context(entry.unit, SPAN, None, {}))
    second = dict(propagation.headers("warehouse"))["baggage"]

    assert entry.unit.born_ms == 1_790_000_000_000
    assert f"obskit.born={clock.base36(1_790_000_000_000)}" in second


def test_a_message_says_when_it_was_sent():
    """It may wait; a request does not, and says nothing."""
    attach()
    before = time.time_ns() // 1_000_000
    dated = dict(propagation.headers(dated=True))["baggage"]

    assert before <= propagation.extract({"baggage": dated}).unit.sent_ms <= time.time() * 1000 + 1
    assert "obskit.sent" not in dict(propagation.headers())["baggage"]


def test_the_longest_identity_fits_its_share_of_the_baggage():
    """With ids and names of full length the clock goes by its header alone."""
    propagation.configure(Policy(service="s" * 300))
    unit = attach(synthetic="p" * 128, hop=10**6)
    unit.correlation_id = "c" * 128
    unit.born_ms = 36**8 - 1
    clock.tick()
    sent = dict(propagation.headers())

    assert len(sent["baggage"]) <= w3c.LONGEST_OWN
    assert "obskit.cause=" not in sent["baggage"]
    assert sent["Obskit-Cause"]
    assert b3.single(TRACE, SPAN, 1)
