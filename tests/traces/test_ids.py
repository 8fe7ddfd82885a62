"""The generator that hands out ids that were minted."""

from types import SimpleNamespace

from obskit import context
from obskit.observation import unit_of_work
from obskit.traces import spans
from obskit.traces.ids import Ids

INNER = SimpleNamespace(
    generate_trace_id=lambda: 1,
    generate_span_id=lambda: 2,
    is_trace_id_random=lambda: False,
    more=3,
)


def test_outside_the_inner_one_generates():
    """Also whatever else it has is there."""
    ids = Ids(INNER)
    assert (ids.generate_trace_id(), ids.generate_span_id()) == (1, 2)
    assert (ids.is_trace_id_random(), ids.more) == (False, 3)


def test_an_observation_that_begins_has_its_own(joined):
    """Once its span is known, others are made again."""
    ids = Ids(INNER)
    with unit_of_work("job"):
        here = context.get()
        assert f"{ids.generate_trace_id():032x}" == here.trace_id
        assert f"{ids.generate_span_id():016x}" == here.span_id
        assert ids.is_trace_id_random()
        spans.span_of(here)
        assert ids.generate_span_id() == 2


def test_a_generator_of_an_older_sdk_says_nothing_of_randomness():
    """It is not asked then."""
    assert Ids(SimpleNamespace()).is_trace_id_random() is False
