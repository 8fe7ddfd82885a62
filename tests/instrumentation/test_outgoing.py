"""The headers of outgoing requests."""

import types

import httpx
import pytest
from multidict import CIMultiDict
from requests.structures import CaseInsensitiveDict
from urllib3._collections import HTTPHeaderDict

from obskit.instrumentation._outgoing import Copied, Outgoing

KINDS = pytest.mark.parametrize("kind", [httpx.Headers, CaseInsensitiveDict])


@KINDS
def test_our_headers_replace_those_of_the_same_name(kind):
    """A name in another spelling is the same name."""
    headers = kind({"x-correlation-id": "old", "Accept": "*/*"})
    Outgoing(headers)["X-Correlation-ID"] = "new"

    assert headers["x-correlation-id"] == "new"
    assert len([name for name in headers if name.lower() == "x-correlation-id"]) == 1
    assert headers["accept"] == "*/*"


@KINDS
def test_what_was_set_can_be_taken_back(kind):
    """A redirect starts from the headers that the caller has set."""
    headers = kind({"accept": "*/*", "baggage": "tenant=7"})
    carrier = Outgoing(headers)
    carrier["X-Correlation-ID"] = "id"
    carrier["traceparent"] = "00-..."
    carrier["baggage"] = "obskit.hop=1"
    carrier.take_back()

    assert dict(headers) == {"accept": "*/*", "baggage": "tenant=7"}


@KINDS
def test_the_callers_own_baggage_travels_on(kind):
    """What somebody puts on one request is kept beside ours; stale entries of ours are not."""
    headers = kind({"baggage": "tenant=7, obskit.hop=3,color=red"})
    Outgoing(headers)["baggage"] = "obskit.hop=1,color=red"

    assert headers["baggage"] == "obskit.hop=1,color=red,tenant=7"


def test_baggage_that_comes_in_several_headers_is_one_list():
    """All of it travels on, and comes back."""
    headers = CIMultiDict([("baggage", "a=1"), ("Baggage", "b=2")])
    carrier = Outgoing(headers)
    carrier["baggage"] = "obskit.hop=1"
    assert headers.getall("baggage") == ["obskit.hop=1,a=1,b=2"]
    carrier.take_back()

    assert headers.getall("baggage") == ["a=1,b=2"]


def test_baggage_given_as_bytes_travels_on():
    """Some clients take both."""
    headers = CaseInsensitiveDict({"Baggage": b"tenant=7"})
    Outgoing(headers)["baggage"] = "obskit.hop=1"

    assert headers["baggage"] == "obskit.hop=1,tenant=7"


COPIED = pytest.mark.parametrize(
    "kind", [dict, types.MappingProxyType, CaseInsensitiveDict, HTTPHeaderDict]
)


@COPIED
def test_a_copy_is_written_to(kind):
    """Any mapping keeps what it has; its copy has ours in place of another spelling."""
    headers = kind({"x-correlation-ID": "old", "BAGGAGE": "a=1, obskit.hop=3", "Accept": "*/*"})
    before = list(headers.items())
    carrier = Copied(headers)
    carrier["X-Correlation-ID"] = "new"
    carrier["baggage"] = "obskit.hop=1"
    carrier["traceparent"] = "00-..."

    assert list(headers.items()) == before
    assert sorted((name.lower(), value) for name, value in carrier.headers.items()) == [
        ("accept", "*/*"),
        ("baggage", "obskit.hop=1,a=1"),
        ("traceparent", "00-..."),
        ("x-correlation-id", "new"),
    ]


def test_names_and_values_of_bytes_are_known():
    """A name is the same name in bytes."""
    carrier = Copied({b"X-Correlation-ID": b"old", b"baggage": b"a=1", b"Accept": b"*/*"})
    carrier["X-Correlation-ID"] = "new"
    carrier["baggage"] = "obskit.hop=1"

    assert carrier.headers == {
        b"Accept": b"*/*", "X-Correlation-ID": "new", "baggage": "obskit.hop=1,a=1",
    }  # fmt: skip


def test_all_spellings_of_a_name_are_replaced():
    """A dict may have several."""
    carrier = Copied({"traceparent": "1", "TraceParent": "2", "TRACEPARENT": "3"})
    carrier["traceparent"] = "ours"

    assert carrier.headers == {"traceparent": "ours"}


def test_a_mapping_without_a_copy_is_made_a_dict():
    """Whatever can be read can be sent."""

    class Reading:
        def keys(self):
            return ["a"]

        def __getitem__(self, name):
            return "b"

        def __iter__(self):
            return iter(["a"])

    assert Copied(Reading()).headers == {"a": "b"}
