"""What is kept."""

import pytest

from obskit import observation
from obskit.observation import Kind, Observation
from obskit.traces import sampling


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
