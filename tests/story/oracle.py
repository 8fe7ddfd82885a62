"""Compare what the reader says of lines with what the oracle knows of them."""

from collections import Counter
from itertools import combinations
from typing import Any

from obskit.order import CANNOT_TELL, CAUSED, CONCURRENT, SEEN_AFTER, Event, Order, relation
from tests.story.cluster import Cluster

# What may be said of a line that was held back and a later one: whom it caused is not told.
MAY_BE = {
    CAUSED: (SEEN_AFTER, CANNOT_TELL),
    SEEN_AFTER: (SEEN_AFTER, CANNOT_TELL),
    CONCURRENT: (CANNOT_TELL,),
}


class Wrong(AssertionError):
    """The reader claims what is not so."""


def truth_of(cluster: Cluster, first: int, second: int) -> str:
    """Return the word for two steps, of which *first* was executed first."""
    if cluster.oracle.tracked[second] >> first & 1:
        return CAUSED
    return SEEN_AFTER if cluster.oracle.observed[second] >> first & 1 else CONCURRENT


def judge(cluster: Cluster, lines: list[dict[str, Any]], *, exact: bool = False) -> Counter[str]:
    """Check the printed order and the word for each pair; return how often each was said."""
    order = Order(lines)
    steps = {id(event): _step(cluster, event) for event in order.events}
    _check_printed(cluster, order, steps)
    held = {step for at, step in cluster.oracle.lines.items() if "." in at}
    said: Counter[str] = Counter()
    unclear = _unclear(cluster, lines)
    for one, other in combinations(order.events, 2):
        word = relation(one, other)
        said[word] += 1
        first, second = sorted((steps[id(one)], steps[id(other)]))
        truth = truth_of(cluster, first, second)
        if first in held or (second in held and truth == CONCURRENT):
            if word in MAY_BE[truth]:
                continue
        _check_word(cluster, word, first, second, unclear)
        if exact and word != truth:
            raise Wrong(f"{one} and {other}: {word}, not {truth}")
    return said


def _step(cluster: Cluster, event: Event) -> int:
    return cluster.oracle.lines[str(event.line["lc_at"])]


def _check_printed(cluster: Cluster, order: Order, steps: dict[int, int]) -> None:
    seen = 0
    effects: list[tuple[Event, int]] = []
    for event in order.events:
        step = steps[id(event)]
        for effect, known in effects:
            if known >> step & 1 and not _is_open(effect, event):
                raise Wrong(f"{effect} is printed before its cause {event}")
        effects.append((event, cluster.oracle.truth[step] & ~(1 << step)))
        seen |= 1 << step


def _is_open(one: Event, other: Event) -> bool:
    """Tell whether nothing says which of two lines comes first."""
    held = one.sub and other.sub and one.hop != other.hop and one.lc == other.lc
    return bool(held) or (one.broken and other.broken)


def _unclear(cluster: Cluster, lines: list[dict[str, Any]]) -> int:
    """Return the steps that the reader cannot know: lost lines."""
    left = {line["lc_at"] for line in lines}
    return sum(1 << step for at, step in cluster.oracle.lines.items() if at not in left)


def _check_word(cluster: Cluster, word: str, first: int, second: int, lost: int) -> None:
    """Check that a word is not wrong; *first* was executed before *second*."""
    oracle = cluster.oracle
    if word == CAUSED and not oracle.tracked[second] >> first & 1:
        raise Wrong(f"{first} did not cause {second}")
    if word == SEEN_AFTER and not oracle.observed[second] >> first & 1:
        raise Wrong(f"{second} was not after {first}")
    if word == CONCURRENT and oracle.observed[second] >> first & 1:
        raise Wrong(f"{first} and {second} are not concurrent")
    if word == CANNOT_TELL:
        past = oracle.observed[second] | oracle.observed[first]
        if not (past & lost or oracle.unclear[second] or oracle.unclear[first]):
            raise Wrong(f"nothing keeps {first} and {second} from being told")
