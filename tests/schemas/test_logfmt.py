"""logfmt."""

import pytest

from obskit.schemas import logfmt
from tests.schemas.records import PROCESS


def test_a_line_is_read_by_people_too():
    """The names are those of the line; quotes stand where they must."""
    text = logfmt.encode(
        PROCESS | {"order_id": "CD-7", "total": 9.5, "paid": True, "nothing": None}
    )

    assert text == (
        'timestamp=2026-01-02T03:04:05.000006Z level=info message="process started" logger=obskit'
        " service=shop host=h pid=7 scope=process order_id=CD-7 total=9.5 paid=true nothing=null"
    )


@pytest.mark.parametrize(
    "text", ["7", "-1.5e3", "true", "null", "", " ", "a=b", 'a"b', "a\\b", "\n"]
)
def test_text_that_looks_like_something_else_stands_in_quotes(text):
    """So what stands without is a number, a boolean or null."""
    encoded = logfmt.encode(PROCESS | {"value": text})

    assert ' value="' in encoded
    assert "\n" not in encoded
    assert logfmt.decode(encoded)["value"] == text


def test_lists_and_objects_are_json_and_said_to_be():
    """Text that looks like JSON stays text."""
    record = PROCESS | {"cart": {"a": [1]}, "text": '{"a":[1]}', "a b": 1}
    encoded = logfmt.encode(record)

    assert encoded.endswith(r'a_b=1 obskit_renamed="[\"a_b\",\"a b\"]" obskit_json=cart')
    assert logfmt.decode(encoded) == record


@pytest.mark.parametrize("text", ["", "hello", "level=info msg=x", '{"timestamp":1}', "a=" * 100])
def test_other_text_is_none(text):
    """A line has a time and a level."""
    assert logfmt.decode(text) is None
