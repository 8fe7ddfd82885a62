"""What is special about urllib.request: its request objects, openers and errors."""

import urllib.error
import urllib.request

import pytest

from obskit import context, observation
from obskit.observation import Kind, Observation


@pytest.fixture
def opener():
    """Give an opener that looks for no proxy."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def test_urlopen_is_observed(observed, far_end, monkeypatch):
    """The function that everybody uses."""
    monkeypatch.setenv("no_proxy", "*")
    with observation.unit_of_work("outer", correlation_id="abc"):
        with urllib.request.urlopen(far_end.url + "/x#part") as response:
            assert response.url == far_end.url + "/x#part"
            assert response.read() == b"fine"

    assert far_end.seen[0][1].get_all("x-correlation-id") == ["abc"]
    assert observed[0].attributes == {"url_path": "/x"}


def copied(value):
    """Return what a dict holds now; markers have to stay themselves."""
    return dict(value) if isinstance(value, dict) else value


def test_a_request_object_is_left_alone(observed, far_end, opener):
    """It may be sent again, and by several threads."""
    request = urllib.request.Request(far_end.url, headers={"x-tenant": "7"})
    request.add_unredirected_header("x-once", "1")
    with opener.open(request):
        pass
    before = {name: copied(value) for name, value in vars(request).items()}
    far_end.seen.clear()
    with observation.unit_of_work("outer", correlation_id="abc"):
        with opener.open(request):
            pass

    assert vars(request) == before
    assert not request.has_header("Traceparent")
    headers = far_end.seen[0][1]
    assert (headers["x-tenant"], headers["x-once"]) == ("7", "1")
    assert headers["x-correlation-id"] == "abc"


def test_headers_are_sent_as_without_us(observed, far_end, opener):
    """What is for one hop alone wins over what goes with each, and the order stays."""
    request = urllib.request.Request(far_end.url, b"x=1", {"Host": "a", "X-Two": "two"})
    request.add_unredirected_header("x-two", "once")
    with observation.suppress(), opener.open(request):
        pass
    with opener.open(request):
        pass
    without, with_us = (headers.items() for _, headers in far_end.seen)
    names = {"x-correlation-id", "traceparent", "baggage", "obskit-cause"}

    assert [item for item in with_us if item[0].lower() not in names] == without
    assert ("X-Two", "once") in without


def test_a_header_that_was_put_in_by_hand_is_replaced(observed, far_end, opener):
    """Past `add_header`, in a spelling that urllib does not know."""
    request = urllib.request.Request(far_end.url)
    request.headers["X-CORRELATION-id"] = "mine"
    with observation.unit_of_work("outer", correlation_id="abc"), opener.open(request):
        pass

    assert far_end.seen[0][1].get_all("x-correlation-id") == ["abc"]


@pytest.mark.parametrize(("status", "outcome"), [(404, "server_error"), (500, "dependency")])
def test_the_error_for_a_status_is_the_users(observed, far_end, opener, status, outcome):
    """The call has a status and no error, and who fails by a 5xx of it blames it."""
    request = Observation("GET /", Kind.SERVER, "http")
    observation.start(request)
    with pytest.raises(urllib.error.HTTPError) as caught:
        opener.open(f"{far_end.url}/status/{status}")
    observation.end(request, caught.value)
    caught.value.close()

    assert (observed[0].status, observed[0].error) == (status, None)
    assert request.outcome == outcome
    context.attach(None)


def test_a_stream_is_over_when_its_headers_are_there(observed, far_end, opener):
    """The body is the user's, who may take his time."""
    with observation.unit_of_work("outer"), opener.open(far_end.url + "/drip") as response:
        assert [work.status for work in observed] == [200]
        assert not context.current().exit
        far_end.go_on.set()
        assert response.read() == b"fine"


def test_a_request_subclass_stays_one(observed, far_end, opener):
    """A method of its own is asked, and what it was given is still there."""

    class Deleting(urllib.request.Request):
        def get_method(self):
            return self.verb

    request = Deleting(far_end.url)
    request.verb = "PUT"
    with observation.unit_of_work("outer"), opener.open(request):
        pass

    assert observed[0].name == "PUT"
    assert far_end.bodies == [b""]


def test_a_request_that_cannot_be_copied_is_sent(observed, broken, far_end, opener):
    """It is counted, and goes out without headers."""

    class Stubborn(urllib.request.Request):
        def __reduce_ex__(self, protocol):
            raise TypeError("not me")

    with observation.unit_of_work("outer"), opener.open(Stubborn(far_end.url)) as response:
        assert response.status == 200

    assert far_end.seen[0][1]["x-correlation-id"] is None
    assert broken == {"hook.urllib.send": 1}
