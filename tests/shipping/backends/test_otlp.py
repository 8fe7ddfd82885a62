"""Lines go to a collector in OpenTelemetry's protocol; what it rejects is counted, never resent."""

import base64
import json

import pytest

from obskit.http import Answer
from obskit.shipping.backends import otlp as room
from obskit.shipping.verdict import AGAIN, REFUSED, TAKEN


def test_a_line_is_a_log_record(start, lines):
    """With resource, scope, severity, ids and attributes where they belong."""
    fake, backend = start("otlp")
    ids = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}
    time = "2026-11-25T17:18:02.123456Z"
    backend.send(lines("one", timestamp=time, level="error", order=7, **ids), 5)
    (record,) = fake.stored

    assert record["message"] == "one"
    assert record["timeUnixNano"] == "1795627082123456000"
    assert (record["severityNumber"], record["severityText"]) == (17, "ERROR")
    assert (record["traceId"], record["spanId"]) == (ids["trace_id"], ids["span_id"])
    assert record["resource"]["service.name"] == "shop"
    assert record["scope"] == "shop"
    assert record["order"] == 7


def test_lines_of_one_process_share_a_resource(lines):
    """Those of one logger share a scope."""
    entries = [*lines("a"), *lines("b", logger="other"), *lines("c"), *lines("d", pid=8)]
    found = json.loads(room.encode(entries))["resourceLogs"]

    assert [len(one["scopeLogs"]) for one in found] == [2, 1]
    assert [len(one["logRecords"]) for one in found[0]["scopeLogs"]] == [2, 1]


def test_the_request_is_what_the_protocol_defines(lines):
    """The published messages take all of it, ids aside, which the protocol writes otherwise."""
    json_format = pytest.importorskip("google.protobuf.json_format")
    service = pytest.importorskip("opentelemetry.proto.collector.logs.v1.logs_service_pb2")
    hostile = {
        "n": None, "t": True, "i": -(2**63), "big": 2**70, "f": 1.5, "l": [1, "a", [None]],
        "d": {"x": {"y": []}}, "trace_id": "ab" * 16, "span_id": "cd" * 8, "": "", "ü": "é",
    }  # fmt: skip
    found = json.loads(room.encode(lines("one", **hostile)))
    (record,) = found["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    for name in ("traceId", "spanId"):
        record[name] = base64.b64encode(bytes.fromhex(record[name])).decode()
    message = json_format.ParseDict(found, service.ExportLogsServiceRequest())
    parsed = message.resource_logs[0].scope_logs[0].log_records[0]

    assert parsed.trace_id == bytes.fromhex("ab" * 16)
    attributes = {one.key: one.value for one in parsed.attributes}
    assert attributes["i"].int_value == -(2**63)
    assert attributes["big"].double_value == 2.0**70
    assert attributes["t"].bool_value is True
    assert attributes["l"].array_value.values[1].string_value == "a"


def test_a_number_that_is_too_large_for_the_protocol_is_text(start, lines):
    """One such value would cost its whole request."""
    fake, backend = start("otlp")
    backend.send(lines("one", most=2**63 - 1, more=2**63), 5)

    assert fake.stored[0]["most"] == 2**63 - 1
    assert fake.stored[0]["more"] == str(2**63)


def test_what_is_rejected_is_counted_and_not_sent_again(start, lines):
    """The collector does not say which it was."""
    fake, backend = start("otlp")
    fake.faults.use("partial", times=1)
    found = backend.send(lines("one", "two", "three", "four"), 5)

    assert (found.kind, found.lost, found.items) == (TAKEN, 2, ())
    assert (found.why, found.answer) == ("rejected", "some were rejected")
    assert len(fake.requests) == 1


def test_a_batch_that_is_rejected_as_a_whole_is_refused(start, lines):
    """Then it is known which it was."""
    fake, backend = start("otlp")
    fake.faults.poison = "p0ison"
    found = backend.send(lines("p0ison 1", "p0ison 2"), 5)

    assert (found.kind, found.part, found.why) == (REFUSED, False, "rejected")


@pytest.mark.parametrize(
    ("body", "kind", "lost"),
    [
        (b"", TAKEN, 0),
        (b"{}", TAKEN, 0),
        (b'{"partialSuccess":null}', TAKEN, 0),
        (b'{"partialSuccess":{"rejectedLogRecords":0,"errorMessage":"a warning"}}', TAKEN, 0),
        (b'{"partialSuccess":{"rejectedLogRecords":1}}', TAKEN, 1),
        (b'{"partialSuccess":{"rejectedLogRecords":"-4"}}', TAKEN, 0),
        (b'{"partialSuccess":{"rejectedLogRecords":"99"}}', REFUSED, 0),
        (b'{"partialSuccess":{"rejectedLogRecords":"many"}}', AGAIN, 0),
        (b"[]", AGAIN, 0),
        (b"ok", AGAIN, 0),
    ],
)
def test_a_success_says_what_it_is_worth(body, kind, lost):
    """Numbers may be text, and what cannot be read is no success."""
    found = room._partial(Answer(200, {}, body), 3)

    assert (found.kind, found.lost) == (kind, lost)
