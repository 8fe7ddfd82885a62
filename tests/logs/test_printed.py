"""What is read from tracebacks that Python printed."""

import traceback

import pytest

from obskit.logs.printed import parse
from tests.logs import failing
from tests.logs.failing import caught


def printed(function):
    """Return what Python prints of the error that *function* raises."""
    return "".join(traceback.format_exception(caught(function)))


def chain(read):
    """Return types, messages and relations of a chain, with members of groups as lists."""
    return [
        (
            link.how,
            link.type,
            link.message,
            *([chain(member) for member in link.members],) * bool(link.members),
        )
        for link in read.links
    ]


def test_a_chain_is_read_in_the_order_of_its_printing():
    """Python prints the root cause first, too."""
    assert chain(parse(printed(failing.caused))) == [
        ("", "ValueError", "plain"),
        ("cause", "RuntimeError", "third"),
    ]
    assert chain(parse(printed(failing.chained)))[1] == ("context", "KeyError", "'second'")


def test_groups_are_read_with_their_members():
    """Boxes within boxes are groups within groups."""
    first = ("", "ValueError", "plain")
    many = (
        "", "ExceptionGroup", "many (2 sub-exceptions)",
        [[first], [first, ("cause", "RuntimeError", "third")]],
    )  # fmt: skip
    assert chain(parse(printed(failing.nested))) == [
        (
            "", "ExceptionGroup", "outer (3 sub-exceptions)",
            [[many], [("", "ValueError", "first\nsecond")], [("", "OSError", "never raised")]],
        )
    ]  # fmt: skip


@pytest.mark.parametrize("function", [failing.group_in_chain, failing.group_after_chain])
def test_a_group_may_stand_in_a_chain(function):
    """Before or after a group there may be other errors."""
    links = parse(printed(function)).links

    assert len(links) == 2
    assert sum(len(link.members) for link in links) == 2


def test_frames_are_read_with_their_source():
    """The frame that raised comes first, without the marks below its source."""
    place = parse(printed(failing.plain)).links[0].places[0]

    assert place.text.endswith(' in plain: raise ValueError("plain")')
    assert "failing.py:" in place.text


def test_repetitions_are_read():
    """Python counts equal frames, and so do we."""
    assert len(parse(printed(failing.endless)).links[0].places) > 900


def test_text_before_a_traceback_is_no_part_of_it():
    """Threads and finalizers print a line of their own first."""
    read = parse("Exception in thread Thread-1 (run):\n" + printed(failing.plain))

    assert chain(read) == [("", "ValueError", "plain")]


def test_a_message_may_have_many_lines():
    """All that follows the type belongs to the message."""
    assert chain(parse(printed(failing.spoken))) == [("", "ValueError", "first\nsecond")]


def test_an_error_without_a_message_is_read():
    """Some say nothing."""
    text = 'Traceback (most recent call last):\n  File "x.py", line 1, in f\nKeyboardInterrupt\n'

    assert chain(parse(text)) == [("", "KeyboardInterrupt", "")]


def test_a_traceback_without_an_end_is_none():
    """Half a traceback says nothing certain."""
    text = printed(failing.plain)

    assert parse(text.rpartition("ValueError")[0]) is None
