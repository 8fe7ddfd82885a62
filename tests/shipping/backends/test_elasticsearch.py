"""Lines go to Elasticsearch and OpenSearch by `_bulk`, and each is judged by its own answer."""

import json

import pytest

from obskit.http import Answer
from obskit.shipping import backends, target
from obskit.shipping.backends import elasticsearch as room
from obskit.shipping.verdict import AGAIN, REFUSED, TAKEN

FINE = {"create": {"status": 201}}


def answer(*items, errors=True, whole=True):
    """Return an answer with these items."""
    body = json.dumps({"errors": errors, "items": list(items)}).encode()
    return Answer(200, {}, body, whole)


def failed(status, kind):
    """Return an item."""
    return {"create": {"status": status, "error": {"type": kind, "reason": "because"}}}


def test_a_batch_is_one_bulk_request(start, lines):
    """Of its type, ending in a line break, asking for what is needed alone."""
    fake, backend = start("elasticsearch", "&pipeline=sh%26p ä")
    entries = lines("one", "two")
    backend.send(entries, 5)
    request = fake.requests[0]

    assert request.path == "/logs-obskit.shop-prod/_bulk"
    assert request.query["filter_path"].split(",")[:2] == ["errors", "items.*.status"]
    assert request.query["pipeline"] == "sh&p ä"
    assert request.headers["content-type"] == "application/x-ndjson"
    first, second = request.body.split(b"\n")[:2]
    assert json.loads(first) == {"create": {"_id": entries[0].id}}
    assert second == entries[0].body.replace(b'"timestamp"', b'"@timestamp"', 1)


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"service": "Shop-Front", "env": "EU/Prod"}, "logs-obskit.shop_front-eu_prod"),
        ({"service": "shop", "env": ""}, "logs-obskit.shop-default"),
        ({}, "logs-obskit.unknown-default"),
        ({"service": "*", "env": "x" * 200}, "logs-obskit.unknown-" + "x" * 80),
    ],
)
def test_the_data_stream_is_named_for_service_and_env(facts, name):
    """In the characters that such a name may have."""
    assert room.data_stream(facts) == name


def test_another_index_can_be_named(start, lines):
    """By the option."""
    fake, backend = start("elasticsearch", "&index=shop-logs")
    backend.send(lines("one"), 5)

    assert fake.product.indices == {"shop-logs"}


def test_what_is_sent_again_is_stored_once(start, lines):
    """The server knows the id, and says 409, which is as good as 201."""
    fake, backend = start("elasticsearch")
    entries = lines("one", "two")
    assert backend.send(entries, 5).kind == TAKEN
    assert backend.send(entries, 5) == (TAKEN, "", 0.0, False, (), "", 0)

    assert len(fake.received) == 2


def test_ids_can_be_left_to_the_server(start, lines):
    """What is sent again is then there twice."""
    fake, backend = start("elasticsearch", "&ids=0")
    entries = lines("one")
    for _ in range(2):
        assert backend.send(entries, 5).kind == TAKEN

    assert len(fake.received) == 2
    assert fake.requests[0].body.startswith(b'{"create":{}}\n')


def test_each_entry_is_judged_by_its_own_status(start, lines):
    """Of 201, 429, 400, 409 and 503 exactly 429 and 503 are sent again, and 400 is refused."""
    fake, backend = start("elasticsearch")
    entries = lines("201", "429", "400", "409", "503")
    fake.faults.use("partial", times=1)
    found = backend.send(entries, 5)

    assert found.kind == TAKEN
    assert [(index, one.kind) for index, one in found.items] == [
        (1, AGAIN),
        (2, REFUSED),
        (4, AGAIN),
    ]
    assert found.items[1][1].answer == "some_exception: as told"
    assert backend.send([entries[1], entries[4]], 5).kind == TAKEN
    assert [one["message"] for one in fake.received] == ["201", "409", "429", "503"]


def test_a_batch_of_which_nothing_was_taken_is_sent_again_as_a_whole(start, lines):
    """So that the pause is one for all of it."""
    fake, backend = start("elasticsearch")
    fake.product.statuses = [429]
    fake.faults.use("partial")
    found = backend.send(lines("one", "two"), 5)

    assert (found.kind, found.why, found.items) == (AGAIN, "status 429", ())


@pytest.mark.parametrize(
    ("status", "kind", "verdict"),
    [
        (400, "document_parsing_exception", REFUSED),
        (400, "illegal_argument_exception", REFUSED),
        (413, "too_large", REFUSED),
        (400, "index_closed_exception", AGAIN),
        (403, "cluster_block_exception", AGAIN),
        (403, "security_exception", AGAIN),
        (404, "index_not_found_exception", AGAIN),
        (429, "es_rejected_execution_exception", AGAIN),
        (500, "node_closed_exception", AGAIN),
        (503, "unavailable_shards_exception", AGAIN),
    ],
)
def test_what_is_wrong_with_the_index_is_no_lines_fault(status, kind, verdict):
    """Somebody puts that right, and the lines wait."""
    found = room._judge(answer(FINE, failed(status, kind)), 2)

    ((index, one),) = found.items
    assert (index, one.kind, one.why) == (1, verdict, f"status {status}")
    assert one.answer == f"{kind}: because"


@pytest.mark.parametrize(
    "found",
    [
        Answer(200, {}, b""),
        Answer(200, {}, b"{}"),
        Answer(200, {}, b"[1]"),
        Answer(200, {}, b'{"errors":true}'),
        Answer(200, {}, b'{"errors":true,"items":[{}]}'),
        Answer(200, {}, b'{"errors":true,"items":[{"create":{"status":"x"}}]}'),
        answer(FINE, FINE),
        answer(),
        answer(FINE, errors=False, whole=False),
        Answer(200, {}, b'{"errors":false,', False),
    ],
)
def test_an_answer_that_is_none_is_no_success(found):
    """Whoever said it, and however much of it arrived."""
    assert room._judge(found, 1)[:2] == (AGAIN, "not understood")


def test_a_long_answer_is_read_to_its_end(start, lines):
    """Thousands of errors are more than other servers ever say."""
    fake, backend = start("elasticsearch")
    fake.faults.poison = "bad"
    found = backend.send(lines(*["bad", "good"] * 1000), 20)

    assert len(found.items) == 1000
    assert len(fake.stored) == 1000


def test_lines_can_go_in_another_schema(start, lines):
    """As `format=ecs`."""
    fake, backend = start("elasticsearch", "&format=ecs")
    assert backend.send(lines("one"), 5).kind == TAKEN
    (document,) = fake.stored

    assert document["ecs.version"]
    assert document["service"]["name"] == "shop"


def test_a_line_break_between_fields_breaks_no_batch(start, lines):
    """Each document is one line of the request."""
    fake, backend = start("elasticsearch")
    entries = lines("one", "two")
    broken = entries[0]._replace(body=entries[0].body.replace(b'"message"', b'\n"message"'))
    assert backend.send([broken, entries[1]], 5).kind == TAKEN

    assert [one["message"] for one in fake.stored] == ["one", "two"]


def test_opensearch_is_the_same():
    """By its own name."""
    found = target.parse("opensearch+http://localhost:9200/behind?index=x")
    assert type(backends.open(found, {})) is room.Elasticsearch
