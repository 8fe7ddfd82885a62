"""Beginning and ending observations, and what is attached in between."""

import asyncio
import contextvars
import threading
import time

import pytest

from obskit import clock, context, health, observation, propagation
from obskit.context import PROCESS
from obskit.observation import Kind, Observation

pytestmark = pytest.mark.usefixtures("floor")

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


def begin(name="x", kind=Kind.INTERNAL, **named):
    """Start an observation and return it."""
    work = Observation(name, kind, **named)
    observation.start(work)
    return work


def request(**headers):
    """Start the observation of a request with *headers*."""
    carrier = {name.replace("_", "-"): value for name, value in headers.items()}
    return begin("GET", Kind.SERVER, carrier=carrier)


def test_an_entry_takes_over_the_identity_that_came():
    """Its context and clock are attached, and they are the sender's."""
    work = request(x_correlation_id="c-1", traceparent=PARENT, obskit_cause=f"1.a.{SPAN}-3")
    here = context.current()

    assert here is work.context
    assert (here.correlation_id, here.trace_id, here.parent_span_id) == ("c-1", TRACE, SPAN)
    assert (here.span_id, here.exit) == (here.unit.root_span_id, False)
    assert clock.tick().startswith('"lc":11,')


@pytest.mark.parametrize("kind", [Kind.SERVER, Kind.CONSUMER])
def test_an_entry_always_overwrites(kind):
    """A server may hand over the context of another request."""
    first = request(x_correlation_id="first")
    begin("x", kind)

    assert context.correlation_id() not in (None, "first")
    assert context.get().unit is not first.context.unit
    assert clock.tick().startswith('"lc":1,')


def test_what_was_bound_before_is_not_the_entrys():
    """Neither by another request nor by the process."""
    context.bind(shard=3)
    request()

    assert context.get().fields == {}


def test_an_entry_leaves_nothing_behind():
    """Where nothing ran before, nothing runs after it."""
    work = request()
    observation.end(work)

    assert context.get() is None
    assert clock.current() is None
    assert not work.context.unit.running


def test_an_entry_within_a_running_unit_gives_it_back():
    """An in-process client calls its application, and goes on."""
    outer = request(x_correlation_id="outer")
    clock.tick()
    position = clock.current()
    inner = request(x_correlation_id="inner")
    observation.end(inner)

    assert context.get() is outer.context
    assert clock.current() is position


def test_an_entry_gives_a_bound_process_back():
    """What was bound at start-up is there again."""
    context.bind(shard=3)
    observation.end(request())

    assert context.get().unit is PROCESS
    assert context.get().fields == {"shard": 3}


def test_a_finished_requests_context_never_comes_back():
    """The next request of a kept-alive connection may begin in the context of the one before."""
    first = request(x_correlation_id="first")
    leaked = contextvars.copy_context()
    observation.end(first)

    def second():
        work = request(x_correlation_id="second")
        assert context.correlation_id() == "second"
        observation.end(work)
        return context.get(), clock.current()

    assert leaked.run(context.correlation_id) == "first"
    assert leaked.run(second) == (None, None)


def test_many_leaks_upon_each_other_are_left_behind():
    """Each request finds the one before, and none comes back."""
    finished = []
    for _ in range(5):
        work = request()
        finished.append(work)
        observation.finish(work)
        observation.leave(work, keep=True)

    last = request()
    observation.end(last)
    assert context.get() is None


def test_after_an_exception_the_id_stays():
    """The server's own line about it has the ID, and the next entry overwrites it."""
    work = request(x_correlation_id="failed")
    observation.finish(work, ValueError())
    observation.leave(work, keep=True)
    assert context.correlation_id() == "failed"
    assert clock.tick()

    following = request(x_correlation_id="next")
    assert context.correlation_id() == "next"
    observation.end(following)
    assert context.get() is None


def test_an_entry_that_was_kept_inside_of_another_still_leads_back():
    """The gateway goes on after what it has called in its process has failed."""
    outer = request(x_correlation_id="outer")
    inner = request(x_correlation_id="inner")
    observation.finish(inner, ValueError())
    observation.leave(inner, keep=True)
    assert context.correlation_id() == "inner"

    observation.end(request(x_correlation_id="third"))
    assert context.get() is outer.context


def test_leaving_an_outer_entry_first_leaves_the_inner_one_attached():
    """Whoever still runs is not disturbed, and does not bring the other one back."""
    outer = request(x_correlation_id="outer")
    inner = request(x_correlation_id="inner")
    observation.end(outer)
    assert context.correlation_id() == "inner"

    observation.end(inner)
    assert context.get() is None


def test_leaving_twice_does_no_harm():
    """The second time it is not attached any more."""
    outer = request(x_correlation_id="outer")
    inner = request(x_correlation_id="inner")
    observation.end(inner)
    observation.end(inner)

    assert context.get() is outer.context


def test_leaving_what_never_began_does_nothing():
    """A hook may fail before its observation starts."""
    outer = request()
    observation.leave(Observation("x"))

    assert context.get() is outer.context


def test_a_step_is_a_span_below():
    """It stands in the same unit, and afterwards its parent is back."""
    work = request()
    step = begin("step")
    assert (step.context.unit, step.context.parent_span_id) == (
        work.context.unit, work.context.span_id,
    )  # fmt: skip
    assert step.entry is False
    inner = begin("inner")
    assert inner.context.parent_span_id == step.context.span_id

    observation.end(inner)
    observation.end(step)
    assert context.get() is work.context


def test_what_is_bound_inside_of_a_step_stays_bound():
    """It is a fact about the operation."""
    work = request()
    step = begin("step")
    context.bind(order=7)
    observation.end(step)

    assert context.get().fields == work.context.unit.fields == {"order": 7}
    assert context.get().span_id == work.context.span_id


def test_steps_that_are_left_out_of_order_end_where_they_began():
    """Two streams that are open across each other never leave a finished span attached."""
    work = request()
    one, two, three = begin("one"), begin("two"), begin("three")
    observation.end(one)
    assert context.get() is three.context
    observation.end(two)
    assert context.get() is three.context

    observation.end(three)
    assert context.get().span_id == work.context.span_id


def test_steps_without_number_left_out_of_order_cost_no_memory():
    """What is remembered of them is bounded."""
    work = request()
    for _ in range(200):
        below, _above = begin("below"), begin("above")
        observation.end(below)

    assert len(work.context.unit.left) <= 32
    observation.end(work)
    assert context.get() is None


def test_a_step_that_outlives_its_request_goes_back_to_nothing_stale():
    """A stream that is closed late does not bring the request back."""
    work = request()
    step = begin("stream")
    observation.end(work)
    observation.end(step)
    observation.end(request())

    assert context.get() is None


def test_an_exit_is_marked():
    """So a call within a call is known for one."""
    request()
    call = begin("GET", Kind.CLIENT)

    assert call.context.exit
    observation.end(call)
    assert not context.get().exit


@pytest.mark.parametrize("kind", [Kind.INTERNAL, Kind.CLIENT, Kind.PRODUCER])
def test_outside_of_a_unit_a_step_is_one_of_its_own(kind):
    """A script that calls or observes something begins an operation, and ends it."""
    work = begin("x", kind)
    here = context.current()

    assert work.entry
    assert (here.correlation_source, here.parent_span_id) == ("generated", None)
    assert here.exit is (kind is Kind.CLIENT or kind is Kind.PRODUCER)
    assert clock.tick().startswith('"lc":1,')
    observation.end(work)
    assert (context.get(), clock.current()) == (None, None)


def test_a_step_of_the_process_has_its_fields():
    """What was bound at start-up is on the lines of what a script does."""
    context.bind(shard=3)
    work = begin("x")
    assert context.get().fields == {"shard": 3}

    observation.end(work)
    assert context.get().unit is PROCESS


def test_a_call_carries_the_identity():
    """The headers name the span of the call itself."""
    request(x_correlation_id="c-1", traceparent=PARENT)
    carrier = {}
    call = begin("GET", Kind.CLIENT, carrier=carrier, peer="db")

    assert carrier["X-Correlation-ID"] == "c-1"
    assert carrier["traceparent"] == f"00-{TRACE}-{call.context.span_id}-01"


def test_a_call_to_a_foreign_host_carries_less():
    """Its peer decides."""
    request()
    carrier = {}
    begin("GET", Kind.CLIENT, carrier=carrier, peer="example.com")

    assert carrier.keys() == {"X-Correlation-ID", "traceparent"}


def test_a_step_injects_nothing():
    """Only calls and messages leave."""
    request()
    carrier = {}
    begin("x", carrier=carrier)

    assert carrier == {}


def test_a_carrier_that_refuses_is_contained():
    """The call goes on without headers."""

    class Frozen(dict):
        def __setitem__(self, name, value):
            raise TypeError("frozen")

    request()
    call = begin("GET", Kind.CLIENT, carrier=Frozen(), peer="db")

    assert context.get() is call.context
    assert health.internal_errors == {"propagation.inject": 1}


class Other:
    """A carrier of another shape."""

    headers = (("X-Correlation-ID", b"c-1"),)


@pytest.mark.parametrize(
    "carrier", [Other(), [("x-correlation-id", "c-1")], {"x-correlation-id": b"c-1"}]
)
def test_an_entry_reads_carriers_of_other_shapes(carrier):
    """Authors of hooks hand over what a library has."""
    begin("x", Kind.CONSUMER, carrier=carrier)

    assert context.correlation_id() == "c-1"
    assert not health.internal_errors


@pytest.mark.parametrize("carrier", [7, "text", object(), [1, 2], {1: 2}])
def test_an_entry_with_a_strange_carrier_is_an_entry(carrier):
    """It begins an operation of its own."""
    begin("x", Kind.CONSUMER, carrier=carrier)

    assert context.current().correlation_source == "generated"


def test_an_entry_whose_extraction_fails_is_an_entry(monkeypatch):
    """The request is served with an ID of its own, and the failure is counted."""
    monkeypatch.setattr(propagation, "take", lambda *_, **__: 1 / 0)
    work = request(x_correlation_id="c-1")

    assert context.current() is work.context
    assert context.correlation_id()
    assert health.internal_errors == {"propagation.extract": 1}
    observation.end(work)
    assert context.get() is None


def test_who_sends_decides_for_servers_only():
    """A message has no address, and the broker is ours."""
    propagation.configure(propagation.Policy(trust="edge"))
    headers = {"x-correlation-id": "c-1", "traceparent": PARENT}
    served = begin("GET", Kind.SERVER, carrier=headers, peer="10.0.0.1")
    assert (context.current().correlation_source, served.links) == ("restarted", ((TRACE, SPAN),))

    begin("x", Kind.CONSUMER, carrier=headers)
    assert (context.correlation_id(), context.current().trace_id) == ("c-1", TRACE)


def test_why_an_id_was_refused_is_told():
    """The observers count it by reason."""
    assert request(x_correlation_id="a\nb").invalid_id == "characters"
    assert request(x_correlation_id="x" * 129).invalid_id == "too_long"
    assert request(x_correlation_id="").invalid_id == "empty"
    assert request(x_correlation_id="fine").invalid_id is None


class Listener:
    """An observer that notes what it hears, and fails if wanted."""

    def __init__(self, name, heard, error=None):
        self.name, self.heard, self.error = name, heard, error

    def start(self, work):
        """Hear of a start."""
        self.heard.append((self.name, "start", context.get() is work.context))
        if self.error:
            raise self.error

    def end(self, work):
        """Hear of an end."""
        self.heard.append((self.name, "end", context.get() is work.context))
        if self.error:
            raise self.error


def test_observers_hear_ends_in_reverse():
    """The context is attached in both moments."""
    heard = []
    observation.configure([("a", Listener("a", heard)), ("b", Listener("b", heard))])
    observation.end(request())

    assert heard == [
        ("a", "start", True), ("b", "start", True), ("b", "end", True), ("a", "end", True),
    ]  # fmt: skip


def test_an_observer_may_be_spared_starts():
    """It hears of ends alone."""
    heard = []
    listener = Listener("a", heard)
    listener.hears_starts = False
    observation.configure([("a", listener)])
    observation.end(request())

    assert heard == [("a", "end", True)]


def test_an_observer_may_hear_of_requests_alone():
    """Neither the start of a message is told to it, nor the end of a step."""
    heard = []
    listener = Listener("a", heard)
    listener.hears_other_starts = listener.hears_steps = False
    observation.configure([("a", listener)])
    observation.end(request())
    message = Observation("process", Kind.CONSUMER)
    observation.start(message)
    step = Observation("call", Kind.CLIENT)
    observation.start(step)
    observation.end(step)
    observation.end(message)

    assert [what for _, what, _ in heard] == ["start", "end", "end"]


def test_an_observer_that_raises_harms_nobody():
    """The others hear, the application does not, and it is counted."""
    heard = []
    bad = Listener("bad", heard, ValueError("x"))
    observation.configure([("bad", bad), ("good", Listener("good", heard))])
    observation.end(request())
    observation.end(request())

    assert [name for name, _, _ in heard] == ["bad", "good", "good", "bad"] * 2
    assert health.internal_errors == {"bad.start": 2, "bad.end": 2}
    assert context.get() is None


def test_only_the_first_end_counts(ended):
    """A response is not judged anew by what its background work does."""
    work = request()
    observation.finish(work)
    first = work.duration_ns
    time.sleep(0.002)
    observation.finish(work, ValueError())
    observation.end(work, ValueError())

    assert (work.outcome, work.error, work.duration_ns) == ("ok", None, first)
    assert ended == [work]


def test_time_is_taken_from_start_to_finish():
    """The clock is the monotonic one, the beginning is also told as a time of day."""
    before = time.time_ns()
    work = request()
    time.sleep(0.01)
    observation.end(work)

    assert before <= work.started_at_ns <= time.time_ns()
    assert 10_000_000 <= work.duration_ns < 10_000_000_000


def test_a_normal_exit_is_no_error(ended):
    """A program that says that it is done has succeeded; a code says that it has not."""
    for code, outcome in ((None, "ok"), (0, "ok"), (1, "server_error"), ("text", "server_error")):
        work = begin("job")
        observation.end(work, SystemExit(code))
        assert work.outcome == outcome, code


def test_a_judge_that_fails_is_contained(monkeypatch, ended):
    """The observers hear of an end all the same."""
    monkeypatch.setattr("obskit.observation.lifecycle.judge", lambda _: 1 / 0)
    fine, failed = request(), request()
    fine.status = 404
    observation.end(failed, ValueError())
    observation.end(fine)

    assert (fine.outcome, failed.outcome) == ("ok", "server_error")
    assert ended == [failed, fine]
    assert health.internal_errors == {"observation.judge": 2}


def test_injecting_replaces_other_spellings():
    """Header names have no case, the keys of a dict have: none is sent twice."""
    request(x_correlation_id="c-1")
    carrier = {"x-correlation-id": "old", "TRACEPARENT": "old", "Accept": "*/*", 7: "x"}
    observation.inject(carrier)

    assert [name for name in carrier if str(name).lower() == "x-correlation-id"] == [
        "X-Correlation-ID"
    ]
    assert carrier["X-Correlation-ID"] == "c-1"
    assert "TRACEPARENT" not in carrier
    assert (carrier["Accept"], carrier[7]) == ("*/*", "x")


def test_injecting_twice_changes_no_length():
    """A dict that is used for every message stays as it is."""
    request()
    carrier = {}
    observation.inject(carrier)
    before = list(carrier)
    observation.inject(carrier)

    assert list(carrier) == before


def test_injecting_outside_of_a_unit_or_into_nothing_is_harmless():
    """What is no carrier is counted."""
    carrier = {}
    observation.inject(carrier)
    assert carrier == {}

    request()
    observation.inject(None)
    assert health.internal_errors == {"propagation.inject": 1}


def test_a_foreign_host_gets_less_by_hand_too():
    """Users name the host that a message goes to."""
    request()
    carrier = {}
    observation.inject(carrier, "api.example.com")

    assert carrier.keys() == {"X-Correlation-ID", "traceparent"}


def test_extracting_attaches_nothing():
    """One looks at what a message says."""
    outer = request()
    here = observation.extract({"X-Correlation-ID": b"c-1", "Traceparent": PARENT})

    assert (here.correlation_id, here.trace_id, here.parent_span_id) == ("c-1", TRACE, SPAN)
    assert context.get() is outer.context


@pytest.mark.parametrize("source", [None, 7, "text", object(), {"traceparent": 7}])
def test_extracting_from_anything_gives_a_context(source):
    """What is not understood counts as absent."""
    assert observation.extract(source).correlation_source == "generated"


def test_what_was_injected_is_extracted():
    """Between two programs that obskit knows nothing of."""
    request(x_correlation_id="c-1", traceparent=PARENT)
    carrier = {}
    observation.inject(carrier)
    there = observation.extract(carrier)

    assert (there.correlation_id, there.trace_id, there.hop) == ("c-1", TRACE, 2)
    assert there.parent_span_id == there.causation_id == context.get().span_id


def test_suppressing_holds_for_the_block():
    """Blocks may stand in each other, and an error ends them too."""
    assert not observation.is_suppressed()
    with observation.suppress():
        with observation.suppress():
            assert observation.is_suppressed()
        assert observation.is_suppressed()
    assert not observation.is_suppressed()
    with pytest.raises(ValueError), observation.suppress():
        raise ValueError
    assert not observation.is_suppressed()


def test_one_suppress_can_be_used_again():
    """It keeps nothing."""
    quiet = observation.suppress()
    for _ in range(2):
        with quiet, quiet:
            assert observation.is_suppressed()
        assert not observation.is_suppressed()


async def test_suppressing_holds_for_its_own_task():
    """What runs at the same time is observed."""
    seen = []

    async def look():
        await asyncio.sleep(0)
        seen.append(observation.is_suppressed())

    other = asyncio.create_task(look())
    with observation.suppress():
        inner = asyncio.create_task(look())
        await other
        await inner

    assert seen == [False, True]


def test_a_suppressed_generator_may_be_closed_elsewhere():
    """No token is held across its steps."""

    def steps():
        with observation.suppress():
            yield 1

    generator = steps()
    thread = threading.Thread(target=next, args=(generator,))
    thread.start()
    thread.join()
    generator.close()

    assert not observation.is_suppressed()


async def test_units_at_once_never_mix():
    """Two hundred tasks of one loop, each with steps and calls."""

    async def serve(number):
        work = request(x_correlation_id=f"c-{number}")
        for _ in range(3):
            await asyncio.sleep(0)
            step = begin("step")
            carrier = {}
            call = begin("GET", Kind.CLIENT, carrier=carrier, peer="db")
            await asyncio.sleep(0)
            assert carrier["X-Correlation-ID"] == context.correlation_id() == f"c-{number}"
            observation.end(call)
            observation.end(step)
        assert context.get() is work.context
        observation.end(work)
        return context.get()

    assert set(await asyncio.gather(*map(serve, range(200)))) == {None}


def test_a_call_whose_callee_failed_in_this_process_goes_back_to_its_caller():
    """The callee's context was kept for a server's line; the gateway goes on with its own."""
    outer = request(x_correlation_id="outer")
    clock.tick()
    call = begin("GET", Kind.CLIENT, carrier={}, peer="here")
    position = clock.current()
    inner = request(x_correlation_id="inner")
    observation.finish(inner, ValueError())
    observation.leave(inner, keep=True)
    context.bind(order=7)
    observation.end(call)

    assert context.get().span_id == outer.context.span_id
    assert clock.current() is position


def test_an_entry_that_ends_under_a_finished_one_leaves_nothing():
    """What was kept of the inner one does not outlive the outer one."""
    outer = request(x_correlation_id="outer")
    inner = request(x_correlation_id="inner")
    observation.finish(inner, ValueError())
    observation.leave(inner, keep=True)
    observation.end(outer)

    assert (context.get(), clock.current()) == (None, None)


def test_an_entry_whose_context_was_cleared_leaves_no_clock():
    """Somebody has detached it already."""
    work = request()
    clock.tick()
    context.attach(None)
    observation.end(work)

    assert (context.get(), clock.current()) == (None, None)


def test_a_step_whose_context_was_cleared_leaves_it_so():
    """It brings nothing back."""
    request()
    step = begin("step")
    context.attach(None)
    observation.end(step)

    assert context.get() is None


def test_extracting_believes_what_it_is_given():
    """Who asks for it has decided that already."""
    propagation.configure(propagation.Policy(trust="edge"))

    assert observation.extract({"x-correlation-id": "c-1"}).correlation_id == "c-1"


def test_only_calls_count_as_calls():
    """Neither steps nor entries, and a call may have nothing to carry its identity in."""
    work = request()
    observation.end(begin("step"))
    observation.end(begin("GET", Kind.CLIENT, peer="db"))
    observation.finish(work)

    assert work.context.unit.call_count == 1
    assert not health.internal_errors


def test_a_carrier_that_knows_no_case_is_written_by_name():
    """Only a plain dict can hold one header in two spellings."""

    class Headers(dict):
        def __delitem__(self, name):
            raise AssertionError(name)

    request()
    carrier = Headers({"x-correlation-id": "old"})
    observation.inject(carrier)

    assert carrier["X-Correlation-ID"]
    assert not health.internal_errors
