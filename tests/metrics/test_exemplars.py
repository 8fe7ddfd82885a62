"""What an exemplar says."""

from hypothesis import given
from hypothesis import strategies as st

from obskit.context import Context, Unit
from obskit.metrics import exemplars

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
IDS = st.text("ABCDEFGHIJabcdefghij0123456789._:~+/=@-", min_size=1, max_size=128)


def here(correlation_id=TRACE, *, sampled=True):
    """Return a context."""
    unit = Unit.of(correlation_id, "generated", TRACE, SPAN, flags=1 if sampled else 0)
    return Context(unit, SPAN, None, {})


def test_a_sampled_trace_is_named():
    """Trace and span lead to what is kept of them."""
    assert exemplars.labels(here(), "ok") == {"trace_id": TRACE, "span_id": SPAN}


def test_an_id_of_its_own_is_named_beside_the_trace():
    """A correlation ID that is not the trace's is there where it fits."""
    named = exemplars.labels(here("order-4711"), "ok")

    assert named == {"trace_id": TRACE, "span_id": SPAN, "correlation_id": "order-4711"}


def test_success_without_a_trace_has_no_exemplar():
    """A link to a trace that nobody keeps is dead."""
    assert exemplars.labels(here("order-4711", sampled=False), "ok") is None
    assert exemplars.labels(None, "ok") is None


def test_failure_without_a_trace_names_its_lines():
    """Lines are not sampled: whoever failed is found by the correlation ID."""
    named = exemplars.labels(here("order-4711", sampled=False), "server_error")

    assert named == {"correlation_id": "order-4711"}


@given(IDS, st.booleans(), st.sampled_from(["ok", "timeout"]))
def test_an_exemplar_is_never_too_long(correlation_id, sampled, outcome):
    """OpenMetrics allows 128 characters, names included; prometheus_client raises beyond."""
    named = exemplars.labels(here(correlation_id, sampled=sampled), outcome)

    if named is not None:
        assert sum(len(key) + len(value) for key, value in named.items()) <= exemplars.LONGEST
        assert correlation_id.startswith(named.get("correlation_id", ""))
    else:
        assert outcome == "ok"
        assert not sampled
