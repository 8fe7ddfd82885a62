"""Shorten the text of an error so that what says most of it stays."""

from __future__ import annotations

from collections.abc import Iterator

GAP = "  ... {} lines left out"
# With up to ten digits, and its newline.
LONGEST_GAP = len(GAP) + 10
CUT = " ..."


def cost(text: str) -> int:
    """Return how many bytes *text* takes inside of a JSON string."""
    if text.isascii() and text.isprintable():
        return len(text) + text.count('"') + text.count("\\")
    import json

    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")) - 2


def cut(text: str, most: int) -> str:
    """Return the beginning of *text* that takes at most *most* bytes in JSON, marked as cut."""
    if cost(text) <= most:
        return text
    left = most - len(CUT)
    if left < 0:
        return ""
    low, high = 0, min(len(text), left)
    while low < high:
        middle = (low + high + 1) // 2
        if cost(text[:middle]) <= left:
            low = middle
        else:
            high = middle - 1
    return text[:low] + CUT


def shorten(stack: str, most: int) -> str:
    """Return *stack* with so many lines left out that it takes at most *most* bytes in JSON.

    The root cause and the frame that raised it stay longest, then the other exceptions, then
    the frames next to the ends of each exception's part.
    """
    if cost(stack) <= most:
        return stack
    lines = stack.split("\n")
    left = most - cost(lines[0]) - LONGEST_GAP
    if left < 0:
        return cut(lines[0], max(most, 0))
    kept = {0}
    for index in _by_weight(lines):
        # Each line that is kept may make one more gap before or after itself.
        need = cost(lines[index]) + 2 + LONGEST_GAP
        if need <= left:
            kept.add(index)
            left -= need
    return "\n".join(_with_gaps(lines, kept))


def _by_weight(lines: list[str]) -> list[int]:
    """Return the numbers of all lines but the first, those that say most before the others."""
    heads = [index for index, line in enumerate(lines) if line[:1] != " "]
    weights: dict[int, float] = {}
    for number, head in enumerate(heads):
        end = heads[number + 1] if number + 1 < len(heads) else len(lines)
        weights[head] = 1 if head == heads[-1] else 2
        for index in range(head + 1, end):
            # The end that raised counts twice as much as the one that was called first.
            distance = min(index - head - 1, 2 * (end - index) - 1)
            weights[index] = distance + (0.5 if number == 0 and index == head + 1 else 3)
    weights.pop(0, None)
    return sorted(weights, key=lambda index: (weights[index], index))


def _with_gaps(lines: list[str], kept: set[int]) -> Iterator[str]:
    missing = 0
    for index, line in enumerate(lines):
        if index not in kept:
            missing += 1
            continue
        if missing:
            yield GAP.format(missing)
        missing = 0
        yield line
    if missing:
        yield GAP.format(missing)
