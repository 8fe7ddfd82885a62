"""A fake of Elasticsearch's ``_bulk`` on a data stream."""

import json
import re

from tests.fakes.web import Reply

INDEX = re.compile(r"/([a-z0-9][a-z0-9._-]*)/_bulk")


class Elasticsearch:
    """One cluster, which makes any data stream that is written to."""

    transport, scheme, backend = "web", "http", "elasticsearch"
    query = "api_key_file=FILE"
    most_bytes = 100 * 1024 * 1024

    def __init__(self, faults):
        self.faults = faults
        self.documents, self.received, self.refused, self.indices = {}, [], [], set()
        self.statuses = [201, 429, 400, 409, 503]

    def refusal(self, status, request=None):
        """Answer for the whole request."""
        if status == 413:
            return Reply(413)
        kind = {
            401: "security_exception", 403: "security_exception",
            429: "es_rejected_execution_exception",
            500: "runtime_exception", 503: "unavailable_shards_exception",
            400: "illegal_argument_exception", 406: "media_type_header_exception",
        }[status]  # fmt: skip
        return self.error(status, kind, "cannot do it")

    def error(self, status, kind, reason):
        """Answer with an error as Elasticsearch writes it."""
        cause = {"type": kind, "reason": reason}
        reply = Reply(status, {"error": {"root_cause": [cause], **cause}, "status": status})
        if status == 401:
            reply.headers["www-authenticate"] = "ApiKey"
        return reply

    def answer(self, request, statuses=None):
        """Index documents."""
        if request.headers.get("authorization") != f"ApiKey {self.secret}":
            reason = f"missing authentication credentials for REST request [{request.path}]"
            return self.error(401, "security_exception", reason)
        found = INDEX.fullmatch(request.path)
        if request.method != "POST" or not found:
            return self.error(405, "method_not_allowed", request.path)
        if request.type not in ("application/x-ndjson", "application/json"):
            reason = f"Content-Type header [{request.type}] is not supported"
            return self.error(406, "media_type_header_exception", reason)
        if len(request.body) > self.most_bytes:
            return Reply(413)
        if not request.body.endswith(b"\n"):
            reason = "The bulk request must be terminated by a newline [\\n]"
            return self.error(400, "illegal_argument_exception", reason)
        lines = request.body.split(b"\n")[:-1]
        if not lines or len(lines) % 2:
            return self.error(400, "action_request_validation_exception", "no requests added")
        self.indices.add(found[1])
        items = []
        for number in range(0, len(lines), 2):
            try:
                ((operation, options),) = json.loads(lines[number]).items()
            except (ValueError, AttributeError):
                reason = f"Malformed action/metadata line [{number + 1}]"
                return self.error(400, "illegal_argument_exception", reason)
            forced = statuses[number // 2 % len(statuses)] if statuses else 0
            items.append({operation: self.item(operation, options, lines[number + 1], forced)})
        errors = any(next(iter(item.values()))["status"] >= 300 for item in items)
        body = {"took": 3, "errors": errors, "items": items}
        if "filter_path" in request.query:
            body = filtered(
                body, [one.split(".") for one in request.query["filter_path"].split(",")]
            )
        return Reply(200, body)

    def special(self, name, request):
        """Take some items and refuse the others."""
        return self.answer(request, self.statuses)

    def item(self, operation, options, line, forced):
        """Index one document; return its item."""
        id_ = options.get("_id")
        shown = {"_index": ".ds-logs-000001", "_id": id_}
        kind, reason, status = self.problem(operation, id_, line)
        if forced and forced >= 300 and forced != 409:
            kind = "es_rejected_execution_exception" if forced == 429 else "some_exception"
            status, reason = forced, "as told"
        if status >= 300:
            if 400 <= status < 429 and status != 409:
                self.refused.append(line)
            return shown | {"status": status, "error": {"type": kind, "reason": reason}}
        document = json.loads(line)
        self.documents[id_ or len(self.documents)] = document
        self.received.append(document)
        if forced == 409:  # it is there by an earlier request that nobody heard the answer of
            error = {"type": "version_conflict_engine_exception", "reason": "exists"}
            return shown | {"status": 409, "error": error}
        return shown | {"status": 201, "result": "created", "_seq_no": 1}

    def problem(self, operation, id_, line):
        """Return what is wrong with an item."""
        if operation != "create":
            reason = "only write ops with an op_type of create are allowed in data streams"
            return "illegal_argument_exception", reason, 400
        if id_ is not None and not 0 < len(id_.encode()) <= 512:
            return "illegal_argument_exception", "id is too long", 400
        if id_ in self.documents:
            return "version_conflict_engine_exception", f"[{id_}]: version conflict", 409
        try:
            document = json.loads(line)
            assert isinstance(document, dict)
        except (ValueError, AssertionError):
            return "document_parsing_exception", "failed to parse", 400
        if not isinstance(document.get("@timestamp"), str):
            reason = "data stream timestamp field [@timestamp] is missing"
            return "document_parsing_exception", reason, 400
        if self.faults.is_poison(line.decode()):
            reason = "failed to parse field [amount] of type [long]"
            return "document_parsing_exception", reason, 400
        return "", "", 201


def filtered(value, paths):
    """Return what ``filter_path`` leaves of an answer."""
    if any(not path for path in paths):
        return value
    if isinstance(value, list):
        return [made for one in value if (made := filtered(one, paths)) not in ({}, None)]
    if not isinstance(value, dict):
        return None
    made = {}
    for name, inner in value.items():
        below = [path[1:] for path in paths if path[0] in ("*", name)]
        if below and (found := filtered(inner, below)) not in ({}, None):
            made[name] = found
    return made
