"""Lines of obskit in what collectors made of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.story.parsing import Assembler, is_ours, parse

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
