"""The headers of outgoing requests."""

import httpx
import pytest
from requests.structures import CaseInsensitiveDict

from obskit.instrumentation._outgoing import Outgoing

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
