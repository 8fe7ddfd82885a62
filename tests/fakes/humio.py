"""A fake of Humio's ingest APIs."""

import json
import re

from tests.fakes.web import Reply

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class RefusedError(Exception):
    """What is wrong with a request."""


def check(condition, what):
    """Refuse a request where *condition* does not hold."""
    if not condition:
        raise RefusedError(what)


class Humio:
    """The structured API."""

    transport, scheme, backend = "web", "http", "humio"
    query = "token_file=FILE"
    path = "/api/v1/ingest/humio-structured"

    def __init__(self, faults):
        self.faults = faults
        self.received, self.refused, self.tags = [], [], []

    def refusal(self, status, request=None):
        """Answer for the whole request, in plain text."""
        texts = {401: "The supplied authentication is invalid", 503: "Ingest is delayed"}
        return Reply(status, texts.get(status, "An error occurred").encode())

    def special(self, name, request):
        """Say that something went another way."""
        return Reply(207, b"some of it")

    def answer(self, request):
        """Store events, all or none."""
        if request.headers.get("authorization") != f"Bearer {self.secret}":
            return self.refusal(401)
        if request.method != "POST" or request.path != self.path:
            return Reply(404, b"The requested resource could not be found.")
        try:
            check(request.type == "application/json", "unsupported media type")
            events = self.events(request.body.decode())
            check(not any(self.faults.is_poison(json.dumps(one)) for one in events), "poison")
        except (RefusedError, ValueError) as error:
            self.refused.append(request.body)
            return Reply(400, f"Could not handle input. reason={error}".encode())
        self.received += events
        return Reply(200, b"{}")

    def events(self, text):
        """Return the attributes of all events."""
        groups = json.loads(text)
        check(isinstance(groups, list), "no list")
        found = []
        for group in groups:
            check(isinstance(group, dict) and set(group) <= {"tags", "events"}, "group")
            tags = group.get("tags", {})
            check(all(isinstance(v, str) for v in tags.values()), "tags are text")
            check(not any(name.startswith("#") for name in tags), "tags have no #")
            self.tags.append(tags)
            for event in group["events"]:
                check(set(event) <= {"timestamp", "timezone", "attributes", "rawstring"}, "event")
                time = event.get("timestamp")
                is_number = type(time) is int and "timezone" in event
                check(is_number or (isinstance(time, str) and INSTANT.fullmatch(time)), "timestamp")
                check(isinstance(event.get("attributes", {}), dict), "attributes")
                found.append(event["attributes"])
        return found


class HumioHec(Humio):
    """The API that is like Splunk's."""

    query = "token_file=FILE&api=hec"
    path = "/api/v1/ingest/hec"
    known = frozenset(
        {"time", "timezone", "index", "sourcetype", "source", "host", "event", "fields"}
    )

    def events(self, text):
        """Return the events, which follow each other."""
        decoder, found, at = json.JSONDecoder(), [], 0
        while at < len(text):
            one, at = decoder.raw_decode(text, at)
            check(isinstance(one, dict) and set(one) <= self.known, "object")
            check(type(one.get("time")) in (int, float), "time")
            fields = one.get("fields", {})
            nanos = fields.get("@timestamp.nanos", "0")
            check(nanos.isdecimal() and int(nanos) < 1_000_000, "nanos")
            milliseconds = one["time"] * 1000
            check(abs(milliseconds - round(milliseconds)) < 1e-3, "finer than milliseconds")
            self.tags.append({k: v for k, v in fields.items() if k.startswith("#")})
            found.append(one["event"])
            while at < len(text) and text[at].isspace():
                at += 1
        return found
