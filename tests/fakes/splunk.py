"""A fake of Splunk's HTTP Event Collector."""

import base64
import json
import re

from tests.fakes.web import Reply

GUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
CODES = {
    0: (200, "Success"),
    1: (403, "Token disabled"),
    2: (401, "Token is required"),
    3: (401, "Invalid authorization"),
    4: (403, "Invalid token"),
    5: (400, "No data"),
    6: (400, "Invalid data format"),
    7: (400, "Incorrect index"),
    8: (500, "Internal server error"),
    9: (503, "Server is busy"),
    10: (400, "Data channel is missing"),
    11: (400, "Invalid data channel"),
    12: (400, "Event field is required"),
    13: (400, "Event field cannot be blank"),
    14: (400, "ACK is disabled"),
    15: (400, "Error in handling indexed fields"),
}
KNOWN = {"time", "host", "source", "sourcetype", "index", "event", "fields"}


def say(code, **more):
    """Return an answer with one of Splunk's codes."""
    status, text = CODES[code]
    return Reply(status, {"text": text, "code": code, **more})


class Splunk:
    """One collector; events before an invalid one are stored, which is the worse for the client."""

    transport, scheme, backend = "web", "http", "splunk"
    query = "token_file=FILE"
    acknowledges = False
    indices = ("main", "shop")
    # How many numbers an answer is off by: 0 as Splunk counts.
    counts_from = 0

    def __init__(self, faults):
        self.faults = faults
        self.received, self.refused = [], []
        self.acks, self.polls, self.number = {}, 0, 0
        self.ack_after = 2

    def refusal(self, status, request=None):
        """Answer for the whole request."""
        if status in (413, 429):
            return Reply(status, b"Content-Length too large" if status == 413 else b"busy")
        return say({401: 3, 403: 4, 500: 8, 503: 9}[status])

    def special(self, name, request):
        """Nothing of the kind."""
        return self.answer(request)

    def authorization(self, request):
        """Return the code of what is wrong with who asks."""
        word, _, rest = request.headers.get("authorization", "").partition(" ")
        if not word:
            return 2
        if word == "Basic":
            rest = base64.b64decode(rest).decode().partition(":")[2]
        elif word != "Splunk" or not rest:
            return 3
        return 0 if rest == self.secret else 4

    def answer(self, request):
        """Store events, or say what has become of them."""
        if code := self.authorization(request):
            return say(code)
        channel = request.headers.get("x-splunk-request-channel", request.query.get("channel"))
        if self.acknowledges and not channel:
            return say(10)
        if channel and not GUID.fullmatch(channel):
            return say(11)
        if request.method != "POST":
            return Reply(405)
        if request.path == "/services/collector/ack":
            return self.acknowledge(request)
        if request.path not in ("/services/collector/event", "/services/collector"):
            return Reply(
                404, {"text": "The requested URL was not found on this server.", "code": 404}
            )
        return self.store(request.body.decode("utf-8", "replace"))

    def store(self, text):
        """Store events one by one until one is invalid."""
        decoder, at, number = json.JSONDecoder(), 0, 0
        if not text.strip():
            return say(5)
        while at < len(text):
            try:
                one, at = decoder.raw_decode(text, at)
                code = self.problem(one)
            except ValueError:
                code, one = 6, text[at : at + 200]
            if code:
                self.refused.append(one)
                return say(code, **{"invalid-event-number": number + self.counts_from})
            self.received.append(one["event"])
            number += 1
            while at < len(text) and text[at].isspace():
                at += 1
        if not self.acknowledges:
            return say(0)
        number, self.number = self.number, self.number + 1
        self.acks[number] = self.ack_after
        return say(0, ackId=number)

    def problem(self, one):
        """Return the code of what is wrong with an event."""
        if not isinstance(one, dict) or not set(one) <= KNOWN:
            return 6
        if "event" not in one:
            return 12
        if one["event"] in ("", None) or (
            isinstance(one["event"], str) and not one["event"].strip()
        ):
            return 13
        if type(one.get("time")) not in (int, float) or self.faults.is_poison(json.dumps(one)):
            return 6
        if one.get("index", "main") not in self.indices:
            return 7
        if any(type(value) is not str for value in one.get("fields", {}).values()):
            return 15
        return 0

    def acknowledge(self, request):
        """Say which requests have been indexed; each is said once."""
        if not self.acknowledges:
            return say(14)
        self.polls += 1
        found = {}
        for number in json.loads(request.body)["acks"]:
            assert type(number) is int
            left = self.acks.get(number)
            if left is not None:
                self.acks[number] = left - 1
            found[str(number)] = left is not None and left <= 1
            if found[str(number)]:
                del self.acks[number]
        return Reply(200, {"acks": found})


class SplunkAck(Splunk):
    """A collector whose token acknowledges."""

    query = "token_file=FILE&ack=1"
    acknowledges = True
