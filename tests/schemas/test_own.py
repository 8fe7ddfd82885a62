"""The application's own fields under names and with values that a schema takes."""

from hypothesis import given
from hypothesis import strategies as st

from obskit.schemas import own


@given(st.dictionaries(st.text("a._", max_size=3), st.integers(), max_size=8))
def test_names_are_fit_and_come_back(fields):
    """However many become the same."""
    taken = ("a", "_a")
    made, renamed = own.named(fields, lambda name: name.replace(".", "_"), taken)

    assert len(made) == len(fields)
    assert not {"a", "_a"} & set(made)
    assert not any("." in name for name in made)
    assert own.unnamed(made, renamed) == fields


def test_notes_that_are_none_are_passed_over():
    """Somebody on the way has changed them."""
    for notes in (None, 7, [1], ["a"], "a"):
        assert own.unnamed({"a": 1}, notes) == {"a": 1}
    found = {"a": "[", "b": 7}
    own.of_json(found, ["a", "b", "c"])
    assert found == {"a": "[", "b": 7}


def test_large_numbers_are_found_wherever_they_are():
    """Also deep inside."""
    assert own.has_number_beyond(8, {"a": [1, {"b": 8}]})
    assert own.has_number_beyond(8, -9)
    assert not own.has_number_beyond(8, {"a": [1, {"b": 7}], "c": 9.5, "d": "9", "e": True})
