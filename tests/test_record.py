"""Named tuples that are cheap to declare."""

import copy
import pickle
from typing import NamedTuple

import pytest

from obskit.record import Record


class Point(Record):
    """A place."""

    x: int
    y: int = 2

    @property
    def total(self) -> int:
        return self.x + self.y


class Same(NamedTuple):
    """A place."""

    x: int
    y: int = 2


def test_a_record_is_what_a_named_tuple_is():
    """Fields, defaults, order and text are the same."""
    assert Point(1) == Same(1) == (1, 2)
    assert Point(y=1, x=3)._asdict() == {"x": 3, "y": 1}
    assert repr(Point(1)) == "Point(x=1, y=2)"
    assert Point._fields == Same._fields
    assert Point._field_defaults == Same._field_defaults
    assert Point.__annotations__ == Same.__annotations__


def test_a_record_knows_where_it_was_declared():
    """It can be pickled, and shows its documentation and its own methods."""
    assert pickle.loads(pickle.dumps(Point(5))) == Point(5)
    assert (Point.__module__, Point.__qualname__, Point.__doc__) == (__name__, "Point", "A place.")
    assert Point(1).total == 3


def test_a_record_cannot_be_changed():
    """Another one is made with some other values."""
    point = Point(1)

    with pytest.raises(AttributeError):
        point.x = 2  # type: ignore[misc]
    assert point._replace(y=9) == (1, 9)


class Long(Record):
    """More than is usual."""

    a: int
    b: int
    c: int
    d: int
    e: int
    f: int
    g: int
    h: int
    i: int = 9

    @property
    def total(self) -> int:
        return sum(self)


def test_a_long_record_is_one_too():
    """However many fields there are."""
    long = Long(1, 2, 3, 4, 5, 6, 7, h=8)
    assert (long.i, long.total, long._replace(a=2).a) == (9, 45, 2)
    assert pickle.loads(pickle.dumps(long)) == long


def test_a_record_is_made_of_what_can_be_iterated():
    """Of as many values as it has fields, and it can be taken apart by a pattern."""
    assert Point._make([3, 4]) == Point(3, 4)
    match Point(3, 4):
        case Point(x, y):
            assert (x, y) == (3, 4)
    assert copy.copy(Point(3)) == copy.deepcopy(Point(3)) == Point(3)
    for values in ((), (1, 2, 3)):
        with pytest.raises(TypeError):
            Point._make(values)


def test_arguments_are_checked():
    """What is missing or unknown is an error."""
    with pytest.raises(TypeError):
        Point(1)._replace(z=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Point(1, 2, 3)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Point(1, z=2)  # type: ignore[call-arg]
