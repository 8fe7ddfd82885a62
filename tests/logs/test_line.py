"""How the fields of a line are made where a value is strange."""

import pytest

from obskit import fields
from obskit.context import PROCESS, Context
from obskit.logs import line
from obskit.logs.exceptions import Description, describe


def test_bound_fields_come_first_and_give_way():
    """The call's own value wins, at the place of the bound one."""
    here = Context(PROCESS, "", None, {"a": 1, "b": 2})

    assert line.carefully(here, "m", {"b": 3, "c": 4}, None, None) == (
        "m",
        {"a": 1, "b": 3, "c": 4},
    )
    assert here.fields == {"a": 1, "b": 2}


def test_an_error_stands_at_the_end():
    """What is known of it comes after the user's fields, in the order of the dictionary."""
    _, values = line.carefully(None, "m", {"a": 1}, ValueError("no"), None)

    assert list(values) == ["a", "error_type", "error_message", "error_fingerprint", "error_stack"]


def test_a_stack_does_not_hide_a_field():
    """The name of the stack is taken only where there is one."""
    assert line.carefully(None, "m", {"stack": 1}, None, None)[1] == {"stack": 1}
    assert line.carefully(None, "m", {"stack": 1}, None, "at")[1] == {
        "field_stack": 1, "stack": "at",
    }  # fmt: skip


def test_degraded_values_are_counted_on_the_line():
    """The number stands behind everything else."""
    _, values = line.carefully(None, "\ud800", {"a": float("nan")}, None, None)

    assert list(values.items())[-1] == ("obskit_degraded", 2)


def test_what_is_empty_about_an_error_is_left_out():
    """An error known by its text only has no fingerprint."""
    assert line.about(Description("T", "", "", "s")) == {"error_type": "T", "error_stack": "s"}


def test_a_description_is_not_made_twice():
    """What was described already is taken as it is."""
    found = describe(ValueError("no"))
    assert line.described(found) is found
    assert line.described(ValueError("no")) == found


@pytest.mark.parametrize("name", ["level", "password", "\ud800", "caf\xe9"])
def test_names_that_need_a_second_look(name):
    """Only names that are ordinary in every way are written as they are."""
    assert not line.is_plain(name)
    assert line.is_plain("order_id")


def test_infinite_numbers_are_found():
    """A number that JSON has not is never written as null."""
    assert line.has_strange_number({"a": 1.0, "b": float("inf")})
    assert not line.has_strange_number({"a": None, "b": 1.5, "c": "nan"})


def test_all_reserved_names_are_in_the_dictionary():
    """What is reserved is documented."""
    assert fields.LINE_NAMES >= line.RESERVED
