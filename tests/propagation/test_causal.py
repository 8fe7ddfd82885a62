"""The causal clock on the wire."""

import pytest

from obskit import clock
from obskit.propagation import causal

pytestmark = pytest.mark.usefixtures("floor")

STRAND = "a" * 16


def test_the_clock_of_the_running_unit_is_carried():
    """What is sent says after which line."""
    clock.attach(clock.begin(STRAND))
    assert causal.value() == f"1.0.{STRAND}"

    clock.tick()
    assert causal.value() == f"1.1.{STRAND}-1"


def test_outside_of_a_unit_there_is_no_clock():
    """Nothing is carried, and what an answer says joins nothing."""
    assert causal.value() is None
    causal.heard(f"1.5.{STRAND}-3")
    assert clock.current() is None


def test_an_answer_is_joined():
    """What the callee did came before the next line."""
    clock.attach(clock.begin(STRAND))
    causal.heard(f"1.a.{'b' * 16}-3")

    assert clock.tick().startswith('"lc":11,')


@pytest.mark.parametrize(
    "text", [None, "", "2.5." + STRAND, "1.5\n", "x" * 10_000, "1.zzzzzzzzzzzz"]
)
def test_an_unknown_answer_is_no_clock(text):
    """Another version, too long, malformed: the next line is as if nothing was said."""
    clock.attach(clock.begin(STRAND))
    causal.heard(text)

    assert clock.tick() == f'"lc":1,"lc_at":"{STRAND}-1"'


def test_a_header_never_has_more_pointers_than_it_may():
    """A unit that has heard many answers still sends a header that is read."""
    clock.attach(clock.begin(STRAND))
    for number in range(30):
        causal.heard(f"1.5.{number:016x}-3")
    value = causal.value()

    assert len(value) <= clock.LONGEST_HEADER
    assert clock.parse(value) is not None
