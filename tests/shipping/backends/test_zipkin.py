"""Spans go to Zipkin on the same road as lines."""

import json

from obskit.shipping import backends, target
from obskit.shipping.entry import Entry
from obskit.shipping.verdict import TAKEN


def test_a_batch_is_one_list_of_spans(start):
    """Below the address that is given, with or without the API's own path."""
    fake, backend = start("zipkin")
    spans = [Entry(f"i-{name}", json.dumps({"name": name}).encode()) for name in "ab"]
    assert backend.send(spans, 5).kind == TAKEN
    again = backends.open(target.parse(fake.url.replace("?", "/api/v2/spans?")), {})
    assert again.send(spans, 5).kind == TAKEN
    again.close()

    assert [span["name"] for span in fake.received] == ["a", "b", "a", "b"]
    assert json.loads(fake.requests[0].body) == [{"name": "a"}, {"name": "b"}]
