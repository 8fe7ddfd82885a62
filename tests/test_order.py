"""The causal reader: the order of lines, and the four words."""

import os
import random
from collections import Counter
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.order import CANNOT_TELL, CAUSED, CONCURRENT, SEEN_AFTER, Order, place, relation
from tests.story.cluster import Cluster, Plan, damaged, operations
from tests.story.oracle import judge

# A longer proof: PROOF_OPERATIONS=20000 makes that many operations of each kind.
OPERATIONS = int(os.environ.get("PROOF_OPERATIONS", "400"))
A, B, C = "a" * 16, "b" * 16, "c" * 16


def line(at: str, lc: int, **fields: object) -> dict[str, object]:
    """Return a line with a clock."""
    return {"lc": lc, "lc_at": at, "message": at, **fields}


def proved(
    plan: Plan, *, lost: float = 0.0, doubled: float = 0.0, exact: bool = False
) -> Counter[str]:
    """Run operations, damage their lines, and compare each pair with what is true."""
    said: Counter[str] = Counter()
    for seed, cluster in enumerate(operations(range(OPERATIONS * 40 // plan.size), plan)):
        chance = random.Random(seed)
        lines = damaged(cluster.lines, chance, lost=lost, doubled=doubled)
        said += judge(cluster, lines, exact=exact)
    return said


@pytest.mark.parametrize("size", [40, 150])
def test_without_loss_every_word_is_exact(size):
    """Whole logs in any order: caused, seen after and concurrent are what the oracle says."""
    said = proved(Plan(size=size), doubled=0.2, exact=True)

    assert set(said) == {CAUSED, SEEN_AFTER, CONCURRENT}


@pytest.mark.parametrize(
    ("broken", "lost"), [(0.2, 0.0), (0.0, 0.02), (0.0, 0.1), (0.1, 0.4), (0.3, 0.7)]
)
def test_with_loss_and_broken_hops_no_word_is_wrong(broken, lost):
    """What cannot be known is said to be unknown; no effect stands before its cause."""
    said = proved(Plan(broken=broken), lost=lost, doubled=0.2)

    assert set(said) == {CAUSED, SEEN_AFTER, CONCURRENT, CANNOT_TELL}


@pytest.mark.parametrize(("broken", "lost"), [(0.0, 0.0), (0.2, 0.0), (0.0, 0.1), (0.2, 0.5)])
def test_lines_that_were_held_back_have_a_place(broken, lost):
    """They stand behind what came before them, before what they caused, and no word is wrong."""
    said = proved(Plan(broken=broken, held=0.3), lost=lost, doubled=0.2, exact=not broken + lost)

    assert set(said) == {CAUSED, SEEN_AFTER, CONCURRENT, CANNOT_TELL}


def test_within_a_process_held_lines_are_told_from_others():
    """Of two lines of one process it is known which came first, held back or not."""
    for cluster in operations(range(60), Plan(held=0.4)):
        for one, other in combinations(Order(cluster.lines).events, 2):
            if one.hop == other.hop:
                assert relation(one, other) in (CAUSED, SEEN_AFTER)


def test_held_lines_leave_no_hole():
    """They have sub-numbers: no line is missed before or behind them, nor where some are gone."""
    order = Order(
        [
            line(f"{A}-0.1", 0), line(f"{A}-1", 1), line(f"{A}-1.3", 1), line(f"{A}-1.5", 1),
            line(f"{A}-2", 2), line(f"{B}-3.1", 9),
        ]
    )  # fmt: skip

    assert [event.line["message"] for event in order.events][:5] == [
        f"{A}-0.1", f"{A}-1", f"{A}-1.3", f"{A}-1.5", f"{A}-2",
    ]  # fmt: skip
    assert order.missing() == {B: [(1, 3)]}
    assert [event.incomplete for event in order.events] == [False] * 5 + [True]


def test_many_causes_are_joined_by_a_line():
    """An operation that hears more answers than a header can carry loses none of them."""

    class Wide(Cluster):
        def _moves(self, depth: int) -> list[str]:
            return ["fork", "call", "call", "call"] if depth < 3 else ["log"]

    for seed in range(40):
        cluster = Wide(random.Random(seed), Plan(size=200, lost_answers=0.0)).run()
        judge(cluster, cluster.lines, exact=True)


def test_the_order_does_not_depend_on_the_order_of_lines():
    """Shuffled lines, with copies, give the very same sequence."""
    for seed, cluster in enumerate(operations(range(30), Plan(broken=0.1))):
        chance = random.Random(seed)
        texts = {
            tuple(event.line["lc_at"] for event in Order(lines).events)
            for lines in (damaged(cluster.lines, chance, lost=0, doubled=0.3) for _ in range(4))
        }
        assert len(texts) == 1


def test_copies_are_left_out_and_counted():
    """A line that a shipper sent twice is there once."""
    order = Order([line(f"{A}-1", 1), line(f"{A}-1", 1), line(f"{A}-2", 2)])

    assert [event.n for event in order.events] == [1, 2]
    assert (order.repeated, order.conflicts) == (1, set())


def test_two_lines_for_one_place_are_a_conflict():
    """The same one of the two is taken whichever comes first."""
    lines = [line(f"{A}-1", 1, message="x"), line(f"{A}-1", 1, message="y")]
    orders = [Order(lines), Order(lines[::-1])]

    assert [order.events[0].line["message"] for order in orders] == ["x", "x"]
    assert orders[0].conflicts == {(A, 1)}


def test_holes_are_lost_lines():
    """A missing number is a lost line, also one that only a pointer knows of."""
    order = Order(
        [line(f"{A}-2", 2), line(f"{A}-5", 5), line(f"{B}-1", 9, lc_after=[f"{A}-7", f"{C}-2"])]
    )

    assert order.missing() == {A: [(1, 1), (3, 4), (6, 7)], C: [(1, 2)]}


def test_a_lost_line_of_another_strand_is_noticed():
    """A strand that lost its only line is missed in the numbers of its hop."""
    order = Order([line(f"{A}-1", 1), line(f"{A}-2", 3)])

    assert order.events[1].incomplete
    assert order.gaps == [order.events[1]]


def test_forged_pointers_in_a_circle_are_said():
    """Two lines that claim to follow each other are both printed, and one is not believed."""
    order = Order([line(f"{A}-1", 1, lc_after=[f"{B}-1"]), line(f"{B}-1", 1, lc_after=[f"{A}-1"])])

    assert len(order.events) == 2
    assert len(order.forged) == 2


def test_a_strand_that_counts_backwards_is_forged():
    """Numbers that contradict each other break nothing."""
    order = Order([line(f"{A}-1", 9), line(f"{A}-2", 3), line(f"{A}-3", 9)])

    assert len(order.events) == 3
    assert order.forged


def test_huge_pointers_cost_nothing():
    """A pointer to the billionth line makes one range."""
    order = Order([line(f"{A}-1", 1, lc_after=[f"{B}-2000000000"])])

    assert order.missing() == {B: [(1, 2_000_000_000)]}


def test_lines_without_a_clock_are_kept_apart():
    """A foreign line with the ID has no place in the order, and is not lost."""
    foreign = {"message": "hello"}

    assert Order([foreign, line(f"{A}-1", 1)]).unplaced == [foreign]


@pytest.mark.parametrize(
    "fields",
    [
        {"lc": True},
        {"lc": 0},
        {"lc": 2**60},
        {"lc": "7"},
        {"lc_at": f"{A}-0"},
        {"lc_at": f"{A}-1\n"},
        {"lc_at": f"{A}-1.0"},
        {"lc_at": f"{A}-1."},
        {"lc_at": f"{A}-1.1", "lc": -1},
        {"lc_at": f"{A}-\u0661"},
        {"lc_at": 7},
        {"lc_at": None},
        {"lc_hop": "x"},
        {"lc_hop": ["a"]},
    ],
)
def test_an_unreadable_clock_is_none(fields):
    """Hostile values make a line without a place, never an error."""
    assert place(line(f"{A}-1", 1) | fields) is None


@pytest.mark.parametrize("after", ["x", 5, [1], [None], ["a-1"], [f"{B}-1"] * 10_000, {"a": 1}])
def test_unreadable_pointers_make_a_line_incomplete(after):
    """What a line claims in strange words counts as a cause that is not known."""
    event = place(line(f"{A}-1", 1, lc_after=after))

    assert event is not None
    assert event.incomplete


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from([f"{A}-1", f"{B}-2", f"{A}-99", A, B]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
places = st.sampled_from(
    [f"{strand}-{n}{sub}" for strand in (A, B, C) for n in (1, 2, 3) for sub in ("", ".1", ".2")]
)
clocks = st.fixed_dictionaries(
    {"lc": st.integers(-1, 9) | values, "lc_at": places | values},
    optional={
        "lc_hop": st.sampled_from([A, B]) | values,
        "lc_after": st.lists(places) | values,
        "lc_seen": st.lists(places) | values,
        "lc_broken": st.booleans() | values,
    },
)  # fmt: skip


@given(st.lists(clocks, max_size=8))
def test_no_input_breaks_the_reader(lines):
    """Whatever lines claim, each is printed, kept apart, or a copy, and all pairs have a word."""
    order = Order(lines)

    assert len(order.events) + len(order.unplaced) + order.repeated == len(lines)
    for one in order.events:
        for other in order.events:
            assert relation(one, other) == relation(other, one)


@given(st.lists(clocks, max_size=8), st.randoms())
def test_the_order_of_hostile_lines_is_the_same_too(lines, chance):
    """Forged lines do not make the story depend on how the files were read."""
    shuffled = lines[:]
    chance.shuffle(shuffled)
    places = [
        [(event.strand, event.n) for event in Order(some).events] for some in (lines, shuffled)
    ]

    assert places[0] == places[1]


def test_one_line_is_one_line():
    """A line compared with itself is an agreed case."""
    event = Order([line(f"{A}-1", 1)]).events[0]

    assert relation(event, event) == CAUSED


def test_a_long_strand_shares_its_vectors():
    """A hundred thousand lines of one request fit into memory: only new causes cost something."""
    lines = [line(f"{A}-{n}", n) for n in range(1, 20_001)]
    lines.append(
        line(f"{A}-20001", 20_002, lc_after=[f"{B}-1"], lc_seen=[f"{A}-20000", f"{B}-20001"])
    )
    lines += [line(f"{A}-{n}", n + 1) for n in range(20_002, 30_000)]
    order = Order(lines)

    assert len({id(event.fine) for event in order.events}) <= 4
    assert all(one.n < other.n for one, other in pairwise(order.events))
