"""The light recorder, without any provider and also without OpenTelemetry."""

import os
import subprocess
import sys

from opentelemetry import trace

from obskit import context, health, observation, propagation, traces
from obskit.observation import Kind, Observation, observe, unit_of_work
from obskit.traces import provider, recorder
from obskit.traces.recorder import Recorder, state


def request(**kwargs):
    return Observation("GET", Kind.SERVER, protocol="http", carrier={}, **kwargs)


def serve(work, error=None):
    observation.start(work)
    observation.end(work, error)
    return work


def test_a_tree_of_work_is_a_tree_of_spans(spans):
    """With ids, kinds, times and peers."""
    entry = request(peer="127.0.0.1")
    observation.start(entry)
    call = serve(Observation("GET", Kind.CLIENT, peer="shop", labels={"server_address": "shop"}))
    with observe("step", order=7):
        pass
    observation.end(entry)

    client, step, server = spans
    assert [span.kind for span in spans] == ["client", "internal", "server"]
    assert {span.trace_id for span in spans} == {entry.context.trace_id}
    assert {client.parent_id, step.parent_id} == {server.span_id}
    assert (server.parent_id, server.span_id) == (None, entry.context.span_id)
    assert (client.peer, server.peer) == ("shop", None)
    assert (client.duration_ns, client.started_at_ns) == (call.duration_ns, call.started_at_ns)
    assert step.attributes["order"] == 7


def test_what_the_handler_says_is_on_its_span(spans):
    """Through OpenTelemetry's current span, which ends with the request and not before."""
    work = request()
    observation.start(work)
    span = trace.get_current_span()
    assert span.is_recording()
    span.set_attributes({"order": 7, "items": ["a", "b"]})
    span.add_event("charged", {"cents": 100})
    span.record_exception(ValueError("no"))
    span.set_status(trace.StatusCode.ERROR, "half done")
    span.update_name("mine")
    span.end()
    assert span.is_recording()
    observation.end(work)

    assert not span.is_recording()
    (ended,) = spans
    assert (ended.name, ended.status, ended.description) == ("mine", "error", "half done")
    assert (ended.attributes["order"], ended.attributes["items"]) == (7, ("a", "b"))
    assert [event.name for event in ended.events] == ["charged", "exception"]
    assert ended.kind == "server"


def test_what_is_said_of_a_step_is_on_the_step(spans):
    """Each span has its own."""
    with unit_of_work("job"):
        with observe("step"):
            trace.get_current_span().set_attribute("where", "step")
        trace.get_current_span().set_attribute("where", "job")

    assert [span.attributes["where"] for span in spans] == ["step", "job"]


def test_nobody_listening_nothing_is_kept(joined):
    """The current span says so, and has its ids all the same."""
    with unit_of_work("job"):
        span = trace.get_current_span()
        assert not span.is_recording()
        span.set_attribute("a", 1)
        assert trace.format_span_id(span.get_span_context().span_id) == context.get().span_id
        assert span.attributes == {}


def test_what_is_not_sampled_is_not_kept(spans):
    """By the ratio, or because the caller has decided so."""
    propagation.configure(propagation.Policy(ratio=0.0))
    with unit_of_work("job"):
        assert not trace.get_current_span().is_recording()
        with observe("step"):
            pass
    not_sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    propagation.configure(propagation.Policy())
    work = request()
    work.carrier = {"traceparent": not_sampled}
    work.peer = "127.0.0.1"
    serve(work)

    assert list(spans) == []


def test_the_callers_decision_wins_over_the_ratio(spans):
    """It is kept here if it is kept there."""
    propagation.configure(propagation.Policy(ratio=0.0))
    work = request(peer="127.0.0.1")
    work.carrier = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    serve(work)

    assert [span.parent_id for span in spans] == ["b7ad6b7169203331"]


def test_a_failed_health_check_is_kept(spans):
    """A successful one is not, nor is what it does."""
    for status in (200, 503):
        work = request()
        work.quiet, work.status = True, status
        observation.start(work)
        with observe("database"):
            pass
        observation.end(work)

    assert [(span.name, span.status) for span in spans] == [("GET", "error")]


def test_an_operation_of_its_own_process_is_its_parents(spans):
    """What began before a fork is recorded once, by the one who began it."""
    work = request()
    observation.start(work)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        observation.end(work)
        with unit_of_work("in the child"):
            pass
        os.write(writing, repr([span.name for span in spans]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    observation.end(work)

    assert os.read(reading, 1000) == b"['in the child']"
    assert [span.name for span in spans] == ["GET"]
    os.close(reading)
    os.close(writing)


def test_switched_off_nothing_is_recorded(spans):
    """After the room is left."""
    traces.undo()
    with traces.collected() as kept:
        serve(request())
    assert list(kept) == []


def test_an_offer_comes_to_nothing_without_opentelemetry(joined, monkeypatch):
    """There is nobody to start a span."""
    monkeypatch.setattr(state, "bridge", None)
    work = request()
    observation.start(work)
    recorder.offer(work, object())
    assert work.context.unit.spans is None
    observation.end(work)


def test_nobody_is_asked_where_there_is_no_provider(joined, monkeypatch):
    """Most services have OpenTelemetry's API and nothing behind it; that costs them nothing."""
    asked = []
    monkeypatch.setattr(provider, "start", asked.append)
    serve(request())
    assert asked == []
    work = request()
    observation.start(work)
    trace.get_current_span()
    call = serve(Observation("GET", Kind.CLIENT, peer="shop"))
    observation.end(work)
    assert asked == [call]


def test_an_observation_that_never_began_is_nothing(spans):
    """It has no ids."""
    Recorder().end(request())
    assert list(spans) == []
    assert health.internal_errors == {}


def test_it_works_without_opentelemetry():
    """Spans need nothing of it, and nothing of it is imported."""
    code = (
        "import obskit, sys; obskit.init(metrics_port='off', log_stream='stderr')\n"
        "from obskit import traces\n"
        "with traces.collected() as spans:\n"
        "    with obskit.unit_of_work('job'):\n"
        "        with obskit.observe('step', order=7): pass\n"
        "print([span.name for span in spans])\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "['step', 'job']"
