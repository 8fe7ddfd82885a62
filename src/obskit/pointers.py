"""Pointers to lines of a log, ``<strand>-<number>``, and numbers as they are on the wire."""

from __future__ import annotations

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int) -> str:
    """Return a non-negative *number* in base 36."""
    if number < 36:
        return _DIGITS[number]
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits


def on_wire(pointer: str, mark: str) -> str:
    """Return *pointer* as a header has it, with *mark* before the number."""
    return f".{pointer[:16]}{mark}{base36(int(pointer[17:]))}"


def merge(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    """Unite two sets of pointers; of one strand or hop, the larger number stays."""
    if not old:
        return new
    if not new or new == old:
        return old
    numbers = {pointer[:16]: int(pointer[17:]) for pointer in old}
    for pointer in new:
        strand, number = pointer[:16], int(pointer[17:])
        numbers[strand] = max(number, numbers.get(strand, 0))
    return tuple(f"{strand}-{number}" for strand, number in numbers.items())
