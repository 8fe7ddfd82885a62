"""A real OpenSearch takes what is sent to it, each line once, and says which it does not like."""

import json

import pytest

from obskit.shipping import backends, target
from obskit.shipping.backends import elasticsearch as room
from obskit.shipping.verdict import AGAIN, REFUSED, TAKEN

MAPPINGS = {"properties": {"@timestamp": {"type": "date_nanos"}, "amount": {"type": "long"}}}


@pytest.fixture
def send(opensearch):
    """Give what sends entries to a stream of a new name, with its mappings; and that name."""
    name = opensearch.stream("shipping", mappings=MAPPINGS)
    made = []

    def run(entries, options=""):
        url = f"opensearch+{opensearch.url}?index={name}{options}"
        made.append(backends.open(target.parse(url), {}))
        return made[-1].send(entries, 10)

    run.stream = name
    yield run
    for one in made:
        one.close()


def test_what_is_sent_again_is_stored_once(opensearch, send, lines):
    """The real server says 409, too, and the documents are the lines."""
    entries = lines(*(f"m{number}" for number in range(2500)), order=7)
    assert send(entries) == room.verdict.ALL_TAKEN
    assert send(entries) == room.verdict.ALL_TAKEN
    more = lines("last")
    assert send(entries[-1:] + more) == room.verdict.ALL_TAKEN
    found = opensearch.documents(send.stream, lambda rows: len(rows) >= 2501)

    assert len(found) == 2501
    expected = json.loads(entries[0].body)
    expected["@timestamp"] = expected.pop("timestamp")
    assert expected in found


def test_each_document_is_judged_alone(opensearch, send, lines):
    """One of another type, one that is no document, one without a time."""
    good = lines("one", "two", "three", amount=5)
    bad = [*lines("bad", amount="many"), *lines("huge", amount=1e300)]
    broken = good[2]._replace(body=good[2].body[:-1])
    found = send([good[0], *bad, broken, good[1]])

    assert [(index, one.kind) for index, one in found.items] == [
        (1, REFUSED),
        (2, REFUSED),
        (3, REFUSED),
    ]
    assert "failed to parse field [amount] of type [long]" in found.items[0][1].answer
    assert "caused_by" not in found.items[0][1].answer
    rows = opensearch.documents(send.stream, lambda rows: len(rows) >= 2)
    assert sorted(row["message"] for row in rows) == ["one", "two"]


def test_a_blocked_index_is_waited_for(opensearch, send, lines):
    """It is no line's fault, and nothing is refused for it."""
    assert send(lines("one")).kind == TAKEN
    opensearch.ask("PUT", f"{send.stream}/_settings", {"index.blocks.write": True})
    entries = lines("two", "three")
    found = send(entries)
    opensearch.ask("PUT", f"{send.stream}/_settings", {"index.blocks.write": False})

    assert (found.kind, found.why) == (AGAIN, "status 403")
    assert found.answer.startswith("cluster_block_exception")
    assert send(entries).kind == TAKEN


def test_lines_can_go_in_ecs(opensearch, send, lines):
    """Whatever else is in the stream."""
    assert send(lines("one"), "&format=ecs").kind == TAKEN
    (row,) = opensearch.documents(send.stream, len)

    assert row["service"] == {"name": "shop", "environment": "prod"}


def test_lines_of_other_programs_are_documents(opensearch, send, lines):
    """Whatever they are."""
    bodies = [b"plain", b"[1]", b'{"timestamp":"when","a":1}', b'{"x":\n1}', b"\xff"]
    entries = [one._replace(body=body) for one, body in zip(lines(*"abcde"), bodies, strict=True)]
    assert send(entries) == room.verdict.ALL_TAKEN

    assert len(opensearch.documents(send.stream, lambda rows: len(rows) >= 5)) == 5


def test_a_lost_and_a_frozen_server_are_waited_for(opensearch, send, lines):
    """And nothing is there twice afterwards."""
    entries = lines("one", "two")
    assert send(entries).kind == TAKEN
    opensearch.kill()
    assert send(entries)[:2] == (AGAIN, "no connection")
    opensearch.start()
    url = f"opensearch+{opensearch.url}?index={send.stream}&timeout=1"
    backend = backends.open(target.parse(url), {})
    with opensearch.paused():
        assert backend.send(entries, 1)[:2] == (AGAIN, "timeout")
    assert backend.send(entries, 10).kind == TAKEN
    backend.close()

    assert len(opensearch.documents(send.stream, lambda rows: len(rows) >= 2)) == 2
