"""Fakes of Graylog's GELF inputs: by HTTP, TCP and UDP."""

import gzip
import json
import re
import zlib

from tests.fakes.web import Reply

NAME = re.compile(r"_[\w.\-]+")
OWN = {"version", "host", "short_message", "full_message", "timestamp", "level"}


class Messages:
    """What came in, and what of it could be read."""

    def __init__(self, faults):
        self.faults = faults
        self.received, self.refused = [], []

    def take(self, message):
        """Take one message; Graylog says nothing where it is none."""
        try:
            found = json.loads(message)
            assert found["version"] == "1.1"
            assert isinstance(found["host"], str)
            assert found["host"].strip()
            assert isinstance(found["short_message"], str)
            assert found["short_message"].strip()
            assert type(found.get("timestamp", 0)) in (int, float)
            assert found.get("level", 1) in range(8)
            for name, value in found.items():
                assert name in OWN or (NAME.fullmatch(name) and name != "_id"), name
                assert type(value) in (str, int, float), name
        except (ValueError, KeyError, AssertionError, TypeError):
            self.refused.append(message)
            return
        self.received.append(found | {"message": found["short_message"]})


class Gelf(Messages):
    """The input by HTTP."""

    transport, scheme, backend = "web", "http", "gelf"
    query = "token_file=FILE"
    most_bytes = 65536
    is_bulk = False

    def refusal(self, status, request=None):
        """Answer for the whole request."""
        return Reply(status)

    def special(self, name, request):
        """Nothing of the kind."""
        return self.answer(request)

    def answer(self, request):
        """Accept anything that is not too large."""
        if request.headers.get("authorization") != f"Bearer {self.secret}":
            return Reply(401)
        if request.method != "POST" or request.path != "/gelf":
            return Reply(404)
        if len(request.body) > self.most_bytes:
            return Reply(413)
        if self.faults.is_poison(request.body.decode()):
            self.refused.append(request.body)
            return Reply(400)
        for message in request.body.split(b"\n") if self.is_bulk else [request.body]:
            self.take(message)
        return Reply(202)


class GelfTcp(Messages):
    """The input by TCP."""

    transport, scheme, backend, query = "tcp", "tcp", "gelf", ""
    end = b"\0"


class GelfUdp(Messages):
    """The input by UDP."""

    transport, scheme, backend, query = "udp", "udp", "gelf", ""
    largest = 8192

    def __init__(self, faults):
        super().__init__(faults)
        self.parts, self.sizes = {}, []

    def datagram(self, data):
        """Take one datagram."""
        self.sizes.append(len(data))
        if data[:2] != b"\x1e\x0f":
            self.take(self.plain(data))
            return
        id_, number, count = data[2:10], data[10], data[11]
        if not number < count <= 128:
            self.refused.append(data)
            return
        parts = self.parts.setdefault(id_, {})
        parts[number] = data[12:]
        if len(parts) == count:
            del self.parts[id_]
            self.take(self.plain(b"".join(parts[one] for one in range(count))))

    def plain(self, data):
        """Return a message that may be compressed."""
        if data[:2] == b"\x1f\x8b":
            return gzip.decompress(data)
        return zlib.decompress(data) if data[:1] == b"\x78" else data
