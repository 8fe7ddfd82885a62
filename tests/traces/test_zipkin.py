"""Spans as Zipkin wants them, and nothing that it takes for something else."""

import json
import secrets
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.traces import zipkin as room
from obskit.traces.finished import Event, Link, Span
from obskit.traces.zipkin import Encoder, is_precious, weigh

TRACE, ID, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
ENCODER = Encoder("shop")


def span(kind="client", parent=PARENT, **changes):
    """Return a span that is over."""
    made = Span("GET /x", kind, TRACE, ID, parent, 1_700_000_000_123_456_789, 4_999_999)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def encoded(made, encoder=ENCODER):
    """Return *made* as Zipkin would read it."""
    return json.loads(encoder.encode(made))


def tags(**changes):
    """Return the tags of a span with these changes."""
    return encoded(span(**changes)).get("tags", {})


def test_a_span_has_what_zipkin_asks_for():
    """Ids, kind, whole microseconds, who reports it."""
    assert encoded(span("server", None)) == {
        "traceId": TRACE,
        "id": ID,
        "name": "GET /x",
        "kind": "SERVER",
        "timestamp": 1_700_000_000_123_456,
        "duration": 4999,
        "localEndpoint": {"serviceName": "shop"},
    }
    assert encoded(span())["parentId"] == PARENT


@pytest.mark.parametrize("kind", ["server", "client", "producer", "consumer"])
def test_a_kind_is_written_in_capitals(kind):
    """As Zipkin spells it."""
    assert encoded(span(kind))["kind"] == kind.upper()


def test_work_inside_has_no_kind():
    """Zipkin's word for it is none."""
    assert "kind" not in encoded(span("internal"))


@pytest.mark.parametrize(("nanoseconds", "duration"), [(0, 1), (1, 1), (999, 1), (1000, 1)])
def test_no_duration_is_zero(nanoseconds, duration):
    """Zipkin would take it for unknown."""
    assert encoded(span(duration_ns=nanoseconds))["duration"] == duration


def test_debug_is_said_of_debug_alone():
    """Else every span would pass the server's own sampler."""
    assert "debug" not in encoded(span())
    assert encoded(span(debug=True))["debug"] is True


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"status": "ok"}, None),
        ({"attributes": {"error": False}}, None),
        ({"attributes": {"error": "false"}}, None),
        ({"attributes": {"error": ""}}, None),
        ({"attributes": {"error": 0}}, None),
        ({"status": "ok", "attributes": {"error": "boom"}}, None),
        ({"attributes": {"error": True}}, "true"),
        ({"attributes": {"error": "boom"}}, "boom"),
        ({"status": "error"}, ""),
        ({"status": "error", "attributes": {"error": False}}, ""),
        ({"status": "error", "attributes": {"error.type": "500"}}, "500"),
        ({"status": "error", "description": "KeyError: 'x'"}, "KeyError: 'x'"),
        ({"status": "error", "attributes": {"error": "boom"}}, "boom"),
    ],
)
def test_an_error_tag_means_an_error(changes, expected):
    """Zipkin counts each span that has one, whatever it says."""
    assert tags(**changes).get("error") == expected


def test_the_status_is_said():
    """Where somebody set one."""
    assert "otel.status_code" not in tags()
    assert tags(status="ok")["otel.status_code"] == "OK"
    assert tags(status="error")["otel.status_code"] == "ERROR"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        (7, "7"),
        (True, "true"),
        (False, "false"),
        (1.5, "1.5"),
        (float("nan"), "nan"),
        (("a", "b"), '["a","b"]'),
        ((1, 2.5), "[1,2.5]"),
        (b"bytes\xff", "bytes\ufffd"),
        (None, None),
        ("\ud800", "?"),
        (10**30, str(10**30)),
    ],
)
def test_each_value_is_text(value, text):
    """Zipkin knows nothing else."""
    assert tags(attributes={"key": value}).get("key") == text


def test_long_values_are_shortened():
    """Keys, values, names and what went wrong."""
    found = encoded(
        span(name="n" * 999, status="error", description="d" * 999, attributes={"a": "v" * 999})
    )

    assert [len(found["tags"][key]) for key in ("a", "error")] == [256, 256]
    assert len(found["name"]) == 256
    assert found["tags"]["a"].endswith("v\u2026")


def test_many_things_are_fewer():
    """Tags, annotations and links, and how many are missing is said."""
    found = encoded(
        span(
            attributes={f"key {number}": "x" for number in range(100)},
            events=[Event("e", 1, {})] * 100,
            links=[Link(TRACE, ID, {})] * 100,
        )
    )

    assert len(found["annotations"]) == 32
    assert sum(key.startswith("otel.link.") for key in found["tags"]) == 32
    assert sum(key.startswith("key ") for key in found["tags"]) == 64
    dropped = {key: value for key, value in found["tags"].items() if "dropped" in key}
    assert dropped == {
        "otel.dropped_attributes_count": "36",
        "otel.dropped_links_count": "68",
        "otel.dropped_events_count": "68",
    }


def test_no_span_is_larger_than_it_may_be():
    """Whatever somebody has put there; that it failed is kept."""
    huge = span(
        status="error",
        attributes={"k" * 10_000 + str(number): "\u2603" * 256 for number in range(64)},
        events=[Event("e" * 9999, 1, {"stack": "s" * 9999})] * 128,
    )
    assert len(ENCODER.encode(huge)) <= room.LARGEST
    assert "error" in encoded(huge)["tags"]


def test_what_happened_is_an_annotation():
    """With its attributes as JSON, the end of long ones."""
    (plain, full) = encoded(
        span(events=[Event("sent", 5000, {}), Event("read", 6999, {"bytes": 7, "s": "x" * 999})])
    )["annotations"]

    assert plain == {"timestamp": 5, "value": "sent"}
    name, _, facts = full["value"].partition(": ")
    assert name == '"read"'
    assert json.loads(facts)["bytes"] == 7
    assert len(json.loads(facts)["s"]) == 256


def test_links_are_tags():
    """A batch still says which messages it was made of."""
    links = [Link("1" * 32, "2" * 16, {}), Link("3" * 32, "4" * 16, {})]

    assert tags(links=links) == {
        "otel.link.0": f"{'1' * 32}-{'2' * 16}",
        "otel.link.1": f"{'3' * 32}-{'4' * 16}",
    }


def test_who_made_the_span_is_said_where_it_was_not_obskit():
    """It would be the same tag on each span else."""
    assert tags() == {}
    assert tags(scope="library")["otel.scope.name"] == "library"


def test_a_synthetic_operation_is_marked():
    """So that people can leave it out."""
    assert tags(synthetic="probe") == {"obskit.synthetic": "probe"}


def test_the_service_says_its_version_once_for_each_unit_of_work():
    """Not on each span."""
    encoder = Encoder("shop", "1.2", "production")

    assert encoded(span("server"), encoder)["tags"] == {
        "service.version": "1.2",
        "deployment.environment.name": "production",
    }
    assert "tags" in encoded(span("internal", None), encoder)
    assert "tags" not in encoded(span("client"), encoder)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kind": "client"}, None),
        ({"kind": "server", "peer": "10.0.0.1"}, None),
        ({"kind": "internal", "attributes": {"peer.service": "x"}}, None),
        ({"peer": "stock"}, {"serviceName": "stock"}),
        ({"peer": "stock:8080"}, {"serviceName": "stock:8080", "port": 8080}),
        (
            {"peer": "10.0.0.1:80"},
            {"serviceName": "10.0.0.1:80", "ipv4": "10.0.0.1", "port": 80},
        ),
        ({"peer": "[::1]:80"}, {"serviceName": "[::1]:80", "ipv6": "::1", "port": 80}),
        ({"peer": "::1"}, {"serviceName": "::1", "ipv6": "::1"}),
        ({"peer": "x", "attributes": {"peer.service": "stock"}}, {"serviceName": "stock"}),
        (
            {"attributes": {"server.address": "db.internal", "server.port": 5432,
                            "network.peer.address": "10.1.2.3", "db.namespace": "orders"}},
            {"serviceName": "db.internal", "ipv4": "10.1.2.3", "port": 5432},
        ),
        ({"attributes": {"net.peer.name": "old", "net.peer.port": "99"}},
         {"serviceName": "old", "port": 99}),
        ({"attributes": {"db.namespace": "orders", "db.system": "x"}}, {"serviceName": "orders"}),
        ({"attributes": {"db.system.name": "sqlite"}}, {"serviceName": "sqlite"}),
        (
            {"kind": "producer", "peer": "10.0.0.9:5672",
             "attributes": {"messaging.system": "rabbitmq"}},
            {"serviceName": "rabbitmq", "ipv4": "10.0.0.9", "port": 5672},
        ),
        ({"kind": "consumer", "attributes": {"messaging.system": "rabbitmq"}},
         {"serviceName": "rabbitmq"}),
        ({"kind": "consumer", "attributes": {"server.address": "broker"}},
         {"serviceName": "broker"}),
        ({"peer": "\ud800"}, {"serviceName": "?"}),
        ({"attributes": {"server.address": "x", "server.port": 99999999}}, {"serviceName": "x"}),
    ],
)  # fmt: skip
def test_the_other_side_has_a_name(changes, expected):
    """Brokers, databases and strangers are in the graph by this alone."""
    assert encoded(span(**changes)).get("remoteEndpoint") == expected


ANYTHING = st.one_of(
    st.text(max_size=400),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.binary(max_size=50),
    st.lists(st.one_of(st.text(max_size=9), st.floats(), st.integers()), max_size=5),
    st.builds(object),
)
ATTRIBUTES = st.dictionaries(
    st.one_of(st.text(max_size=300), st.sampled_from([*room._PEERS, *room._PORTS, "error"])),
    ANYTHING,
    max_size=20,
)


@given(
    st.sampled_from(["server", "client", "producer", "consumer", "internal"]),
    st.text(max_size=300),
    ATTRIBUTES,
    ATTRIBUTES,
    st.sampled_from(["unset", "ok", "error"]),
    st.one_of(st.none(), st.text(max_size=300)),
)
def test_any_span_can_be_encoded(kind, name, attributes, facts, status, peer):
    """As bounded JSON whose tags are text."""
    made = span(
        kind, name=name, attributes=attributes, status=status, description=name, peer=peer,
        events=[Event(name, 1, facts)],
    )  # fmt: skip
    weigh(made)
    found = encoded(made)

    assert all(isinstance(value, str) for value in found.get("tags", {}).values())
    assert ("error" in found.get("tags", {})) >= (status == "error")
    assert len(found["name"]) <= 256


def test_secrets_are_not_sent():
    """Neither as attributes nor of events; names are judged once."""
    asked = []

    def is_secret(name):
        asked.append(name)
        return name == "password"

    encoder = Encoder("shop", is_secret=is_secret)
    one = span(
        attributes={"password": "hunter2", "user": "u"},
        events=[Event("login", 1, {"password": "hunter2", "user": "u"})],
    )
    for _ in range(2):
        found = encoded(one, encoder)

        assert found["tags"] == {"password": room.MARKER, "user": "u"}
        assert "hunter2" not in json.dumps(found)
    assert asked.count("user") == 3


def test_the_weight_of_a_span_grows_with_what_it_holds():
    """It is what is counted while a span is not encoded."""
    assert 1000 < weigh(span(attributes={"a": "b", "n": 7})) < 2000
    assert weigh(span(attributes={"a": "b" * 5000, "t": ("x" * 5000,)})) > 10_000
    assert weigh(span(events=[Event("e", 1, {"stack": "s" * 5000, "n": 7})])) > 5000
    assert weigh(span(links=[Link(TRACE, ID, {})] * 100)) > 10_000


def test_errors_and_probes_are_lost_last():
    """They are what people look for."""
    assert not is_precious(span(status="ok"))
    assert is_precious(span(status="error"))
    assert is_precious(span(synthetic="probe"))


def test_zipkin_understands_all_of_it(zipkin):
    """The real one: ids, kinds, tags, annotations and the other side come back."""
    trace = secrets.token_hex(16)
    made = []
    for kind in ("server", "client", "producer", "consumer", "internal"):
        one = span(kind, None, peer="stock", attributes={"n": 7}, links=[Link(TRACE, ID, {})])
        one.trace_id, one.span_id = trace, secrets.token_hex(8)
        one.started_at_ns, one.duration_ns = time.time_ns(), 0
        one.events = [Event("e", time.time_ns(), {"x": 1})]
        made.append(one)
    made[0].debug, made[1].status = True, "error"
    sent = [json.loads(ENCODER.encode(one)) for one in made]
    zipkin.send(sent)
    found = zipkin.trace(trace, until=lambda spans: len(spans) == 5)

    def comparable(spans):
        return sorted(({**one, "name": one["name"].lower()} for one in spans), key=str)

    assert comparable(found) == comparable(sent)


def test_the_graph_has_brokers_and_databases(zipkin):
    """A message goes from service to broker to worker; a failed span counts as an error."""
    unique = secrets.token_hex(4)
    shop, worker, broker = f"shop-{unique}", f"worker-{unique}", f"rabbitmq-{unique}"
    trace = secrets.token_hex(16)
    ids = [secrets.token_hex(8) for _ in range(4)]
    rows = [
        (shop, "server", None, None, {}),
        (shop, "producer", ids[0], None, {"messaging.system": broker}),
        (worker, "consumer", ids[1], None, {"messaging.system": broker}),
        (worker, "client", ids[2], f"orders-db-{unique}:5432", {}),
    ]
    sent = []
    for number, (service, kind, parent, peer, attributes) in enumerate(rows):
        one = span(kind, parent, peer=peer, attributes=attributes)
        one.trace_id, one.span_id, one.started_at_ns = trace, ids[number], time.time_ns()
        one.status = "error" if kind == "client" else "unset"
        sent.append(json.loads(Encoder(service).encode(one)))
    zipkin.send(sent)
    found = zipkin.dependencies(shop, worker, until=lambda links: len(links) >= 3)

    assert {(one["parent"], one["child"], one.get("errorCount", 0)) for one in found} == {
        (shop, broker, 0),
        (broker, worker, 0),
        (worker, f"orders-db-{unique}:5432", 1),
    }
