"""Headers of messages, in the shapes in which libraries hand them over."""

import re
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.propagation.carrier import pick

NAMES = frozenset({"traceparent", "x-correlation-id"})


class WithAttribute:
    """A message as most libraries have it."""

    def __init__(self, headers):
        self.headers = headers


class WithMethod:
    """A message as librdkafka's binding has it."""

    def __init__(self, headers):
        self._headers = headers

    def headers(self):
        """Return what it carries."""
        return self._headers


def mail():
    """Return headers that know no case and may come twice."""
    message = Message()
    message["X-Correlation-ID"] = "a"
    return message


SHAPES = [
    {"X-Correlation-ID": "a"},
    {b"x-correlation-id": b"a"},
    {"x-correlation-id": bytearray(b"a")},
    {"x-correlation-id": memoryview(b"a")},
    {"x-correlation-id": ["z", "a"]},
    {"x-correlation-id": (b"a",)},
    [("x-correlation-id", "a")],
    (("x-correlation-id", b"a"),),
    [["x-correlation-id", "a"]],
    [("x-correlation-id", "old"), ("X-Correlation-Id", "a")],
    iter([("x-correlation-id", "a")]),
    mail(),
    WithAttribute({"x-correlation-id": "a"}),
    WithAttribute([("x-correlation-id", b"a")]),
    WithMethod([("x-correlation-id", b"a")]),
]


@pytest.mark.parametrize("source", SHAPES, ids=lambda source: type(source).__name__)
def test_a_header_is_found_in_every_shape(source):
    """Mappings and pairs of text or bytes, and messages that hold them; the last one counts."""
    assert pick(source, NAMES) == {"x-correlation-id": "a"}


@pytest.mark.parametrize(
    "source",
    [
        None,
        0,
        "x-correlation-id",
        b"x-correlation-id",
        [],
        ["ab"],
        [("x-correlation-id",)],
        [("x-correlation-id", "a", "b")],
        [(None, "a"), (1, "a")],
        {"x-correlation-id": None},
        {"x-correlation-id": 7},
        {"x-correlation-id": []},
        {"x-correlation-id": {"a": "b"}},
        {"other": "a"},
        WithAttribute(None),
        WithMethod(None),
        object(),
    ],
    ids=lambda source: re.sub("0x[0-9a-f]+", "0x", repr(source)),
)
def test_what_has_another_shape_is_left_out(source):
    """Nothing raises, and nothing that is no text becomes an ID."""
    assert pick(source, NAMES) == {}


def test_only_the_names_asked_for_are_taken():
    """A message may have many headers."""
    assert pick({"a": "1", "Traceparent": "2", "b": "3"}, NAMES) == {"traceparent": "2"}


def test_bytes_that_are_no_ascii_become_text():
    """They are refused later, and break nothing here."""
    assert pick({"traceparent": b"\xff\n"}, NAMES) == {"traceparent": "\xff\n"}


SIMPLE = st.one_of(st.none(), st.text(), st.binary(), st.integers(), st.lists(st.text()))


@given(st.recursive(SIMPLE, lambda inner: st.one_of(
    st.lists(inner), st.dictionaries(st.text(), inner), st.lists(st.tuples(inner, inner)),
)))  # fmt: skip
def test_arbitrary_shapes_never_raise(source):
    """What is picked is text under known names."""
    picked = pick(source, NAMES)

    assert picked.keys() <= NAMES
    assert all(isinstance(value, str) for value in picked.values())
