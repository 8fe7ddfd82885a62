"""How strange values become what JSON has."""

import collections
import dataclasses
import datetime
import enum
import json
import pathlib
import time
import uuid
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.logs import rendering
from obskit.logs.rendering import Careful


def rendered(value):
    """Return what becomes of *value*, and how many values were degraded."""
    careful = Careful()
    return careful.value(value), careful.degraded


@dataclasses.dataclass
class Item:
    """A value with a field that does not want to be shown."""

    name: str
    hidden: str = dataclasses.field(default="x", repr=False)


class Point(NamedTuple):
    """A tuple with names."""

    x: int
    y: int


class Colour(enum.Enum):
    """An enumeration."""

    RED = "red"


class Plain:
    """An ordinary object."""

    def __repr__(self):
        return "Plain()"


class Described(Plain):
    """An object with text."""

    def __str__(self):
        return "described"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2), [1, 2]),
        (Point(1, 2), [1, 2]),
        ({"a": (None,)}, {"a": [None]}),
        ({1: 2}, {"1": 2}),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.UserDict(a=1), {"a": 1}),
        (frozenset({1}), [1]),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "2026-01-02T00:00:00+00:00"),
        (uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        (pathlib.PurePosixPath("/a"), "/a"),
        (Colour.RED, "red"),
        (b"abc", "abc"),
        (Item("a"), {"name": "a"}),
        (Plain(), "Plain()"),
        (Described(), "described"),
        (ValueError("no"), "ValueError: no"),
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
    ],
    ids=repr,
)
def test_what_has_an_obvious_form_gets_it(value, expected):
    """Ordinary values of Python lose nothing that JSON can hold."""
    assert rendered(value) == (expected, 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (2**64, str(2**64)),
        ("\ud800", "\\ud800"),
        ([[float("nan")], 2**70], [["nan"], str(2**70)]),
    ],
)
def test_what_json_cannot_hold_is_marked_and_counted(value, expected):
    """Such values become text."""
    result, degraded = rendered(value)

    assert result == expected
    assert degraded > 0


def test_keys_that_look_the_same_all_stay():
    """No value is hidden by another one."""
    result, _ = rendered({1: "a", "1": "b", 2.5: "c", (1, 2): "d", None: "e", "None": "f"})

    assert sorted(result.values()) == ["a", "b", "c", "d", "e", "f"]


def test_the_same_value_twice_is_not_circular():
    """Only what contains itself is marked."""
    shared = [1]
    assert rendered([shared, shared, {"a": shared}]) == ([[1], [1], {"a": [1]}], 0)
    shared.append(shared)
    assert rendered(shared) == ([1, "<circular>"], 1)


def test_depth_and_size_are_bounded():
    """Whatever is logged, the work for it has an end."""
    deep = []  # more than any stack holds
    for _ in range(100_000):
        deep = [deep]
    wide = [[list(range(1000))] * 1000] * 1000
    began = time.monotonic()
    for value in (deep, wide, {n: n for n in range(100_000)}, "x" * 10**7, [{}] * 10**6):
        result, degraded = rendered(value)
        assert degraded > 0
        assert len(json.dumps(result)) < 10**7
    assert time.monotonic() - began < 20


def test_generators_are_not_consumed():
    """An iterator belongs to the caller."""
    items = iter([1, 2])
    result, _ = rendered({"items": items, "more": (n for n in [1])})

    assert result["items"].startswith("<list_iterator")
    assert list(items) == [1, 2]


def test_values_are_not_changed():
    """Nothing of the caller's is written to."""
    value = {"a": [1, {"password": "x", 2: float("nan")}]}
    before = repr(value)
    rendered(value)

    assert repr(value) == before


def test_a_failing_value_names_its_type_and_error():
    """The marker says what to repair, and nothing that the value says."""

    class Broken:
        def __repr__(self):
            raise ValueError("hunter2")

    assert rendered(Broken()) == ("<Broken: ValueError>", 1)
    assert rendered([1, Broken()])[0] == [1, "<Broken: ValueError>"]


def test_a_type_whose_name_is_no_name_is_an_object():
    """Names in markers are plain."""
    broken = type("a\nb", (), {"__repr__": lambda _: 1 / 0})()

    assert rendered(broken) == ("<object: ZeroDivisionError>", 1)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_who_ends_the_program_is_not_held_up(stop):
    """A signal handler may raise while a value is looked at."""

    class Stopping:
        def __repr__(self):
            raise stop

    with pytest.raises(stop):
        rendered([Stopping()])


def test_models_are_written_with_their_fields():
    """What declares its fields is written with them, without calling its own code."""
    import attrs
    import pydantic

    @attrs.define
    class Attrs:
        a: int
        hidden: int = attrs.field(default=1, repr=False)

    class Model(pydantic.BaseModel):
        a: int
        password: str = "hunter2"
        hidden: int = pydantic.Field(default=1, repr=False)

        def model_dump(self, **_):
            raise ValueError

    assert rendered(Attrs(1)) == ({"a": 1}, 0)
    assert rendered(Model(a=1)) == ({"a": 1, "password": "[redacted]"}, 0)


def test_names_are_moved_until_they_are_free():
    """Reserved and doubled names are told apart."""
    careful = Careful()
    fields = careful.fields(
        {"level": 1, "field_level": 2, 3: "a", "3": "b", None: 4}, frozenset({"level"})
    )

    assert fields == {
        "field_field_level": 1, "field_level": 2, "field_3": "a", "3": "b", "None": 4,
    }  # fmt: skip


@given(st.dictionaries(st.text() | st.integers() | st.none(), st.text(), max_size=10))
def test_no_field_is_lost(given):
    """There are as many fields as were given, each with its value."""
    fields = Careful().fields(given, frozenset({"a", "b", "0"}))

    assert len(fields) == len(given)
    assert not fields.keys() & {"a", "b", "0"}


def test_long_text_is_cut_before_anything_is_done_with_it():
    """A text of gigabytes is not encoded."""
    text, degraded = rendered("x" * (rendering.LONGEST_TEXT + 5))

    assert len(text) == rendering.LONGEST_TEXT + 3
    assert degraded == 1
