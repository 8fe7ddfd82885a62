"""A fake of Zipkin's API v2."""

import json

from tests.fakes.web import Reply


class Zipkin:
    """One server."""

    transport, scheme, backend = "web", "http", "zipkin"
    query = "token_file=FILE"

    def __init__(self, faults):
        self.faults = faults
        self.received, self.refused = [], []

    def refusal(self, status, request=None):
        """Answer for the whole request."""
        return Reply(status, b"cannot do it")

    def special(self, name, request):
        """Nothing of the kind."""
        return self.answer(request)

    def answer(self, request):
        """Take spans, all or none."""
        if request.headers.get("authorization") != f"Bearer {self.secret}":
            return Reply(401)
        if request.method != "POST" or request.path != "/api/v2/spans":
            return Reply(404)
        if request.type != "application/json":
            return Reply(415)
        try:
            spans = json.loads(request.body)
            assert isinstance(spans, list)
            assert all(isinstance(one, dict) for one in spans)
            assert not self.faults.is_poison(request.body.decode())
        except (ValueError, AssertionError):
            self.refused.append(request.body)
            return Reply(400, b"Cannot decode spans")
        self.received += [span | {"message": span.get("name", "")} for span in spans]
        return Reply(202)
