"""Lines of other programs become lines of ours; those of ours stay as they are."""

import json
import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.shipping.foreign import adopted

FACTS = {"service": "cron", "version": "", "env": "test", "host": "h1"}
OURS = (
    b'{"timestamp":"2026-01-02T03:04:05.678901Z","level":"info","message":"hi","logger":"x",'
    b'"service":"shop","host":"h2","pid":7,"scope":"process"}'
)
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def read(line):
    """Return what *line* has become."""
    return json.loads(adopted(line, FACTS))


def test_a_line_of_ours_stays_as_it_is():
    """Byte by byte."""
    assert adopted(OURS, FACTS) == OURS


def test_text_is_a_message():
    """It happened when it was read, and belongs to the service that was named."""
    line = read(b"2026 hello \xff\r")

    assert TIMESTAMP.fullmatch(line.pop("timestamp"))
    assert line == {
        "level": "info",
        "message": "2026 hello \ufffd",
        "logger": "stdin",
        "service": "cron",
        "env": "test",
        "host": "h1",
    }


@pytest.mark.parametrize(
    ("given_", "found"),
    [
        ({"time": 1700000000.5}, "2023-11-14T22:13:20.500000Z"),
        ({"ts": 1700000000500}, "2023-11-14T22:13:20.500000Z"),
        ({"@timestamp": "2026-01-02T03:04:05+01:00"}, "2026-01-02T02:04:05.000000Z"),
        ({"timestamp": "2026-01-02T03:04:05Z"}, "2026-01-02T03:04:05.000000Z"),
    ],
)
def test_json_of_other_loggers_keeps_its_time(given_, found):
    """Seconds, milliseconds, and ISO 8601 in any zone are understood."""
    line = read(json.dumps({**given_, "msg": "m", "severity": "WARN", "order": 5}).encode())

    assert line["timestamp"] == found
    assert (line["level"], line["message"], line["order"]) == ("warning", "m", 5)


@pytest.mark.parametrize("value", ["yesterday", "2026-01-02T03:04:05", True, None, [], 1e300])
def test_a_time_that_is_none_is_kept_under_another_name(value):
    """Nothing is lost, and the line has a time."""
    line = read(orjson.dumps({"timestamp": value, "message": "m"}))

    assert TIMESTAMP.fullmatch(line["timestamp"])
    assert line["field_timestamp"] == value


def test_a_line_in_another_schema_is_read_back():
    """What obskit writes as ECS for one reader is canonical for another."""
    from obskit.schemas import of

    ecs = of("ecs").encode(json.loads(OURS))
    line = read(json.dumps(ecs).encode())

    assert line["message"] == "hi"
    assert line["service"] == "shop"
    assert line["pid"] == 7


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.floats(width=32),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["timestamp", "level", "message", "time", "logger", "event", "service", "x"]
)


@given(st.dictionaries(NAMES | st.text(), JSON, max_size=6) | JSON | st.binary())
def test_whatever_comes_is_one_valid_line(value):
    """It has time, level, message and logger, and no newline."""
    line = value if isinstance(value, bytes) else json.dumps(value).encode()

    found = adopted(line, FACTS)
    told = orjson.loads(found)

    assert b"\n" not in found
    assert isinstance(told["timestamp"], str)
    assert {"timestamp", "level", "message"} <= told.keys()
