"""Lines go to Loki as streams, and what it skips is found though it does not say which it was."""

import json
import time

import pytest

from obskit.shipping.verdict import AGAIN, REFUSED, TAKEN
from tests.shipping.backends.test_backends import deliver


def pushed(fake):
    """Return the streams of the first request."""
    return json.loads(fake.requests[0].body)["streams"]


def test_lines_are_grouped_by_service_env_and_level(start, lines):
    """Each with its time in nanoseconds as text, as it is."""
    fake, backend = start("loki")
    entries = [*lines("one"), *lines("two", level="error"), *lines("three")]
    backend.send(entries, 5)
    streams = pushed(fake)

    assert [one["stream"]["level"] for one in streams] == ["info", "error"]
    assert streams[0]["stream"] == {"service": "shop", "env": "prod", "level": "info"}
    assert [value[1].encode() for value in streams[0]["values"]] == [
        entries[0].body,
        entries[2].body,
    ]
    assert all(len(value) == 2 for value in streams[0]["values"])
    assert all(value[0].endswith("000") and len(value[0]) == 19 for value in streams[0]["values"])


def test_the_ids_go_along_as_structured_metadata(start, lines):
    """They have too many values for labels."""
    fake, backend = start("loki")
    backend.send(lines("one", correlation_id="c1", trace_id="t1", span_id="s1", hop=2), 5)

    assert fake.stored[0]["metadata"] == {"correlation_id": "c1", "trace_id": "t1", "span_id": "s1"}


def test_labels_and_metadata_can_be_others(start, lines):
    """Of any type in the line, they are text to Loki."""
    fake, backend = start("loki", "&labels=host,pid&metadata=order,none_such")
    backend.send(lines("one", order=7), 5)

    assert pushed(fake)[0]["stream"] == {"host": "web-1", "pid": "7"}
    assert fake.stored[0]["metadata"] == {"order": "7"}


def test_names_are_spelled_as_loki_wants_them(start, lines):
    """A point would cost the whole request."""
    fake, backend = start("loki", "&labels=http.route&metadata=user-id")
    assert backend.send(lines("one", **{"http.route": "/x", "user-id": "u1"}), 5).kind == TAKEN

    assert pushed(fake)[0]["stream"] == {"http_route": "/x"}
    assert fake.stored[0]["metadata"] == {"user_id": "u1"}


@pytest.mark.parametrize("options", ["&labels=none", "&labels=nothing"])
def test_there_is_always_a_label(options, start, lines):
    """A stream without one would be refused."""
    fake, backend = start("loki", options)
    assert backend.send(lines("one"), 5).kind == TAKEN

    assert pushed(fake)[0]["stream"] == {"service": "shop"}


def test_a_tenant_is_named_in_a_header(start, lines):
    """Without it a server of several tenants says 401."""
    fake, backend = start("loki")
    fake.product.tenant = "acme"
    assert backend.send(lines("one"), 5).why == "status 401"
    fake, backend = start("loki", "&tenant=acme")
    fake.product.tenant = "acme"

    assert backend.send(lines("one"), 5).kind == TAKEN


def test_a_blocked_ingestion_is_no_success(start, lines):
    """Its status 260 looks like one."""
    fake, backend = start("loki")
    fake.faults.use("260")
    found = backend.send(lines("one"), 5)

    assert (found.kind, found.why) == (AGAIN, "status 260")
    assert "ingestion blocked" in found.answer
    assert fake.stored == []


def test_what_is_skipped_is_found_and_nothing_is_there_twice(start, lines):
    """Loki knows the lines that it has stored beside the one it skipped."""
    fake, backend = start("loki")
    old = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - 8 * 86400))
    entries = [*lines("one", "two"), *lines("old", timestamp=old), *lines("three")]
    taken, dead, _ = deliver(backend, entries)

    assert dead == [entries[2]]
    assert len(taken) == 3
    assert sorted(one["message"] for one in fake.received) == ["one", "three", "two"]


def test_a_line_that_is_too_long_is_refused_here(start, lines):
    """The others are sent, and Loki does not hear of it."""
    fake, backend = start("loki")
    entries = [*lines("one"), *lines("x" * 300_000), *lines("two")]
    found = backend.send(entries, 5)

    ((index, verdict),) = found.items
    assert (found.kind, index, verdict.kind) == (TAKEN, 1, REFUSED)
    assert verdict.why == "event too large"
    assert len(fake.stored) == 2
    assert fake.refused == []
    assert backend.send(entries[1:2], 5).kind == REFUSED


def test_the_longest_line_is_a_setting(start, lines):
    """As it is one of Loki."""
    fake, backend = start("loki", "&max_line=1MiB")
    fake.product.most_line = 1024 * 1024

    assert backend.send(lines("x" * 300_000), 5).kind == TAKEN


def test_a_server_without_structured_metadata_costs_no_line(start, lines):
    """All would be refused for a setting of its own, which can be turned either here or there."""
    fake, backend = start("loki")
    fake.product.takes_metadata = False
    found = backend.send(lines("one", trace_id="t1"), 5)
    assert (found.kind, found.why) == (AGAIN, "no structured metadata")
    fake, backend = start("loki", "&metadata=none")
    fake.product.takes_metadata = False

    assert backend.send(lines("one", trace_id="t1"), 5).kind == TAKEN


def test_lines_can_go_in_another_format(start, lines):
    """As `format=logfmt`, which Loki reads well."""
    fake, backend = start("loki", "&format=logfmt")
    backend.send(lines("one"), 5)

    assert fake.stored[0]["message"].startswith("timestamp=2")
