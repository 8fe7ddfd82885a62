"""Fakes of Logstash's inputs ``http`` and ``tcp``."""

import json
import re

from tests.fakes.web import Reply

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,9}Z")


def event(found):
    """Return an event; Logstash tags one whose time it cannot read."""
    if not INSTANT.fullmatch(str(found.get("@timestamp", ""))):
        found = found | {"tags": ["_timestampparsefailure"]}
    return found


class Logstash:
    """The input ``http``."""

    transport, scheme, backend = "web", "http", "logstash"
    query = "token_file=FILE"

    def __init__(self, faults):
        self.faults = faults
        self.received, self.refused = [], []

    def refusal(self, status, request=None):
        """Answer for the whole request; the text is always as short as this."""
        return Reply(status, {429: b"busy", 500: b"internal error"}.get(status, b""))

    def special(self, name, request):
        """Nothing of the kind."""
        return self.answer(request)

    def answer(self, request):
        """Put events into the queue."""
        if request.headers.get("authorization") != f"Bearer {self.secret}":
            return Reply(401, b"", www_authenticate='Basic realm="Logstash HTTP Input"')
        if request.method != "POST" or request.path != "/":
            return Reply(404)
        if request.type != "application/json":
            self.received.append({"message": request.body.decode(), "tags": ["plain"]})
            return Reply(200, b"ok")
        if self.faults.is_poison(request.body.decode()):
            self.refused.append(request.body)
            return Reply(500, b"internal error")
        try:
            found = json.loads(request.body)
        except ValueError:
            failed = {"message": request.body.decode(), "tags": ["_jsonparsefailure"]}
            self.received.append(failed)
            return Reply(200, b"ok")
        self.received += map(event, found if isinstance(found, list) else [found])
        return Reply(200, b"ok")


class LogstashTcp:
    """The input ``tcp`` with the codec ``json_lines``."""

    transport, scheme, backend, query = "tcp", "tcp", "logstash", ""
    end = b"\n"

    def __init__(self, faults):
        self.faults = faults
        self.received, self.refused = [], []

    def take(self, line):
        """Take one line."""
        try:
            self.received.append(event(json.loads(line)))
        except ValueError:
            self.refused.append(line)
