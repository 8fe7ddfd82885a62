"""Observe blocks of a program's own code, and begin operations that no request began."""

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType
from typing import Any

from obskit import health, propagation
from obskit.observation.decorate import F, decorate
from obskit.observation.lifecycle import end, is_suppressed, start
from obskit.observation.record import Kind, Observation

UNNAMED = "unnamed"
"""The name of a block whose own is no text."""


def _usable(name: object) -> str:
    """Return *name* if it is one; a program is not stopped because it has none."""
    if isinstance(name, str) and name.strip():
        return name
    kind = type(name).__name__
    error = TypeError(f"the name of a block must be text that is not empty: got {kind}")
    health.internal_error("observation.name", error)
    return UNNAMED


class _Open:
    """One block that this task has entered, and those that it was in already."""

    __slots__ = ("block", "observation", "outer")

    def __init__(self, block: observe, observation: Observation, outer: _Open | None) -> None:
        self.block = block
        self.observation = observation
        self.outer = outer


# Each task sees its own blocks here, even where tasks share one `observe`.
_open: ContextVar[_Open | None] = ContextVar("obskit_open", default=None)


def _innermost() -> _Open | None:
    """Return the block of this task that was entered last and is not left yet."""
    found = _open.get()
    while found is not None and not found.block.is_in(found.observation):
        found = found.outer
    return found


class observe:  # noqa: N801 - reads as a verb
    """Observe a piece of your own code: a span, its duration, its error.

    Use it as a decorator (plain, async and generator functions) or as a context manager
    (plain and async) around what deserves a name of its own. One instance may be used again,
    also by several tasks at once.

    Args:
        name: What is done, in words without IDs: ``"charge card"``. What is no text, or empty,
            is replaced by ``"unnamed"`` and reported once.
        attributes: Facts about this one time; they never become labels of metrics.
    """

    def __init__(self, name: str, **attributes: Any) -> None:
        self.name = _usable(name)
        self.attributes = attributes
        self._entered: list[Observation] = []

    def _new(self) -> Observation:
        return Observation(self.name, attributes=dict(self.attributes))

    def __enter__(self) -> Observation:
        observation = self._new()
        if not is_suppressed():
            start(observation)
        self._entered.append(observation)
        _open.set(_Open(self, observation, _innermost()))
        return observation

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        observation = self._close()
        if observation is not None and observation.context is not None:
            end(observation, error)

    def is_in(self, observation: Observation) -> bool:
        """Tell whether *observation* was entered here and not left yet."""
        return observation in self._entered

    def _close(self) -> Observation | None:
        """Return what was entered here last: by this task, else (a fixture's end) by another."""
        found = _innermost()
        while found is not None and not (found.block is self and self.is_in(found.observation)):
            found = found.outer
        try:
            observation = self._entered[-1] if found is None else found.observation
            self._entered.remove(observation)
        except (IndexError, ValueError) as error:
            health.internal_error("observation.exit", error)
            return None
        _open.set(_innermost())
        return observation

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
        carrier: Headers of the message that is worked on, or the message, to continue its
            operation: what `message_context` takes.
        attributes: Facts about this one time.
    """

    def __init__(
        self,
        name: str,
        correlation_id: str | None = None,
        *,
        carrier: object = None,
        **attributes: Any,
    ) -> None:
        super().__init__(name, **attributes)
        self._carrier = carrier
        self._correlation_id = correlation_id

    def _new(self) -> Observation:
        carrier = propagation.readable(self._carrier)
        observation = Observation(
            self.name,
            protocol="task",
            attributes=dict(self.attributes),
            labels={"task_name": self.name},
            carrier=carrier,
        )
        observation.entry = True
        if self._correlation_id is not None:
            carrier[propagation.policy().correlation_header.lower()] = str(self._correlation_id)
            observation.source = "given"
        return observation


class message_context(observe):  # noqa: N801 - reads as a noun in `with`
    """Continue the operation of a message while the block runs.

    Use it where obskit does not know the library that received the message, and around each
    message of a batch. The sender's correlation ID, trace and clock are taken over; a message
    without any begins an operation of its own.

    Args:
        message: Its headers (a mapping, or pairs, of names to text or bytes), or an object
            that has ``headers`` (an attribute or a method).
        name: What is done with it, in words without IDs.
    """

    def __init__(self, message: object, name: str = "message") -> None:
        super().__init__(name)
        self._message = message

    def _new(self) -> Observation:
        carrier = propagation.readable(self._message)
        observation = Observation(
            self.name,
            Kind.CONSUMER,
            protocol="task",
            labels={"task_name": self.name},
            carrier=carrier,
        )
        observation.source = "message"
        return observation
