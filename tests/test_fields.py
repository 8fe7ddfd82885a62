"""What is published about the fields of a line."""

import json

import jsonschema
import pytest

from obskit import fields
from obskit.fields import LINE
from obskit.observation import OUTCOMES
from tests.source import ROOT

PUBLISHED = ROOT / "docs" / "reference" / "line.schema.json"
PROCESS = {
    "timestamp": "2026-01-02T03:04:05.678901Z",
    "level": "info",
    "message": "hello",
    "logger": "app",
    "service": "shop",
    "host": "h",
    "pid": 1,
    "scope": "process",
}
OPERATION = {name: value for name, value in PROCESS.items() if name != "scope"} | {
    "correlation_id": "order:7",
    "correlation_source": "inherited",
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "span_id": "b7ad6b7169203331",
    "hop": 1,
    "lc": 1,
    "lc_at": "b7ad6b7169203331-1",
}


@pytest.fixture(scope="module")
def validator():
    """Give a validator of the published schema."""
    schema = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_published_schema_is_current():
    """The file is written from `line_schema`, with an indent of two."""
    text = json.dumps(fields.line_schema(), indent=2, ensure_ascii=False) + "\n"

    assert PUBLISHED.read_text(encoding="utf-8") == text


def test_names_are_there_once():
    """No field and no metric is described twice."""
    assert len(fields.LINE_NAMES) == len(LINE)
    assert len({metric.name for metric in fields.METRICS}) == len(fields.METRICS)


@pytest.mark.parametrize("line", [PROCESS, OPERATION, {**OPERATION, "user": {"any": [1, None]}}])
def test_lines_are_valid(validator, line):
    """Of the process, of an operation, and with fields of the application's own."""
    validator.validate(line)


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": "2026-01-02T03:04:05Z"},
        {"timestamp": "2026-01-02T03:04:05.678901Z\n"},
        {"level": "INFO"},
        {"message": 1},
        {"pid": "1"},
        {"pid": -1},
        {"trace_id": "xyz"},
        {"correlation_id": ""},
        {"correlation_id": "a b"},
        {"scope": "process"},
        {"lc_after": ["x"]},
        {"lc_broken": 1},
        {"outcome": "fine"},
        {"lc_at": None},
    ],
)
def test_wrong_lines_are_invalid(validator, change):
    """A field of another type or form, or of both kinds of lines at once."""
    assert not validator.is_valid(OPERATION | change)


@pytest.mark.parametrize("name", [*OPERATION])
def test_what_is_always_there_is_required(validator, name):
    """A line of an operation without one of these is none."""
    line = dict(OPERATION)
    del line[name]

    assert not validator.is_valid(line)


def test_the_outcomes_are_those_that_are_judged():
    """The dictionary names the same ones as the judge."""
    [outcome] = [field for field in LINE if field.name == "outcome"]

    assert tuple(outcome.pattern.split("|")) == OUTCOMES
    assert outcome.meaning.replace(" or ", ", ") == ", ".join(OUTCOMES)
