"""Fields to their places and back."""

import pytest

from obskit.schemas.placing import Places, copied, is_of_type

PLACES = Places(
    {"service": ("who", "name"), "pid": ("who", "pid"), "hop": ("hop",)},
    {"pid": (lambda pid: pid * 2 if pid < 9 else None, lambda found: found // 2)},
)


def test_fields_are_spread_and_gathered():
    """What has no place, or not the type, is left over."""
    made, rest = PLACES.spread({"service": "shop", "pid": 3, "hop": "x", "own": 1})

    assert made == {"who": {"name": "shop", "pid": 6}}
    assert rest == {"hop": "x", "own": 1}
    assert PLACES.gather(made) == {"service": "shop", "pid": 3}
    assert made == {"who": {}}


def test_what_cannot_be_converted_is_left_over():
    """It is the application's then."""
    assert PLACES.spread({"pid": 9}) == ({}, {"pid": 9})


@pytest.mark.parametrize("found", [{}, {"who": 7}, {"who": {"name": 7}}, {"hop": None}])
def test_what_is_not_there_is_not_found(found):
    """Nor what has another type."""
    before = copied(found)
    assert PLACES.gather(found) == {}
    assert found == before


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("pid", 1, True), ("pid", True, False), ("pid", 1.0, False), ("pid", 2**63, False),
        ("duration_ms", 1, True), ("duration_ms", 1.5, True), ("lc_after", ["a"], True),
        ("lc_after", [1], False), ("synthetic", True, True), ("synthetic", 1, False),
        ("service", None, False),
    ],
)  # fmt: skip
def test_types_are_those_of_the_dictionary(name, value, expected):
    """A boolean is no number, and a list holds text."""
    assert is_of_type(name, value) is expected
