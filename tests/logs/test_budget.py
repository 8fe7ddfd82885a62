"""How values are shortened so that a line fits."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.logs import budget
from obskit.logs.budget import fit, shortened

STACK = "\n".join(
    ["ValueError: no such order", *(f"  app.py:{n} in f{n}: g()" for n in range(200))]
)


def size(message, fields):
    """Return the bytes that message and fields take on a line."""
    return len(orjson.dumps(message)) + len(orjson.dumps(fields)) - 1


def test_what_fits_stays():
    """A line within its budget is not touched."""
    fields = {"a": "x" * 100, "b": [1, 2]}
    assert fit("hello", fields, 200, orjson.dumps) == ("hello", fields)


def test_frames_go_first():
    """The stack gives way before anybody's values, and its ends stay."""
    fields = {"order_id": "CD-4711", "text": "x" * 500, "error_stack": STACK}
    message, kept = fit("m" * 300, fields, 2500, orjson.dumps)

    assert message == "m" * 300
    assert kept["text"] == "x" * 500
    assert kept["error_stack"].startswith("ValueError: no such order")
    assert "lines left out" in kept["error_stack"]
    assert size(message, kept) <= 2500


def test_then_the_longest_values_give_way():
    """Short values stay as they are, long ones become equally long."""
    fields = {
        "id": "x" * 60,
        "short": "s" * 200,
        "a": "a" * 5000,
        "b": "b" * 9000,
        "error_stack": STACK,
    }
    message, kept = fit("hello", fields, 4000, orjson.dumps)

    assert (message, kept["id"], kept["short"]) == ("hello", fields["id"], fields["short"])
    assert len(kept["a"]) == len(kept["b"]) > 500
    assert kept["a"].endswith("a ...")
    assert kept["error_stack"]
    assert 3500 < size(message, kept) <= 4000


def test_a_long_message_is_shortened_like_the_values():
    """The beginning of a message says most."""
    message, kept = fit("m" * 9000, {"order_id": 7}, 1000, orjson.dumps)

    assert message.startswith("m" * 800)
    assert message.endswith("m ...")
    assert kept["order_id"] == 7


def test_too_many_fields_are_dropped_from_the_end():
    """Where even short values do not fit, whole fields go; the error is the last to go."""
    fields = {f"field number {n}": n for n in range(500)} | {"error_type": "ValueError"}
    message, kept = fit("hello", fields, 1000, orjson.dumps)

    assert message == "hello"
    assert kept["error_type"] == "ValueError"
    assert list(kept)[:3] == ["field number 0", "field number 1", "field number 2"]
    assert size(message, kept) <= 1000


def test_the_given_fields_are_not_changed():
    """They may be the caller's own."""
    fields = {"a": ["x" * 5000], "b": {"c": "y" * 5000}}
    before = repr(fields)
    fit("hello", fields, 500, orjson.dumps)

    assert repr(fields) == before


def test_no_room_at_all_is_no_error():
    """If the constant part alone is too long, the values go."""
    assert fit("hello", {"a": "x" * 100, "b": 1}, -50, orjson.dumps)[1].keys() == {budget.TRUNCATED}


@pytest.mark.parametrize("stack", [None, 1, ["x" * 500], {"a": "x" * 500}])
def test_a_stack_that_is_no_text_is_a_value_like_others(stack):
    """Whoever puts it there."""
    kept = fit("x", {"error_stack": stack, "a": "y" * 500}, 200, orjson.dumps)[1]

    assert size("x", kept) <= 200
    assert type(kept["error_stack"]) is type(stack)


_plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=200),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5)
    ),
    max_leaves=10,
)


@given(
    st.dictionaries(st.text(max_size=30), _plain, max_size=10),
    st.text(max_size=500),
    st.integers(150, 2000),
)
def test_whatever_is_given_fits_and_is_accounted_for(fields, message, room):
    """The result is never too long, and says exactly how many bytes went."""
    fields.pop(budget.TRUNCATED, None)
    before = size(message, fields)
    shorter, kept = fit(message, fields, room, orjson.dumps)
    gone = kept.pop(budget.TRUNCATED, None)

    assert size(shorter, kept) <= room
    if gone is None:
        assert (shorter, kept) == (message, fields)
    else:
        assert before - size(shorter, kept) == pytest.approx(gone, abs=1)
        assert kept.keys() <= fields.keys()


@given(_plain, st.integers(2, 300))
def test_a_shortened_value_keeps_its_type(value, most):
    """A list stays a list and a text a text, or a mapping of indexes would break."""
    result = shortened(value, most, orjson.dumps)

    assert type(result) is type(value)
    if isinstance(value, (str, list, dict)):
        assert len(orjson.dumps(result)) <= max(most, 2)
