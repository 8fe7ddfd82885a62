"""What is special about urllib3: attempts, pools, streams, and who else uses it."""

import types

import pytest
import requests
import urllib3
from requests.structures import CaseInsensitiveDict
from urllib3._collections import HTTPHeaderDict
from urllib3.connectionpool import HTTPConnectionPool

from obskit import context, observation
from obskit.instrumentation import urllib3 as ours
from obskit.observation import Kind


@pytest.fixture
def manager():
    """Give a manager of pools that is closed afterwards."""
    with urllib3.PoolManager() as manager:
        yield manager


def spans(far_end):
    """Return the spans that arrived."""
    return [headers["traceparent"].split("-")[2] for _, headers in far_end.seen]


def test_each_retry_is_a_request(observed, far_end, manager):
    """One that gets no answer and one that does, each with its own span."""
    with observation.unit_of_work("outer"):
        response = manager.request("GET", far_end.url + "/drop-first", retries=1)
    first, second = observed[:2]

    assert response.status == 200
    assert (first.outcome, first.status) == ("dependency", None)
    assert (second.outcome, second.status) == ("ok", 200)
    assert spans(far_end) == [first.context.span_id, second.context.span_id]
    assert observed[2].outcome == "ok"


def test_retries_for_a_status_are_requests(observed, far_end, manager):
    """The user sees the last answer, the metrics see them all."""
    retries = urllib3.Retry(2, status_forcelist=[503], raise_on_status=False)
    with observation.unit_of_work("outer"):
        response = manager.request("GET", far_end.url + "/status/503", retries=retries)

    assert response.status == 503
    assert [work.status for work in observed[:3]] == [503, 503, 503]
    assert len(set(spans(far_end))) == 3


def test_a_pool_of_its_own_is_observed(observed, far_end):
    """Its redirects never leave the host, and carry each header once."""
    with HTTPConnectionPool("127.0.0.1", far_end.server_port) as pool:
        with observation.unit_of_work("outer"):
            assert pool.request("GET", "/to//end?a=1").status == 200

    assert [path for path, _ in far_end.seen] == ["/to//end?a=1", "/end?a=1"]
    assert [work.attributes["url_path"] for work in observed[:2]] == ["/to//end", "/end"]
    assert all(len(headers.get_all("traceparent")) == 1 for _, headers in far_end.seen)


def test_a_connection_that_is_kept_carries_each_operation(observed, far_end, manager):
    """Two requests over one connection."""
    for number in range(2):
        with observation.unit_of_work("outer", correlation_id=f"id-{number}"):
            manager.request("GET", far_end.url)

    assert len(set(far_end.peers)) == 1
    assert [headers["x-correlation-id"] for _, headers in far_end.seen] == ["id-0", "id-1"]


def test_a_stream_is_over_when_its_headers_are_there(observed, far_end, manager):
    """The body is the user's, who may take his time."""
    with observation.unit_of_work("outer"):
        response = manager.request("GET", far_end.url + "/drip", preload_content=False)
        assert [work.status for work in observed] == [200]
        assert not context.current().exit
        far_end.go_on.set()
        assert b"".join(response.stream(1)) == b"fine"
        response.release_conn()

    assert len([work for work in observed if work.kind is Kind.CLIENT]) == 1


KINDS = {
    "dict": dict,
    "HTTPHeaderDict": HTTPHeaderDict,
    "CaseInsensitiveDict": CaseInsensitiveDict,
    "mapping": types.MappingProxyType,
}


@pytest.mark.parametrize("kind", KINDS)
def test_headers_of_any_kind_are_left_alone(observed, far_end, manager, kind):
    """They are copied, and given on as what they are."""
    given = KINDS[kind]({"X-correlation-ID": "mine", "x-tenant": "7"})
    before = list(given.items())
    with observation.unit_of_work("outer", correlation_id="abc"):
        for _ in range(2):
            manager.request("GET", far_end.url, headers=given)

    assert list(given.items()) == before
    for _, headers in far_end.seen:
        assert headers.get_all("x-correlation-id") == ["abc"]
        assert headers.get_all("x-tenant") == ["7"]


def test_headers_of_the_manager_are_left_alone(observed, far_end):
    """Those that go with each request do not grow."""
    headers = {"x-tenant": "7"}
    with urllib3.PoolManager(headers=headers) as manager:
        with observation.unit_of_work("outer"):
            for _ in range(2):
                manager.request("GET", far_end.url)

    assert headers == manager.headers == {"x-tenant": "7"}
    assert all(seen["x-tenant"] == "7" for _, seen in far_end.seen)


def test_requests_is_counted_once(observed, far_end):
    """It uses urllib3, and is what the user has called."""
    with requests.Session() as session, observation.unit_of_work("outer"):
        session.trust_env = False
        session.get(far_end.url)

    assert [work.library for work in observed] == ["requests", ""]
    assert spans(far_end) == [observed[0].context.span_id]


def test_a_tunnel_that_fails_is_not_seen_within_another_call(observed, tls_far_end, free_port):
    """Where requests has made it, that is the call."""
    proxies = {"https": f"http://127.0.0.1:{free_port()}"}
    with requests.Session() as session, observation.unit_of_work("outer"):
        session.trust_env = False
        with pytest.raises(requests.ConnectionError):
            session.get(tls_far_end.url, proxies=proxies)

    assert [work.library for work in observed] == ["requests", ""]


def test_a_failure_that_cannot_be_noted_changes_no_error(observed, broken, free_port, monkeypatch):
    """What goes wrong while a failed tunnel is noted is counted, and the user sees his own."""
    monkeypatch.setattr(ours.conventions, "http_client", None)
    with urllib3.ProxyManager(f"http://127.0.0.1:{free_port()}") as manager:
        with observation.unit_of_work("outer"), pytest.raises(urllib3.exceptions.MaxRetryError):
            manager.request("GET", "https://127.0.0.1:9/", retries=0)

    assert broken == {"hook.urllib3.tunnel": 1}


def test_headers_that_are_not_named_are_not_touched(observed, broken, far_end):
    """A subclass may send by itself; then it is observed, and carries nothing."""
    with HTTPConnectionPool("127.0.0.1", far_end.server_port) as pool:
        connection = pool._get_conn()
        with observation.unit_of_work("outer"):
            answer = pool._make_request(connection, "GET", "/x")
        assert answer.status == 200
        connection.close()

    assert observed[0].status == 200
    assert far_end.seen[0][1]["x-correlation-id"] is None
    assert broken == {}


def test_ipv6_addresses_are_written_as_in_a_url(observed, free_port):
    """With brackets, as everywhere else."""
    port = free_port()
    with urllib3.PoolManager() as manager, observation.unit_of_work("outer"):
        with pytest.raises(urllib3.exceptions.MaxRetryError):
            manager.request("GET", f"http://[::1]:{port}/", retries=0)

    assert observed[0].peer == f"[::1]:{port}"
