"""How the text of an error is shortened."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.logs.exceptions import describe
from obskit.logs.shortening import cost, cut, shorten
from tests.logs import failing
from tests.logs.failing import caught

GAP = " lines left out"
STACK = "\n".join(
    line
    for head, name in (
        ("OSError: root", "a"),
        ("caused KeyError: middle", "b"),
        ("caused ValueError: last", "c"),
    )
    for line in (head, *(f"  {name}.py:{i} in {name}" for i in range(20)))
)


@given(st.text())
def test_the_cost_is_what_json_makes_of_it(text):
    """Quotes, newlines and controls take more room on the line than in memory."""
    assert (
        cost(text) == len(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")) - 2
    )


@given(st.text(), st.integers(0, 50))
def test_a_cut_text_fits(text, most):
    """What is too long is cut, marked, and never longer than asked for."""
    short = cut(text, most)

    assert cost(short) <= most
    assert short == text or text.startswith(short.removesuffix(" ..."))


stacks = st.lists(st.text(max_size=30) | st.text(max_size=30).map("  ".__add__), max_size=60).map(
    "\n".join
)


@given(stacks, st.integers(-5, 1000))
def test_any_stack_fits_into_any_room(stack, most):
    """The budget of a line holds whatever was said."""
    assert cost(shorten(stack, most)) <= max(most, 0)


@given(stacks)
def test_what_fits_stays(stack):
    """Nothing is taken off without need."""
    assert shorten(stack, cost(stack)) == stack


@given(st.integers(100, 2000))
def test_lines_are_left_out_whole_and_counted(most):
    """What stays is as it was and in its order, and the numbers add up."""
    whole, short = STACK.split("\n"), shorten(STACK, most).split("\n")

    kept = [line for line in short if GAP not in line]
    gone = sum(int(line.split()[1]) for line in short if GAP in line)
    positions = [whole.index(line) for line in kept]
    assert positions == sorted(positions)
    assert len(kept) + gone == len(whole)


@pytest.mark.parametrize("most", [300, 500, 900])
def test_the_root_cause_stays_and_the_middle_goes(most):
    """The first lines, the errors between and the last frames say most."""
    short = shorten(STACK, most).split("\n")

    assert short[:2] == ["OSError: root", "  a.py:0 in a"]
    assert "caused ValueError: last" in short
    assert "caused KeyError: middle" in short
    assert "  a.py:12 in a" not in short


def test_a_first_line_without_room_is_cut():
    """Better half a cause than none."""
    assert (
        shorten("ValueError: " + "x" * 100 + "\n  a.py:1 in f", 30)
        == "ValueError: " + "x" * 14 + " ..."
    )


def test_the_stack_of_a_real_error_is_shortened():
    """A nested group in a little room still begins with its first cause."""
    stack = describe(caught(failing.nested)).stack

    short = shorten(stack, 400)
    assert cost(short) <= 400
    assert short.startswith("[1.1] ValueError: plain")
