"""A fake of a collector that takes OTLP/HTTP logs in JSON."""

import json
import re

from tests.fakes.web import Reply

RECORD = {
    "timeUnixNano", "observedTimeUnixNano", "severityNumber", "severityText", "body", "attributes",
    "droppedAttributesCount", "flags", "traceId", "spanId", "eventName",
}  # fmt: skip
VALUES = {"stringValue", "boolValue", "intValue", "doubleValue", "arrayValue", "kvlistValue"}


def check(condition, what):
    """Refuse a request where *condition* does not hold."""
    if not condition:
        raise ValueError(what)


def value(found):
    """Return an AnyValue as what it stands for."""
    check(isinstance(found, dict) and set(found) <= VALUES and len(found) < 2, f"value {found}")
    for name, inner in found.items():
        if name == "intValue":
            check(type(inner) is str and re.fullmatch("-?[0-9]{1,19}", inner), "int is no text")
            return int(inner)
        if name == "arrayValue":
            return [value(one) for one in inner["values"]]
        if name == "kvlistValue":
            return pairs(inner["values"])
        return inner
    return None


def pairs(found):
    """Return attributes as a dict."""
    check(all(set(one) == {"key", "value"} for one in found), "attributes")
    made = {one["key"]: value(one["value"]) for one in found}
    check(len(made) == len(found), "attribute twice")
    return made


class Otlp:
    """One collector."""

    transport, scheme, backend = "web", "http", "otlp"
    query = "token_file=FILE"

    def __init__(self, faults):
        self.faults = faults
        self.received, self.refused = [], []

    def refusal(self, status, request=None):
        """Answer with a Status message."""
        return Reply(status, {"code": 13, "message": "cannot do it"})

    def special(self, name, request):
        """Reject every second record."""
        return self.answer(request, every=2)

    def answer(self, request, every=0):
        """Take records, and say how many were rejected."""
        if request.headers.get("authorization") != f"Bearer {self.secret}":
            return Reply(401, {"code": 16, "message": "unauthenticated"})
        if request.method != "POST" or request.path != "/v1/logs":
            return Reply(404, b"404 page not found")
        if request.type != "application/json":
            return Reply(415, b"unsupported media type")
        try:
            records = [
                one for group in json.loads(request.body)["resourceLogs"] for one in all_(group)
            ]
        except (ValueError, KeyError, TypeError) as error:
            return Reply(400, {"code": 3, "message": str(error)})
        rejected = 0
        for number, one in enumerate(records):
            if (every and number % every) or self.faults.is_poison(json.dumps(one)):
                rejected += 1
                self.refused.append(one)
            else:
                self.received.append(one)
        if not rejected:
            return Reply(200, {"partialSuccess": {}})
        told = {"rejectedLogRecords": str(rejected), "errorMessage": "some were rejected"}
        return Reply(200, {"partialSuccess": told})


def all_(group):
    """Yield the records of a resource."""
    check(set(group) <= {"resource", "scopeLogs", "schemaUrl"}, "resourceLogs")
    resource = pairs(group["resource"]["attributes"])
    for scope in group["scopeLogs"]:
        check(set(scope) <= {"scope", "logRecords", "schemaUrl"}, "scopeLogs")
        for record in scope["logRecords"]:
            check(set(record) <= RECORD, "record")
            for name in ("timeUnixNano", "observedTimeUnixNano"):
                check(type(record[name]) is str and record[name].isdecimal(), name)
            check(
                type(record["severityNumber"]) is int and record["severityNumber"] < 25, "severity"
            )
            for name, length in (("traceId", 32), ("spanId", 16)):
                text = record.get(name, "0" * length)
                check(re.fullmatch(f"[0-9a-f]{{{length}}}", text), name)
            yield {
                "message": value(record["body"]),
                "resource": resource,
                "scope": scope["scope"].get("name"),
                **pairs(record["attributes"]),
                **{n: record[n] for n in record if n not in ("body", "attributes")},
            }
