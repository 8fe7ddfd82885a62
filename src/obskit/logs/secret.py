"""Keep a value out of everything that shows values."""

from __future__ import annotations

from typing import Any, Generic, NoReturn, TypeVar

T = TypeVar("T")

MARKER = "[redacted]"
"""Stands on a line in place of what must not be there; it says nothing about the value."""


class Secret(Generic[T]):
    """Hold a value that no log line, traceback or f-string may show.

    Use it where a secret enters the program; call `reveal` where it is needed. Text made of
    it, whatever the format, is a marker that does not depend on the value. It can be copied,
    compared and hashed; it is neither pickled nor written as JSON.

    Args:
        value: What is to be kept.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """Return the value."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MARKER})"

    def __str__(self) -> str:
        return MARKER

    def __format__(self, spec: str, /) -> str:
        return MARKER

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return bool(self._value == other._value)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __copy__(self) -> Secret[T]:
        return self

    def __deepcopy__(self, memo: dict[int, Any], /) -> Secret[T]:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled; reveal() it where its value must travel")
