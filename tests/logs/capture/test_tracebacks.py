"""How lines of text are grouped into errors."""

import io
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.logs.capture.tracebacks import MOST_LINES, Grouper, Text
from tests.logs.failing import caused, chained, plain


def grouped(text):
    """Return what the lines of *text* become when they come one by one."""
    grouper = Grouper()
    return [part for line in text.split("\n") for part in grouper.feed(line)] + grouper.flush()


def many():
    """Raise several errors at once."""
    raise ExceptionGroup("many", [ValueError("a"), KeyError("b")])


def printed(function):
    """Return what Python prints of the error that *function* raises."""
    stream = io.StringIO()
    try:
        function()
    except Exception:
        traceback.print_exc(file=stream)
    return stream.getvalue().rstrip("\n")


@pytest.mark.parametrize("function", [plain, chained, caused, many])
def test_a_traceback_is_one_piece(function):
    """Whatever the form of the error, its text stays whole, between the lines around it."""
    text = printed(function)

    assert grouped(f"before\n{text}\nafter") == [Text("before"), Text(text, True), Text("after")]


@pytest.mark.parametrize("function", [plain, chained, caused])
def test_a_traceback_is_ready_with_its_last_line(function):
    """Nobody has to print more for the error to come out."""
    grouper = Grouper()
    text = printed(function)
    ready = [part for line in text.split("\n") for part in grouper.feed(line)]

    assert ready == []
    assert grouper.settle() == [Text(text, True)]
    assert not grouper.holds


@pytest.mark.parametrize("header", ["Exception ignored in: <x>", "Exception in thread Thread-1:"])
def test_the_sentence_before_belongs_to_it(header):
    """Python's own headings stay with their traceback, and alone where there is none."""
    text = printed(plain)

    assert grouped(f"{header}\n{text}") == [Text(f"{header}\n{text}", True)]
    assert grouped(f"{header}\nnext") == [Text(header), Text("next")]


def test_two_tracebacks_are_two():
    """One error after another is not one error."""
    text = printed(plain)

    assert grouped(f"{text}\n{text}") == [Text(text, True), Text(text, True)]


def test_a_half_traceback_is_not_lost():
    """What was begun comes out at the end."""
    head = "Traceback (most recent call last):"

    assert grouped(head) == [Text(head)]
    assert grouped(head + "\n  File x") == [Text(head + "\n  File x", True)]


def test_an_endless_traceback_is_cut():
    """Memory is bounded, whatever is printed."""
    grouper = Grouper()
    assert grouper.feed("Traceback (most recent call last):") == []
    ready = [part for _ in range(3 * MOST_LINES) for part in grouper.feed("  more")]

    assert len(ready) > 1


LINES = st.one_of(
    st.text(st.characters(exclude_characters="\n"), max_size=10),
    st.sampled_from(
        ["Traceback (most recent call last):", "  File x", "ValueError: x", "", "Exception ignored",
         "During handling of the above exception, another exception occurred:", "  x"]
    ),
)  # fmt: skip


@given(st.lists(LINES))
def test_no_line_is_lost_and_the_order_is_kept(lines):
    """All that comes in goes out, apart from empty lines at the end of an error."""
    out = [line for part in grouped("\n".join(lines)) for line in part.text.split("\n")]

    assert [line for line in out if line] == [line for line in lines if line]
