"""What is the same on all lines of a context."""

import json
from uuid import UUID

import pytest

from obskit.context import PROCESS, Context, Unit
from obskit.logs import constant


def context(synthetic=None, **fields):
    """Return the context of a unit of work."""
    return Context(Unit.of("c", "generated", "t", "s", synthetic=synthetic), "s", None, fields)


def test_it_is_made_once_and_kept():
    """The next line of the context finds it there."""
    here = context()
    rendered = constant.render(here, ',"pid":1')

    assert here.rendered is rendered
    assert rendered[0] == ',"pid":1'
    assert json.loads("{" + rendered[1][1:] + "}")["correlation_id"] == "c"
    assert rendered[2:4] == ("", "")


def test_outside_of_a_unit_of_work_the_process_speaks():
    """Also where something is bound to the process."""
    assert constant.render(None, "p") == constant.outside("p")
    assert constant.outside("p")[:2] == ("p", ',"scope":"process"')
    assert constant.render(Context(PROCESS, "", None, {}), "p")[1] == ',"scope":"process"'


def test_plain_bound_fields_are_ready():
    """They follow the mark of a synthetic operation; their names are known."""
    rendered = constant.render(context(synthetic="probe", order=7, name='"x"', none=None), "p")

    assert json.loads("{" + rendered[3][1:] + "}") == {
        "synthetic": True, "order": 7, "name": '"x"', "none": None,
    }  # fmt: skip
    assert rendered[2] == ',"synthetic":true'
    assert not rendered[4].isdisjoint({"order": 1})
    assert rendered[4].isdisjoint({"other": 1})


@pytest.mark.parametrize(
    "fields",
    [
        {"ids": [1]}, {"id": UUID(int=1)}, {"password": "x"}, {"level": "x"}, {"\xe9": 1},
        {"x": float("nan")}, {"x": "\ud800"}, {"x": 2**70},
    ],
    ids=repr,
)  # fmt: skip
def test_others_are_looked_at_on_each_line(fields):
    """Secrets, names that are taken, and values that JSON does not have."""
    rendered = constant.render(context(**fields), "p")

    assert rendered[3] == ""
    assert not rendered[4].isdisjoint({"anything": 1})
