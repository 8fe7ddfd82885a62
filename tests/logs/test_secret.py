"""Values that nothing may show."""

import copy
import json
import logging
import pickle

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit import Secret


@given(st.text() | st.binary() | st.integers())
def test_nothing_shows_the_value(value):
    """Text made of a secret is the same for all secrets."""
    one, other = Secret(value), Secret("something else")
    for show in (str, repr, ascii, "{}".format, "{!r:>30}".format, "%s".__mod__, "%r".__mod__):
        assert show(one) == show(other)
    assert f"{one:>10}" == f"{other}"
    assert repr([one]) == repr([other])


def test_it_can_be_revealed():
    """Who needs the value says so."""
    assert Secret("hunter2").reveal() == "hunter2"
    assert Secret({"a": 1}).reveal() == {"a": 1}


def test_it_is_compared_and_hashed_by_value():
    """Secrets work in dicts and comparisons."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert {Secret("a"): 1}[Secret("a")] == 1
    assert hash(Secret("a")) != hash("a")
    assert not Secret("")
    assert Secret("a")


def test_copies_are_the_same():
    """Settings that hold secrets can be copied."""
    one = Secret(["a"])
    assert copy.copy(one) is one
    assert copy.deepcopy({"a": one})["a"] is one


@pytest.mark.parametrize("write", [pickle.dumps, json.dumps, orjson.dumps])
def test_it_is_not_written_by_accident(write):
    """Where the value would leave the program, an error names no part of it."""
    with pytest.raises(TypeError) as caught:
        write(Secret("hunter2"))
    assert "hunter2" not in str(caught.value)


def test_it_has_no_further_attributes():
    """Nothing that lists attributes finds the value."""
    with pytest.raises(TypeError):
        vars(Secret("hunter2"))


def test_logging_shows_the_marker(caplog):
    """Whatever library formats it, the marker comes out."""
    logging.getLogger("x").warning("%s %r", Secret("hunter2"), Secret("hunter2"))

    assert caplog.messages == ["[redacted] Secret([redacted])"]
