"""Lines of obskit in what collectors made of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit import schemas
from obskit.story.parsing import Assembler, is_ours, parse
from tests.schemas.records import FULL, PROCESS

LINE = {"correlation_id": "c-1", "message": 'a {brace} and "quotes" ü', "lc": 1}
TEXT = json.dumps(LINE)


@pytest.mark.parametrize(
    "raw",
    [
        TEXT,
        f"web-1  | {TEXT}",
        f"[pod/shop-7f/web] {TEXT}",
        f"2026-11-25T10:00:00Z {TEXT}",
        f"{TEXT} trailing words",
        json.dumps({"log": TEXT + "\n", "time": "x"}),
        json.dumps({"MESSAGE": TEXT, "_PID": "1"}),
        json.dumps({"message": TEXT, "@timestamp": "x"}),
        json.dumps({"result": {"_raw": TEXT}}),
        json.dumps({"_source": LINE}),
        json.dumps({"_source": {"message": TEXT}}),
        json.dumps({"line": json.dumps({"log": TEXT})}),
        json.dumps({"message": LINE}),
        json.dumps({"jsonPayload": LINE}),
    ],
)
def test_a_wrapped_line_is_found(raw):
    """Docker, kubectl, journald, Elasticsearch, Splunk, Google: the same line comes out."""
    assert parse(raw.encode()) == LINE


@pytest.mark.parametrize(
    "raw", [b"", b"hello", b"{", b"{torn", b'{"a": }', b"[1, 2]", b"}{", b"\xff"]
)
def test_other_text_is_none(raw):
    """What is no JSON object says nothing."""
    assert parse(raw) is None


@pytest.mark.parametrize("raw", [b'{"a": 1}', b'{"log": "x"}', b'{"message": "{"}', b"{}"])
def test_json_of_others_is_empty(raw):
    """A line of another program is told apart from a torn one."""
    assert parse(raw) == {}


def test_odd_json_is_read_carefully():
    """Wrong UTF-8, NaN and control characters do not lose a line."""
    raw = b'{"correlation_id": "c-1", "message": "\xff\x01", "x": NaN}'

    assert parse(raw)["message"] == "\ufffd\x01"


def test_deep_nesting_is_refused():
    """A hostile line does not exhaust the stack."""
    assert parse(b'{"a":' * 100_000 + b"1" + b"}" * 100_000) is None


def test_docker_cuts_long_lines_and_they_are_put_together():
    """Parts of two streams between each other are two lines."""
    assembler = Assembler()
    parts = [("stdout", TEXT[:10]), ("stderr", TEXT[:20]), ("stdout", TEXT[10:] + "\n"),
             ("stderr", TEXT[20:] + "\n")]  # fmt: skip
    raws = [json.dumps({"log": text, "stream": stream, "time": "t"}, separators=(",", ":")).encode()
            for stream, text in parts]  # fmt: skip

    found = [assembler.whole(raw) for raw in raws]

    assert found[:2] == [None, None]
    assert [parse(raw) for raw in found[2:]] == [LINE, LINE]


def test_the_cri_cuts_long_lines_and_they_are_put_together():
    """Kubernetes marks parts with P and the last one with F."""
    assembler = Assembler()
    start = "2026-11-25T10:00:00.1Z stdout"

    assert assembler.whole(f"{start} P {TEXT[:9]}".encode()) is None
    assert parse(assembler.whole(f"{start} F {TEXT[9:]}".encode())) == LINE
    assert parse(assembler.whole(f"{start} F {TEXT}".encode())) == LINE


@pytest.mark.parametrize(
    ("line", "ours"),
    [({"correlation_id": "x"}, True), ({"scope": "process"}, True), ({"lc_at": "x"}, True),
     ({"correlation_id": 7}, False), ({}, False), ({"scope": "other"}, False)],
)  # fmt: skip
def test_lines_of_ours_are_known(line, ours):
    """An ID, a place, or the mark of the process."""
    assert is_ours(line) is ours


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_bytes_break_the_parser(raw):
    """Any bytes are a line, foreign, or nothing."""
    whole = Assembler().whole(raw)
    assert whole is None or parse(whole) is None or isinstance(parse(whole), dict)


@pytest.mark.parametrize("name", schemas.NAMES)
@pytest.mark.parametrize("record", [FULL, PROCESS], ids=["full", "process"])
def test_a_line_in_any_schema_is_read_back(name, record):
    """Also where a collector has wrapped it; the canonical line comes out."""
    encoded = schemas.of(name).encode(record)
    text = encoded if name == "logfmt" else json.dumps(encoded)

    assert parse(text.encode()) == record
    assert parse(json.dumps({"message": text, "@timestamp": "x"}).encode()) == record
    assert parse(json.dumps({"line": json.dumps({"log": text})}).encode()) == record
    if name != "logfmt":
        assert parse(json.dumps({"_source": encoded}).encode()) == record


def test_an_entry_of_google_is_read_back():
    """What its logging makes of a line, and exports."""
    line = schemas.of("gcp").encode(FULL, project="shop")
    special = "logging.googleapis.com/"
    entry = {
        "logName": "projects/shop/logs/stdout",
        "severity": line.pop("severity"),
        "timestamp": line.pop("time").replace("000006Z", "000006123Z"),
        "httpRequest": line.pop("httpRequest"),
        "labels": line.pop(special + "labels"),
        "trace": line.pop(special + "trace"),
        "spanId": line.pop(special + "spanId"),
        "jsonPayload": line,
    }

    assert parse(json.dumps(entry).encode()) == FULL


def test_what_elastic_agents_make_of_a_line_is_read_back():
    """They expand dotted names, and add what they know."""
    encoded = schemas.of("ecs").encode(FULL)
    log = {**encoded["log"], "level": encoded.pop("log.level"), "offset": 7}
    found = {
        **encoded,
        "log": log,
        "ecs": {"version": encoded.pop("ecs.version")},
        "agent": {"id": "x"},
    }

    assert parse(json.dumps({"_source": found}).encode()) == FULL


def test_logfmt_of_others_is_left_alone():
    """It has no fields of ours."""
    assert parse(b"timestamp=2026-01-01T00:00:00Z level=info msg=hello") is None
    assert parse(b"level=info msg=hello") is None
