"""The fakes are strict: they refuse what the products refuse, in the products' words."""

import http.client
import json
import socket
import time

import pytest

from tests.fakes.fake import PRODUCTS, WEB, Fake
from tests.fakes.faults import NAMES, Faults

ES = "/logs-shop-prod/_bulk"
EVENT = "/services/collector/event"
PUSH = "/loki/api/v1/push"
STRUCTURED = "/api/v1/ingest/humio-structured"
NDJSON = "application/x-ndjson"
DOCUMENT = '{"create":{"_id":"a"}}\n{"@timestamp":"2026-11-25T17:18:02Z","message":"m"}\n'


def ask(fake, path, body, content_type="application/json", method="POST", **headers):
    """Send a request as it is; return status and body."""
    word = {"elasticsearch": "ApiKey", "splunk": "Splunk"}.get(fake.product.backend, "Bearer")
    sent = {"Content-Type": content_type, "Authorization": f"{word} {fake.secret}"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {name: value for name, value in sent.items() if value is not None}
    connection = http.client.HTTPConnection("127.0.0.1", fake.port, timeout=5)
    connection.request(method, path, body, sent)
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    return answer.status, content


@pytest.mark.parametrize(
    ("name", "path", "body", "more", "status", "said"),
    [
        ("elasticsearch", ES, DOCUMENT, {"content_type": NDJSON}, 200, '"status": 201'),
        ("elasticsearch", ES, DOCUMENT, {"content_type": "text/plain"}, 406, "is not supported"),
        ("elasticsearch", ES, DOCUMENT[:-1], {}, 400, "must be terminated by a newline"),
        ("elasticsearch", ES, "x\ny\n", {}, 400, "Malformed action/metadata line"),
        ("elasticsearch", ES, "\n", {}, 400, "no requests added"),
        ("elasticsearch", ES, DOCUMENT.replace("create", "index"), {}, 200, "op_type of create"),
        ("elasticsearch", ES, DOCUMENT.replace("@", ""), {}, 200, "[@timestamp] is missing"),
        ("elasticsearch", ES, '{"create":{}}\n{]\n', {}, 200, "document_parsing_exception"),
        ("elasticsearch", ES, DOCUMENT * 2, {}, 200, '"status": 409'),
        ("elasticsearch", ES, DOCUMENT, {"Authorization": "Bearer x"}, 401, "security_exception"),
        ("elasticsearch", "/x", DOCUMENT, {}, 405, "method_not_allowed"),
        ("humio", STRUCTURED, "[]", {}, 200, "{}"),
        ("humio", STRUCTURED, "{}", {}, 400, "no list"),
        ("humio", STRUCTURED, '[{"events":[{"attributes":{}}]}]', {}, 400, "timestamp"),
        ("humio", STRUCTURED, '[{"events":[{"timestamp":1,"attributes":{}}]}]', {}, 400, "timest"),
        ("humio", STRUCTURED, '[{"tags":{"a":1},"events":[]}]', {}, 400, "tags are text"),
        ("humio", STRUCTURED, "[]", {"content_type": "text/plain"}, 400, "media type"),
        ("humio", STRUCTURED, "[]", {"Authorization": None}, 401, "authentication is invalid"),
        ("splunk", EVENT, '{"time":1,"event":"x"}', {}, 200, "Success"),
        ("splunk", EVENT, "", {}, 400, '"code": 5'),
        ("splunk", EVENT, '{"time":1,"event":"x"} {"time":2}', {}, 400, '"code": 12'),
        ("splunk", EVENT, '{"time":1,"event":"x"} {"time":2}', {}, 400, 'event-number": 1'),
        ("splunk", EVENT, '{"time":1,"event":" "}', {}, 400, '"code": 13'),
        ("splunk", EVENT, '[{"time":1,"event":"x"}]', {}, 400, '"code": 6'),
        ("splunk", EVENT, '{"time":1,"event":"x","more":1}', {}, 400, '"code": 6'),
        ("splunk", EVENT, '{"time":1,"event":"x","fields":{"a":1}}', {}, 400, '"code": 15'),
        ("splunk", EVENT, '{"time":1,"event":"x","index":"no"}', {}, 400, '"code": 7'),
        ("splunk", EVENT, "{}", {"Authorization": None}, 401, '"code": 2'),
        ("splunk", EVENT, "{}", {"Authorization": "Bearer x"}, 401, '"code": 3'),
        ("splunk", EVENT, "{}", {"Authorization": "Splunk x"}, 403, '"code": 4'),
        ("splunk", EVENT, "{}", {"X_Splunk_Request_Channel": "x"}, 400, '"code": 11'),
        ("splunk", "/services/collector/ack", '{"acks":[0]}', {}, 400, '"code": 14'),
        ("splunk ack", EVENT, '{"time":1,"event":"x"}', {}, 400, '"code": 10'),
        ("loki", PUSH, '{"streams":[]}', {}, 204, ""),
        ("loki", PUSH, '{"streams":[{"stream":{},"values":[["1","x"]]}]}', {}, 400, "one label"),
        ("loki", PUSH, '{"streams":[{"stream":{"a":"b"},"values":[[1,"x"]]}]}', {}, 400, "no text"),
        ("loki", PUSH, '{"streams":[{"stream":{"a.b":"c"},"values":[]}]}', {}, 400, "labels"),
        ("loki", PUSH, '{"streams":[{"stream":{"a":"b"},"values":[["1","x"]]}]}', {}, 400, "old"),
        ("loki", PUSH, "", {"content_type": "text/plain"}, 400, "content type"),
        ("logstash", "/", "[{}]", {}, 200, "ok"),
        ("logstash", "/", "[]", {"Authorization": None}, 401, ""),
        ("otlp", "/v1/logs", '{"resourceLogs":[]}', {}, 200, "partialSuccess"),
        ("otlp", "/v1/logs", "{}", {}, 400, "resourceLogs"),
        ("otlp", "/v1/logs", "{}", {"content_type": "text/plain"}, 415, ""),
        ("gelf", "/gelf", "x" * 70_000, {}, 413, ""),
        ("gelf", "/gelf", "{}", {}, 202, ""),
        ("zipkin", "/api/v2/spans", "{}", {}, 400, "Cannot decode"),
    ],
)
def test_a_fake_answers_as_its_product_does(name, path, body, more, status, said):
    """The right way and the wrong ones."""
    with Fake(name) as fake:
        found = ask(fake, path, body, **more)

    assert found[0] == status
    assert said in found[1]


RECORD = {
    "timeUnixNano": "1", "observedTimeUnixNano": "1", "severityNumber": 9, "traceId": "ab" * 16,
    "body": {"stringValue": "x"}, "attributes": [{"key": "a", "value": {"intValue": "1"}}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 200),
        ({"timeUnixNano": 1}, 400),
        ({"traceId": "q83vEjRWeJASNFZ4kBI0Vg=="}, 400),
        ({"traceId": "AB" * 16}, 400),
        ({"severity_number": 9}, 400),
        ({"body": {"string_value": "x"}}, 400),
        ({"attributes": [{"key": "a", "value": {"intValue": 1}}]}, 400),
        ({"attributes": {"a": 1}}, 400),
    ],
)
def test_the_collector_is_strict_about_records(change, status):
    """Numbers are text, ids hexadecimal in lower case, names in camelCase."""
    resource = {"resource": {"attributes": []}}
    scope = {"scope": {"name": "x"}, "logRecords": [RECORD | change]}
    body = json.dumps({"resourceLogs": [resource | {"scopeLogs": [scope]}]})
    with Fake("otlp") as fake:
        assert ask(fake, "/v1/logs", body)[0] == status


@pytest.mark.parametrize(
    "message",
    [
        b"{}",
        b'{"version":"1.0","host":"h","short_message":"m"}',
        b'{"version":"1.1","host":"h","short_message":" "}',
        b'{"version":"1.1","host":"h","short_message":"m","extra":1}',
        b'{"version":"1.1","host":"h","short_message":"m","_id":1}',
        b'{"version":"1.1","host":"h","short_message":"m","_x":true}',
        b'{"version":"1.1","host":"h","short_message":"m","_x":[]}',
        b'{"version":"1.1","host":"h","short_message":"m","level":9}',
        b'{"version":"1.1","host":"h","short_message":"m","timestamp":"1"}',
        b"\x1f\x8bzip",
    ],
)
def test_graylog_accepts_all_and_reads_what_it_can(message):
    """What it cannot read is gone without a word, so a test has to look for it."""
    product = PRODUCTS["gelf tcp"](Faults())
    product.take(message)
    product.take(b'{"version":"1.1","host":"h","short_message":"m","_x":1.5,"level":3}')

    assert product.refused == [message]
    assert len(product.received) == 1


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx",
        b"POST /\r\n\r\n",
    ],
)
def test_a_request_has_to_be_one(request_):
    """Of known length, for one host, in an encoding that is one."""
    with Fake("logstash") as fake:
        with socket.create_connection(("127.0.0.1", fake.port), 5) as connection:
            connection.sendall(request_)
            assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
        assert fake.requests == []


@pytest.mark.parametrize("name", WEB)
def test_a_fault_is_met_so_often_and_no_more(name):
    """Then the fake is well again."""
    with Fake(name) as fake:
        fake.faults.use("503", times=2)
        found = [ask(fake, "/nowhere", "")[0] for _ in range(3)]

    assert found[:2] == [503, 503]
    assert found[2] != 503
    assert fake.faults.met == ["503", "503"]


def test_a_fake_that_refuses_comes_back_on_its_port():
    """Those who are connected are dropped."""
    with Fake("logstash tcp") as fake:
        with socket.create_connection(("127.0.0.1", fake.port), 5) as connection:
            time.sleep(0.05)
            fake.faults.use("refused")
            connection.settimeout(5)
            assert connection.recv(1) == b""
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", fake.port), 5)
            fake.faults.clear()
        socket.create_connection(("127.0.0.1", fake.port), 5).close()


def test_faults_have_names():
    """Others are none."""
    with pytest.raises(AssertionError):
        Faults().use("bad weather")
    assert len({*NAMES}) == len(NAMES)
