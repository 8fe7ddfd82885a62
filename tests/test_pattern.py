"""Patterns that are compiled when they are first used."""

import re

import pytest

from obskit.pattern import Pattern


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("findall", ("a1b22",)),
        ("fullmatch", ("a1",)),
        ("match", ("a1b",)),
        ("search", ("--b22",)),
        ("sub", ("-", "a1b22")),
    ],
)
def test_each_method_does_what_the_compiled_pattern_does(method, arguments):
    """The first use compiles, the next one goes straight to the compiled pattern."""
    pattern, compiled = Pattern("[a-z]([0-9]+)"), re.compile("[a-z]([0-9]+)")
    wanted = repr(getattr(compiled, method)(*arguments))

    assert repr(getattr(pattern, method)(*arguments)) == wanted
    assert repr(getattr(pattern, method)(*arguments)) == wanted


def test_flags_count():
    """What is given beside the text is not forgotten until the first use."""
    assert Pattern("x", re.IGNORECASE).fullmatch("X")
    assert Pattern(r"\d", re.ASCII).fullmatch("\u0663") is None


def test_nothing_is_compiled_before_the_first_use():
    """A pattern that nobody uses may even be wrong."""
    pattern = Pattern("(")

    with pytest.raises(re.error):
        pattern.match("x")


def test_another_name_is_no_method():
    """A slip of the pen is an error like that of any other object."""
    with pytest.raises(AttributeError):
        Pattern("x").fullmach  # type: ignore[attr-defined]  # noqa: B018
