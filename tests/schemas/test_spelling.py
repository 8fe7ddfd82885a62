"""The names of fields in each schema."""

import pytest

from obskit import schemas
from obskit.fields import LINE
from obskit.schemas.spelling import _LISTED, SEPARATOR, places, spelling


@pytest.mark.parametrize("schema", schemas.NAMES)
def test_no_two_fields_share_a_place(schema):
    """Nor does one stand where another one's object is."""
    found = list(places(schema).values())

    assert len(set(found)) == len(found) == len(LINE)
    for place in found:
        assert not any(place[:end] in found for end in range(1, len(place)))


def test_a_new_field_has_a_name_by_rule():
    """Nobody has to think of all schemas for it."""
    assert spelling("obskit_news") == ("obskit>news", "attributes>obskit.news", "obskit_news", "_obskit_news", "obskit_news")  # fmt: skip  # noqa: E501
    assert set(_LISTED) <= {field.name for field in LINE}
    assert places("ecs")["http_request_method"] == ("http", "request", "method")
    assert SEPARATOR not in "".join(field.name for field in LINE)
