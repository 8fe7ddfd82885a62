"""The proof has teeth: a clock with any of these faults is caught by the simulated cluster."""

import os
import random
from collections.abc import Callable

import pytest

from obskit import clock
from obskit.clock import Cause, Strand
from obskit.logs import held
from tests.story.cluster import Plan, damaged, operations
from tests.story.oracle import Wrong, judge

SEEDS = range(60)
BEGIN, JOIN, HEADER, PARSE, MERGE = (
    clock.begin,
    clock.join,
    clock.header,
    clock.parse,
    clock._merge,
)


def same_strand(strand, n, after):
    """Go on numbering a strand that another task has numbered on."""
    copy = Strand(strand.hop, strand.id)
    copy.head = n
    return copy, n, after


def forget_where_from(strand, n, after):
    """Begin a strand without saying after which line."""
    return Strand(strand.hop, os.urandom(8).hex()), 0, after


def lose_pending(strand, n, after):
    """Forget on a fork what was heard and not yet written."""
    pointer = (f"{strand.id}-{n}",) if n else ()
    return Strand(strand.hop, os.urandom(8).hex()), 0, pointer


def begin_without(**changes):
    """Begin a hop with a part of its cause changed."""

    def begin(strand_id, cause=None, *, broken=False):
        return BEGIN(strand_id, cause._replace(**changes) if cause else None, broken=broken)

    return begin


def begin_trusting(strand_id, cause=None, *, broken=False):
    """Take no note of a hop without a clock."""
    return BEGIN(strand_id, cause)


def join_without(**changes):
    """Take in an answer with a part of it changed."""
    return lambda cause: JOIN(cause._replace(**changes))


def join_here_only(cause):
    """Take in an answer for this task alone: who waits for the task never hears of it."""
    position = clock.current()
    strand, n, after = position
    strand.hop.floor = max(strand.hop.floor, cause.lc)
    clock.attach((strand, n, MERGE(after, cause.after)))


def header_without(pattern: str) -> Callable[[], str]:
    """Leave a part out of the header."""

    def header():
        text = HEADER()
        if pattern == ".x":
            return text.removesuffix(".x")
        parts = text.split(".")
        if pattern == "pending":
            own = [part for part in parts[2:] if part[:16] == clock.current()[0].id]
            return ".".join([*parts[:2], *([] if own else [clock.current()[0].hop.id]), *own])
        return ".".join(part for part in parts if "~" not in part)

    return header


def header_behind():
    """Send a number that is one too small."""
    head, _, rest = HEADER().partition(".")
    number, _, rest = rest.partition(".")
    return f"{head}.{clock.base36(max(0, int(number, 36) - 1))}.{rest}"


def header_ahead():
    """Claim one line more of the own strand than there is."""
    position = clock.current()
    strand, n, after = position
    clock.attach((strand, n + 1, after))
    text = HEADER()
    clock.attach(position)
    return text


def merge_smaller(old, new):
    """Keep the smaller of two pointers."""
    if not old or not new:
        return old or new
    numbers = {pointer[:16]: int(pointer[17:]) for pointer in new}
    for pointer in old:
        numbers[pointer[:16]] = min(int(pointer[17:]), numbers.get(pointer[:16], 2**31))
    return tuple(f"{strand}-{number}" for strand, number in numbers.items())


def tick_unsorted():
    """Give each line the number of the one before it."""
    piece = TICK()
    strand, _, _ = clock.current()
    strand.hop.lc = max(0, strand.hop.lc - 1)
    return piece


def tick_twice():
    """Skip a number on each line."""
    position = clock.current()
    strand, n, after = position
    strand.head += 1
    clock.attach((strand, n + 1, after))
    return TICK()


def tick_forever():
    """Never forget a cause: write it on each further line."""
    _, _, after = clock.current()
    piece = TICK()
    strand, n, _ = clock.current()
    clock.attach((strand, n, after))
    return piece if not n % 2 else piece.replace('"lc_after"', '"lc_then"')


def parse_ahead(text):
    """Believe that all lines of the sender's hop came before, also later ones."""
    cause = PARSE(text)
    return cause and Cause(
        cause.lc,
        cause.after,
        tuple(f"{pointer[:16]}-{int(pointer[17:]) + 1}" for pointer in cause.seen),
        cause.broken,
    )


def parse_own_only(text):
    """Drop the pointers that the sender passes on."""
    cause = PARSE(text)
    return cause and cause._replace(after=cause.after[:1])


TICK = clock.tick
MUTANTS = {
    "a copied context goes on in the same strand": ("_diverge", same_strand),
    "a new strand does not say where it comes from": ("_diverge", forget_where_from),
    "a fork forgets what was heard": ("_diverge", lose_pending),
    "a hop does not point to its sender": ("begin", begin_without(after=())),
    "a hop has not seen its sender's hop": ("begin", begin_without(seen=())),
    "a hop starts counting anew": ("begin", begin_without(lc=0)),
    "a hop hides that its past is broken": ("begin", begin_without(broken=False)),
    "a hop without a clock looks like a beginning": ("begin", begin_trusting),
    "an answer is not heard": ("join", lambda cause: None),
    "an answer has no pointers": ("join", join_without(after=())),
    "an answer has not seen its hop": ("join", join_without(seen=())),
    "an answer does not raise the number": ("join", join_without(lc=0)),
    "an answer is known to one task only": ("join", join_here_only),
    "a header hides that its past is broken": ("header", header_without(".x")),
    "a header leaves out what was only heard": ("header", header_without("pending")),
    "a header has no coarse pointers": ("header", header_without("~")),
    "a header sends a smaller number": ("header", header_behind),
    "a header claims a line that is not written": ("header", header_ahead),
    "the smaller pointer is kept": ("_merge", merge_smaller),
    "the number does not grow": ("tick", tick_unsorted),
    "the line count has holes": ("tick", tick_twice),
    "a cause is written late": ("tick", tick_forever),
    "lines are seen that came later": ("parse", parse_ahead),
    "a silent sender's causes are dropped": ("parse", parse_own_only),
}


def prove() -> int:
    """Hold the proof in a small form, and return how many operations it took."""
    count = 0
    for plan, lost, exact in (
        (Plan(size=80, lost_answers=0.1), 0.0, True),
        (Plan(size=80, broken=0.15, lost_answers=0.1), 0.0, False),
        (Plan(), 0.1, False),
    ):
        for seed, cluster in enumerate(operations(SEEDS, plan)):
            lines = damaged(cluster.lines, random.Random(seed), lost=lost, doubled=0.0)
            judge(cluster, lines, exact=exact)
            count += 1
    return count


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_clock_is_caught(name, monkeypatch):
    """Each fault makes the oracle object within some operations."""
    target, mutant = MUTANTS[name]
    monkeypatch.setattr(clock, target, mutant)

    with pytest.raises((Wrong, AssertionError, KeyError)):
        prove()


PLACE = held.place


def place_with(**changes):
    """Hold a line back at a place of which a part is changed."""

    def place(number):
        names = ("strand", "n", "lc", "after", "heard", "broken", "number")
        facts = dict(zip(names, PLACE(number), strict=True))
        for name, change in changes.items():
            facts[name] = change(facts["strand"], facts[name])
        return tuple(facts.values())

    return place


HELD_MUTANTS = {
    "its number is that of the last line, whatever was heard": place_with(
        lc=lambda strand, _: strand.hop.lc
    ),
    "its number is the one of its strand": place_with(lc=lambda strand, _: strand.head),
    "it does not say what was heard": place_with(heard=lambda *_: (), after=lambda *_: ()),
    "it stands behind a line that is not written yet": place_with(n=lambda _, n: n + 1),
    "it takes a number of its own": place_with(lc=lambda _, lc: lc + 1),
    "the later one has the smaller sub-number": place_with(number=lambda _, n: 10_000 - n),
    "all have the same sub-number": place_with(number=lambda *_: 1),
}


def prove_held() -> None:
    """Hold the proof of lines that are held back in a small form."""
    for lost in (0.0, 0.1):
        for seed, cluster in enumerate(operations(SEEDS, Plan(held=0.4))):
            chance = random.Random(seed)
            judge(cluster, damaged(cluster.lines, chance, lost=lost, doubled=0.1), exact=not lost)


@pytest.mark.parametrize("name", HELD_MUTANTS)
def test_a_wrong_place_of_a_held_line_is_caught(name, monkeypatch):
    """Each fault makes the oracle object, too."""
    monkeypatch.setattr(held, "place", HELD_MUTANTS[name])

    with pytest.raises((Wrong, AssertionError, KeyError)):
        prove_held()


def test_the_real_place_of_a_held_line_is_not_caught():
    """The same operations leave nothing to object to."""
    prove_held()


def test_the_real_clock_is_not_caught():
    """The same operations leave nothing to object to."""
    assert prove() == 3 * len(SEEDS)
