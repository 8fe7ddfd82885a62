"""GELF 1.1."""

import pytest

from obskit.schemas import gelf
from tests.schemas.records import FULL, PROCESS


def test_a_line_is_what_graylog_expects():
    """Syslog's severity, seconds, the stack as the long message, the rest behind underscores."""
    found = gelf.encode(FULL)

    assert found["version"] == "1.1"
    assert (found["host"], found["short_message"]) == ("h", "request finished")
    assert found["full_message"] == FULL["error_stack"]
    assert found["timestamp"] == 1_767_323_045.000006
    assert (found["level"], found["_level_name"]) == (4, "warning")
    assert found["_order_id"] == "CD-7"
    assert (found["_paid"], found["_nothing"], found["_cart"]) == ("true", "null", '{"items":[1]}')


@pytest.mark.parametrize("name", ["id", "source", "message", "level", "gl2_x", "_type", "a b", ""])
def test_a_name_that_graylog_takes_for_its_own_is_another_one(name):
    """Else it would drop the field, or the message."""
    found = gelf.encode(PROCESS | {name: "mine"}) if name not in PROCESS else gelf.encode(
        {**PROCESS, name: 7}
    )  # fmt: skip

    assert f"_{name}" not in found
    assert gelf.decode(found) == PROCESS | {name: 7 if name in PROCESS else "mine"}


@pytest.mark.parametrize("blank", ["", " \n", "-"])
def test_a_blank_message_has_a_mark(blank):
    """Graylog refuses one without; it comes back as it was."""
    found = gelf.encode(PROCESS | {"message": blank, "host": blank})

    assert (found["short_message"], found["host"]) == ("-", "-")
    assert gelf.decode(found) == PROCESS | {"message": blank, "host": blank}
