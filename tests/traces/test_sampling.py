"""What is kept."""

import pytest

from obskit import observation, propagation
from obskit.context import DEBUG, SAMPLED
from obskit.observation import Kind, Observation
from obskit.propagation import Policy
from obskit.traces import sampling

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def started(quiet=False):
    work = Observation("GET", Kind.SERVER, carrier={})
    work.quiet = quiet
    observation.start(work)
    return work


def test_a_health_check_is_not_sampled(joined):
    """Nor is what it calls: the flag is sent on."""
    work = started(quiet=True)
    carrier = {}
    observation.inject(carrier)
    assert carrier["traceparent"].endswith(("-00", "-02"))
    observation.end(work)


def test_a_step_has_nothing_to_decide(joined):
    """Only an entry does."""
    work = started()
    step = Observation("step")
    step.quiet = True
    observation.start(step)
    sampling.quieten(step)
    assert work.context.unit.sampled
    observation.end(step)
    observation.end(work)


@pytest.mark.parametrize(
    ("quiet", "error", "wanted"),
    [
        (False, None, True),
        (False, LookupError(), True),
        (True, None, False),
        (True, LookupError(), True),
    ],
)
def test_what_is_wanted(joined, quiet, error, wanted):
    """Everything sampled, and health checks that failed."""
    work = started(quiet)
    observation.end(work, error)
    assert sampling.is_wanted(work) is wanted


def test_a_root_of_the_applications_own_is_sampled_by_the_ratio(joined):
    """As an operation of ours."""
    from obskit import propagation

    assert sampling.flags_of_root("1" * 32) & 1
    propagation.configure(propagation.Policy(ratio=0.0))
    assert not sampling.flags_of_root("1" * 32) & 1


@pytest.fixture
def left_out(spans, monkeypatch):
    """Give the spans that are kept although our ratio leaves everything out."""
    propagation.configure(Policy(ratio=0.0))
    monkeypatch.setattr(sampling, "slow_ns", 0)
    return spans


def request(carrier=None, protocol="http"):
    work = Observation("GET /x", Kind.SERVER, protocol, carrier=carrier or {})
    observation.start(work)
    return work


def step(name, error=None, kind=Kind.INTERNAL):
    one = Observation(name, kind)
    observation.start(one)
    observation.end(one, error)


def names(spans):
    return [span.name for span in spans]


def test_what_goes_well_is_left_out(left_out):
    """As the ratio says."""
    work = request()
    step("a")
    observation.end(work)

    assert not left_out


def test_an_error_is_kept_although_it_was_left_out(left_out):
    """With all that ends after it, so the way up is complete; the wire says what it said."""
    work = request()
    outer = Observation("outer")
    observation.start(outer)
    step("before")
    step("failed", LookupError(), Kind.CLIENT)
    step("after")
    observation.end(outer)
    carrier = {}
    observation.inject(carrier)
    observation.end(work)

    assert names(left_out) == ["failed", "after", "outer", "GET /x"]
    assert left_out[0].parent_id == left_out[2].span_id
    assert left_out[2].parent_id == left_out[3].span_id
    assert carrier["traceparent"].endswith(("-00", "-02"))


def test_an_error_of_the_request_itself_is_kept(left_out):
    """It is known at its end only."""
    work = request()
    step("before")
    observation.end(work, LookupError())

    assert names(left_out) == ["GET /x"]


@pytest.mark.parametrize(
    ("protocol", "milliseconds", "kept"),
    [("http", 2000, True), ("http", 1999, False), ("websocket", 2000, False)],
)
def test_what_is_slow_is_kept(left_out, protocol, milliseconds, kept):
    """A connection that stays open is not slow."""
    sampling.configure(2.0)
    work = request(protocol=protocol)
    observation.end(work)
    work.duration_ns = milliseconds * 1_000_000

    assert sampling.is_wanted(work) is kept


def test_no_threshold_keeps_nothing_slow(left_out):
    """As the setting says."""
    sampling.configure(0.0)
    work = request()
    observation.end(work)
    work.duration_ns = 10**15

    assert not sampling.is_wanted(work)


@pytest.mark.parametrize("carrier", [{"traceparent": PARENT}, {"b3": "0"}, {"x-b3-sampled": "0"}])
def test_a_decision_of_the_caller_stands(left_out, carrier):
    """He has left the operation out: an error of ours changes nothing."""
    work = request(carrier)
    observation.end(work, LookupError())

    assert not left_out


def test_debug_is_kept_whatever_else_is_said(left_out):
    """Even a health check, with what is called for it."""
    work = Observation("GET /health", Kind.SERVER, carrier={"b3": "d"})
    work.quiet = True
    observation.start(work)
    step("a")
    observation.end(work)

    assert work.context.unit.flags & (DEBUG | SAMPLED) == DEBUG | SAMPLED
    assert names(left_out) == ["a", "GET /health"]
    assert all(span.debug for span in left_out)


def test_the_ratio_is_a_share_of_the_traces(spans):
    """The same traces everywhere, since the trace ID decides."""
    propagation.configure(Policy(ratio=0.25))
    for _ in range(2000):
        observation.end(request())

    assert 380 < len(spans) < 620
    chosen = {span.trace_id for span in spans}
    assert all(propagation.sample(trace_id) & SAMPLED for trace_id in chosen)
