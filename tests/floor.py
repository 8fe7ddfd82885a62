"""Fixtures for tests of the floor: context, observation, propagation.

``floor``
    Context, clock, observers, policy and the counts of errors are as new, before and after.

``ended``
    A list of the observations that have ended, in that order; implies ``floor``.

``enforce(**policy)``
    Put a policy in force until the test ends; implies ``floor``.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from obskit import clock, context, health, observation, propagation
from obskit.observation import Observation
from obskit.propagation import Policy


class Recorder:
    """An observer that keeps what has ended."""

    def __init__(self) -> None:
        self.ended: list[Observation] = []

    def start(self, observation: Observation) -> None:
        """Hear that something begins."""

    def end(self, observation: Observation) -> None:
        """Keep what is over."""
        self.ended.append(observation)


def _as_new() -> None:
    context.attach(None)
    clock.attach(None)
    observation.configure(())
    health.reset()
    propagation.configure(Policy())


@pytest.fixture
def floor() -> Iterator[None]:
    """Begin and end without context, observers, policy and counts."""
    policy = propagation.policy()
    _as_new()
    yield
    _as_new()
    propagation.configure(policy)


@pytest.fixture
def ended(floor: None) -> list[Observation]:
    """Give the observations that have ended."""
    recorder = Recorder()
    observation.configure([("recorder", recorder)])
    return recorder.ended


@pytest.fixture
def enforce(floor: None) -> Callable[..., None]:
    """Give what puts a policy in force."""

    def put(**policy: Any) -> None:
        propagation.configure(Policy(**policy))

    return put
