"""The doctor's own reading of the line format."""

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit import fields, schemas
from obskit.cli import _lines

LINE = {
    "timestamp": "2026-11-25T12:00:00.000001Z",
    "level": "info",
    "message": "x",
    "logger": "app",
    "service": "shop",
    "host": "h",
    "pid": 1,
    "scope": "process",
}


def raw(**changes):
    """Return a line with some fields changed; None takes one off."""
    line = {name: value for name, value in (LINE | changes).items() if value is not None}
    return json.dumps(line).encode()


def test_a_valid_line_has_no_fault():
    """What the schema allows is well."""
    verdict = _lines.judge(raw(order=4711))

    assert verdict.fault == ""
    assert verdict.line["order"] == 4711


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"INFO:     started", "no JSON"),
        (b'{"a": 1', "no JSON from character 7 on"),
        (b"{} {}", "no JSON from character 3 on"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b'{"a": 1, "a": 2}', "a key stands twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[1]", "no JSON object"),
        (b"{}", "without timestamp"),
        (raw(scope=None), "without correlation_id"),
        (raw(pid="1"), "pid is not of type int"),
        (raw(pid=True), "pid is not of type int"),
        (raw(lc_broken=1), "lc_broken is not of type bool"),
        (raw(timestamp="2026-11-25 12:00:00"), "timestamp is not RFC 3339"),
        (raw(outcome="fine"), "outcome has not the form"),
    ],
)
def test_each_fault_is_named(text, says):
    """Who looks for the escapee learns what is wrong with it."""
    assert _lines.judge(text).fault.startswith(says)


def test_lines_are_numbered_as_editors_number_them():
    """Empty lines count, and are none of ours to judge."""
    found = list(_lines.read(b"\n" + raw() + b"\nx\n"))

    assert [verdict.number for verdict in found] == [2, 3]
    assert [bool(verdict.fault) for verdict in found] == [False, True]


@pytest.mark.parametrize(
    ("text", "writer"),
    [
        (b"Traceback (most recent call last):", "traceback"),
        (b'  File "app.py", line 1', "traceback"),
        (b"ValueError: no", "traceback"),
        (b"[2026-11-25 12:00:00 +0000] [7] [INFO] Listening", "gunicorn"),
        (b"INFO:     Started server process", "uvicorn"),
        (b'127.0.0.1 - - [25/Nov/2026] "GET / HTTP/1.1" 200', "access log"),
        (b"WARNING:root:late", "basicConfig"),
        (b"/app/x.py:3: DeprecationWarning: old", "warnings"),
        (b'{"torn', "another writer"),
        (b"hello", "C code"),
    ],
)
def test_the_writer_is_guessed(text, writer):
    """Each style of text has somebody who writes so."""
    assert writer in _lines.writer(text)


VALUES = st.one_of(st.text(max_size=5), st.integers(-1, 2), st.booleans(), st.floats(0, 1))
CHANGES = st.dictionaries(st.sampled_from([field.name for field in fields.LINE]), VALUES)


@given(CHANGES)
def test_who_is_well_by_the_doctor_fits_the_published_schema_of_each_field(changes):
    """Two independent readings of the format agree about types and forms."""
    line = LINE | changes
    schema = {"properties": fields.line_schema()["properties"]}
    fits = jsonschema.Draft202012Validator(schema).is_valid(line)

    if not _lines.judge(json.dumps(line).encode()).fault:
        assert fits


@pytest.mark.parametrize("form", schemas.NAMES)
def test_a_line_is_judged_in_the_form_that_is_set(form):
    """What it says is read back; a line in another form is none."""
    encoded = schemas.of(form).encode(json.loads(raw(order=4711)))
    text = encoded if form == "logfmt" else json.dumps(encoded)
    verdict = _lines.judge(text.encode(), form)

    assert verdict.fault == ""
    assert verdict.line["order"] == 4711
    assert _lines.judge(b"hello", form).fault
    assert _lines.judge(b"{}", form).fault == f"not in the format {form}"
    assert _lines.judge(b"\xff", form).fault == "not UTF-8 at byte 0"


def test_a_wrong_field_is_seen_in_every_form():
    """A number below zero, or a pattern that does not match."""
    found = schemas.of("gelf").encode(json.loads(raw()) | {"pid": -1})

    assert _lines.judge(json.dumps(found).encode(), "gelf").fault == "pid is below 0"
    assert _lines.judge(b"[1]", "gelf").fault == "no JSON object"
