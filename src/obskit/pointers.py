"""Pointers to lines of a log, ``<strand>-<number>``, and numbers as they are on the wire."""

from __future__ import annotations

from functools import lru_cache

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int) -> str:
    """Return a non-negative *number* in base 36."""
    if number < 36:
        return _DIGITS[number]
    if number < 1296:
        return _DIGITS[number // 36] + _DIGITS[number % 36]
    if number < 46_656:
        return _DIGITS[number // 1296] + _DIGITS[number // 36 % 36] + _DIGITS[number % 36]
    high, low = divmod(number, 46_656)
    # Times of the same minute begin alike.
    return f"{_above(high)}{_DIGITS[low // 1296]}{_DIGITS[low // 36 % 36]}{_DIGITS[low % 36]}"


_above = lru_cache(maxsize=256)(base36)


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


def fit(
    text: str, fine: list[str], coarse: list[str], room: int, longest: int, broken: bool
) -> str:
    """Put as many pointers into a header as it may have.

    What a fine pointer says is said more loosely by a coarse one; where one of these is left
    out, the clock is broken from there on.
    """
    # The first one tells which strand is the sender's own.
    fine = fine[: max(room - len(coarse), min(1, len(fine)))]
    kept = coarse[: room - len(fine)]
    most = longest - len(".x") - len(text) - sum(map(len, fine))
    while kept and sum(map(len, kept)) > most:
        kept.pop()
    text += "".join(fine) + "".join(kept)
    return text + ".x" if broken or len(kept) < len(coarse) else text


def read(text: str, largest_n: int, largest_lc: int) -> tuple[list[str], list[str]] | None:
    """Return the fine and the coarse pointers that a header has; None if a number is too large."""
    after: list[str] = []
    seen: list[str] = []
    for item in text.split(".")[1:]:
        number = int(item[17:], 36)
        if number > (largest_lc if item[16] == "~" else largest_n):
            return None
        (seen if item[16] == "~" else after).append(f"{item[:16]}-{number}")
    return after, seen
