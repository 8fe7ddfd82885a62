"""Observe blocks of a program's own code, and begin operations that no request began."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from obskit import propagation
from obskit.observation.decorate import F, decorate
from obskit.observation.lifecycle import end, start
from obskit.observation.record import Observation


class observe:  # noqa: N801 - reads as a verb
    """Observe a piece of your own code: a span, its duration, its error.

    Use it as a decorator (plain, async and generator functions) or as a context manager
    (plain and async) around what deserves a name of its own.

    Args:
        name: What is done, in words without IDs: ``"charge card"``.
        attributes: Facts about this one time; they never become labels of metrics.
    """

    def __init__(self, name: str, **attributes: Any) -> None:
        self.name = name
        self.attributes = attributes
        self._stack: list[Observation] = []

    def _new(self) -> Observation:
        return Observation(self.name, attributes=dict(self.attributes))

    def __enter__(self) -> Observation:
        observation = self._new()
        start(observation)
        self._stack.append(observation)
        return observation

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        end(self._stack.pop(), error)

    async def __aenter__(self) -> Observation:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: F) -> F:
        return decorate(function, self._new)


class unit_of_work(observe):  # noqa: N801 - reads as a noun in `with`
    """Begin an operation that no request began: a cron job, a script, a consumer of your own.

    Use it as a context manager or as a decorator. The operation gets a new correlation ID
    unless one is given, or taken from *carrier*.

    Args:
        name: What is done, in words without IDs: ``"nightly billing"``.
        correlation_id: The ID to use; 1 to 128 characters of ``A-Za-z0-9._:~+/=@-``. An
            unfit one is replaced and counted.
        carrier: Headers of the message that is worked on, to continue its operation.
        attributes: Facts about this one time.
    """

    def __init__(
        self,
        name: str,
        correlation_id: str | None = None,
        *,
        carrier: Mapping[str, str] | None = None,
        **attributes: Any,
    ) -> None:
        super().__init__(name, **attributes)
        self._carrier = {str(k).lower(): str(v) for k, v in (carrier or {}).items()}
        if correlation_id is not None:
            self._carrier[propagation.policy().correlation_header.lower()] = str(correlation_id)

    def _new(self) -> Observation:
        observation = Observation(
            self.name,
            protocol="task",
            attributes=dict(self.attributes),
            labels={"task_name": self.name},
            carrier=dict(self._carrier),
        )
        observation.entry = True
        return observation
