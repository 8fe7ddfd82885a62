"""A fake of Loki's push API."""

import json
import re
import time

from tests.fakes.web import Reply

NAME = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")


class Loki:
    """One Loki, with one tenant if *tenant* is set."""

    transport, scheme, backend = "web", "http", "loki"
    query = "token_file=FILE"
    most_line, most_labels = 256 * 1024, 15
    takes_metadata = True

    def __init__(self, faults):
        self.faults = faults
        self.tenant = None
        self.received, self.refused, self.streams, self.have = [], [], [], set()

    def refusal(self, status, request=None):
        """Answer for the whole request."""
        texts = {
            401: "no org id", 429: "Ingestion rate limit exceeded for user fake",
            413: "entity too large", 503: "empty ring",
        }  # fmt: skip
        return Reply(status, texts.get(status, "internal error").encode())

    def special(self, name, request):
        """Ingestion is blocked by an administrator."""
        text = "ingestion blocked for user fake until '2026-12-01' with status code '260'"
        return Reply(260, text.encode())

    def answer(self, request):
        """Store what is valid, skip what is not."""
        if request.headers.get("authorization") != f"Bearer {self.secret}":
            return Reply(401, b"unauthorized")
        if self.tenant and request.headers.get("x-scope-orgid") != self.tenant:
            return self.refusal(401)
        if request.method != "POST" or request.path != "/loki/api/v1/push":
            return Reply(404, b"404 page not found")
        if request.type != "application/json":
            return Reply(400, b"unsupported content type")
        try:
            streams = json.loads(request.body)["streams"]
            entries = [one for stream in streams for one in self.entries(stream)]
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            return Reply(400, f"couldn't parse push request: {error}".encode())
        if not self.takes_metadata and any(metadata for *_, metadata in entries):
            text = (
                "stream '{}' includes structured metadata, but this feature is disallowed."
                " Please see `limits_config.allow_structured_metadata`"
            )
            return Reply(400, text.encode())
        errors = [error for entry in entries if (error := self.store(*entry))]
        return Reply(400, "\n".join(errors).encode()) if errors else Reply(204)

    def entries(self, stream):
        """Yield the entries of a stream."""
        assert set(stream) == {"stream", "values"}, "unknown field"
        labels = stream["stream"]
        assert all(NAME.fullmatch(k) and type(v) is str for k, v in labels.items()), "labels"
        self.streams.append(labels)
        for instant, line, *rest in stream["values"]:
            assert str(instant) == instant, "timestamp is no text"
            assert instant.isdecimal(), "timestamp is no number"
            assert type(line) is str, "line is no text"
            metadata = rest[0] if rest else {}
            assert len(rest) < 2, "too much"
            assert all(type(v) is str for v in metadata.values()), "metadata"
            yield labels, int(instant), line, metadata

    def store(self, labels, instant, line, metadata):
        """Store an entry, or return what is wrong with it."""
        if not labels:
            error = "error at least one label pair is required per stream"
        elif len(labels) > self.most_labels:
            error = f"entry for stream has {len(labels)} label names; limit {self.most_labels}"
        elif len(line.encode()) > self.most_line:
            error = f"max entry size '{self.most_line}' bytes exceeded for stream '{labels}'"
        elif not time.time() - 7 * 86400 < instant / 1e9 < time.time() + 600:
            error = f"entry for stream '{labels}' has timestamp too old or too new: {instant}"
        elif self.faults.is_poison(line):
            error = f"entry for stream '{labels}' is not to Loki's taste"
        else:
            key = (json.dumps(labels, sort_keys=True), instant, line)
            if key not in self.have:
                self.have.add(key)
                found = json.loads(line) if line.startswith("{") else {"message": line}
                self.received.append(found | {"metadata": metadata} if metadata else found)
            return ""
        self.refused.append(line)
        return error
