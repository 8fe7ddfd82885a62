"""Describe the exception that a unit of work ended with: once for lines, spans and metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from obskit.observation.record import Observation

describe: Callable[[BaseException], Any] | None = None
"""Returns the ``type`` and the ``fingerprint`` of an exception, and whatever a line says of it;
set by the log, None where there is none."""


def of(observation: Observation) -> Any:
    """Return what is known of the error of *observation*; None where there is no error, or no log.

    Whoever asks first waits until it is found out.
    """
    if observation.failure is None and observation.error is not None and describe is not None:
        observation.failure = describe(observation.error)
    return observation.failure
