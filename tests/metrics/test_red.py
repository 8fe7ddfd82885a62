"""Rate, errors and duration of units of work."""

import random
import string
import sys
import threading

import pytest

from obskit import conventions, health, observation
from obskit.fields import METRICS
from obskit.metrics import budget, exposition, lifecycle, values
from obskit.metrics.red import RECIPES, Red
from obskit.observation import Kind, Observation

LISTED = {metric.name: metric for metric in METRICS}


@pytest.fixture
def red(configured):
    """Let a new observer of metrics listen."""
    configured()
    observer = Red()
    observation.configure([("metrics", observer)])
    return observer


def serve(method="GET", route="/cds/{id}", status=200, *, headers=(), error=None, **marks):
    """Serve a request."""
    work = conventions.http_server(method, "/cds/4711", dict(headers), peer="127.0.0.1")
    observation.start(work)
    conventions.set_route(work, route)
    work.status = status
    for name, value in marks.items():
        setattr(work, name, value)
    observation.end(work, error)
    return work


def call(host="warehouse", status=200, error=None):
    """Send a request."""
    work = conventions.http_client("POST", f"http://{host}/stock/4711?secret=1", carrier={})
    observation.start(work)
    work.status = status
    observation.end(work, error)


def series(name, **labels):
    """Return how a sample is written, with all labels of the dictionary, sorted."""
    listed = next(
        metric
        for metric in METRICS
        if name.removesuffix("_count") == metric.name or name == metric.name
    )
    inside = ",".join(f'{label}="{labels.get(label, "")}"' for label in sorted(listed.labels))
    return f"{name}{{{inside}}}" if inside else name


SERVED = {"http_request_method": "GET", "http_route": "/cds/{id}"}


def test_every_recipe_is_in_the_dictionary():
    """What is counted is what is documented, label by label."""
    for kinds in RECIPES.values():
        for recipe in kinds.values():
            for name in filter(None, (recipe.duration, recipe.requests)):
                labels = LISTED[name].labels
                assert "outcome" in labels
                assert labels.index("outcome") == len(recipe.labels)
                if recipe.labels != ("name",):
                    assert labels[: len(recipe.labels)] == recipe.labels


@pytest.mark.usefixtures("red")
def test_a_served_request_is_counted_once(samples):
    """Its duration, its status, and where its correlation ID came from."""
    serve()
    found = samples()

    assert found[series("http_server_request_duration_seconds_count", **SERVED, outcome="ok")] == 1
    labels = {"outcome": "ok", "http_response_status_code": "200", "synthetic": "false"}
    assert found[series("http_server_requests_total", **SERVED, **labels)] == 1
    assert found[series("http_server_active_requests", http_request_method="GET")] == 0
    assert found[series("obskit_ingress_correlation_total", source="generated")] == 1


@pytest.mark.usefixtures("red")
def test_a_duration_falls_into_the_buckets_of_the_dictionary(samples):
    """The upper bounds are those that are documented, and the last one is infinite."""
    serve()
    name = "http_server_request_duration_seconds"
    bounds = [
        key.partition('le="')[2].partition('"')[0]
        for key in samples()
        if key.startswith(name + "_bucket")
    ]

    assert [float(bound) for bound in bounds[:-1]] == list(LISTED[name].buckets)
    assert bounds[-1] == "+Inf"


@pytest.mark.usefixtures("red")
@pytest.mark.parametrize(
    ("status", "error", "marks", "outcome", "code"),
    [
        (200, None, {}, "ok", "200"),
        (302, None, {}, "ok", "302"),
        (404, None, {}, "client_error", "404"),
        (429, None, {}, "rejected", "429"),
        (503, None, {"rejected": True}, "rejected", "503"),
        (504, None, {}, "timeout", "504"),
        (500, TimeoutError(), {}, "timeout", "500"),
        (500, None, {}, "server_error", "500"),
        (None, ValueError(), {}, "server_error", "500"),
        (200, None, {"client_gone": True}, "client_gone", "499"),
        (799, None, {}, "server_error", "799"),
    ],
)
def test_the_outcome_says_whose_fault_it_is(samples, status, error, marks, outcome, code):
    """One count of the right outcome and code, on counter and histogram alike."""
    serve(status=status, error=error, **marks)
    found = samples()
    labels = {"http_response_status_code": code, "outcome": outcome, "synthetic": "false"}

    assert found[series("http_server_requests_total", **SERVED, **labels)] == 1
    duration = series("http_server_request_duration_seconds_count", **SERVED, outcome=outcome)
    assert found[duration] == 1
    counts = [v for k, v in found.items() if k.startswith("http_server_requests_total{")]
    assert counts == [1]


@pytest.mark.usefixtures("red")
def test_a_failed_call_is_the_peers_fault(samples):
    """Who answers 500 because another service failed names that service."""
    work = conventions.http_server("GET", "/cds/1", {})
    observation.start(work)
    conventions.set_route(work, "/cds/{id}")
    call("warehouse:8080", 503)
    work.status = 502
    observation.end(work)
    labels = {
        "outcome": "dependency",
        "http_response_status_code": "502",
        "dependency": "warehouse:8080",
        "synthetic": "false",
    }

    assert samples()[series("http_server_requests_total", **SERVED, **labels)] == 1


@pytest.mark.usefixtures("red")
@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (200, None, "ok"),
        (404, None, "client_error"),
        (429, None, "rejected"),
        (503, None, "server_error"),
        (504, None, "timeout"),
        (None, TimeoutError(), "timeout"),
        (None, ConnectionError(), "dependency"),
    ],
)
def test_an_outgoing_call_is_counted_by_peer(samples, status, error, outcome):
    """Method, host and outcome; nothing of path or query."""
    call(status=status, error=error)
    page = samples()
    labels = {"http_request_method": "POST", "server_address": "warehouse", "outcome": outcome}

    assert page[series("http_client_request_duration_seconds_count", **labels)] == 1
    assert not any("4711" in name or "secret" in name for name in page)


@pytest.mark.usefixtures("red")
def test_the_caller_is_named_where_it_can_be_believed(samples):
    """An internal caller's name is a label; an outsider's is not."""
    serve(status=422, headers={"baggage": "obskit.caller=checkout"})
    labels = {
        "outcome": "client_error",
        "http_response_status_code": "422",
        "caller": "checkout",
        "synthetic": "false",
    }
    assert samples()[series("http_server_requests_total", **SERVED, **labels)] == 1

    work = conventions.http_server(
        "GET", "/", {"baggage": "obskit.caller=mallory"}, peer="203.0.113.7"
    )
    observation.start(work)
    observation.end(work)
    assert not any("mallory" in name for name in samples())


@pytest.mark.usefixtures("red")
def test_synthetic_requests_are_told_apart(samples):
    """Probes do not look like customers."""
    serve(headers={"baggage": "obskit.synthetic=checkout-probe"})
    labels = {"outcome": "ok", "http_response_status_code": "200", "synthetic": "true"}

    assert samples()[series("http_server_requests_total", **SERVED, **labels)] == 1
    assert not any("checkout-probe" in name for name in samples())


@pytest.mark.usefixtures("red")
def test_a_refused_id_is_counted_by_reason(samples):
    """Who sends an ID that is none is seen in the metrics; the ID itself is not."""
    serve(headers={"x-correlation-id": "x" * 500})
    found = samples()
    refused = [key for key in found if key.startswith("obskit_correlation_invalid_total{")]

    assert len(refused) == 1
    assert found[refused[0]] == 1
    assert not any("xxxx" in key for key in found)


@pytest.mark.usefixtures("red")
def test_what_is_running_is_seen_while_it_runs(samples):
    """The gauge goes up at the start and down at the end."""
    name = series("http_server_active_requests", http_request_method="GET")
    work = conventions.http_server("GET", "/", {})
    observation.start(work)
    assert samples()[name] == 1
    observation.end(work)
    assert samples()[name] == 0


@pytest.mark.usefixtures("red")
def test_a_websocket_is_a_request_without_a_duration(samples):
    """How long people stay connected says nothing about how fast requests are served."""
    work = conventions.websocket_server("/chat/7", {})
    observation.start(work)
    conventions.set_route(work, "/chat/{room}")
    work.status = 101
    observation.end(work)
    labels = {
        "http_request_method": "GET",
        "http_route": "/chat/{room}",
        "outcome": "ok",
        "http_response_status_code": "101",
        "synthetic": "false",
    }
    found = samples()

    assert found[series("http_server_requests_total", **labels)] == 1
    assert not any(key.startswith("http_server_request_duration_seconds") for key in found)
    assert not any(key.startswith("http_server_active_requests") for key in found)


@pytest.mark.usefixtures("red")
def test_jobs_and_own_code_are_counted_by_name(samples):
    """A unit of work is a task, an observed block an operation."""
    with observation.unit_of_work("nightly billing"):
        with observation.observe("charge card"):
            pass
    found = samples()

    billing = series("task_duration_seconds_count", task_name="nightly billing", outcome="ok")
    assert found[billing] == 1
    charged = series("operation_duration_seconds_count", operation="charge card", outcome="ok")
    assert found[charged] == 1


@pytest.mark.usefixtures("red")
def test_unknown_methods_and_routes_share_one_value(samples):
    """Anybody can invent a method or a path; neither becomes a label."""
    work = conventions.http_server("STEAL", "/../etc/passwd", {})
    observation.start(work)
    work.status = 404
    observation.end(work)
    labels = {
        "http_request_method": "_OTHER",
        "http_route": "__unmatched__",
        "outcome": "client_error",
        "http_response_status_code": "404",
        "synthetic": "false",
    }

    assert samples()[series("http_server_requests_total", **labels)] == 1


@pytest.mark.usefixtures("red")
def test_whatever_strangers_send_the_series_stay_few(samples):
    """10,000 random methods, paths, hosts and callers, and all of them are counted."""
    rng = random.Random(7)

    def word():
        return "".join(rng.choices(string.ascii_letters, k=8))

    for _ in range(10_000):
        work = conventions.http_server(
            word().upper(), f"/{word()}", {"baggage": f"obskit.caller={word()}"}, peer="10.0.0.1"
        )
        observation.start(work)
        call(word())
        work.status = rng.choice((200, 404, 500))
        observation.end(work)
    found = samples()
    served = {k: v for k, v in found.items() if k.startswith("http_server_requests_total{")}
    called = {
        k: v for k, v in found.items() if k.startswith("http_client_request_duration_seconds_count")
    }

    assert sum(served.values()) == sum(called.values()) == 10_000
    assert len(called) <= budget.DEFAULT_BUDGET
    assert len(served) <= 3 * (budget.MOST_PEERS + 2)
    assert any(f'caller="{budget.OVERFLOW}"' in key for key in served)
    assert not health.internal_errors


@pytest.mark.usefixtures("red")
def test_exemplars_are_rare_and_lead_somewhere():
    """The first one has its trace; the next gets one if it is slower, failed, or a second later."""
    first = serve()
    for _ in range(50):
        serve()
    failed = serve(status=500)
    page = exposition.render("application/openmetrics-text; version=1.0.0")[1].decode()
    named = [line.partition(" # ")[2] for line in page.splitlines() if " # {" in line]

    assert any(failed.context.trace_id in exemplar for exemplar in named)
    assert len(named) <= 3
    assert all('trace_id="' in exemplar and 'span_id="' in exemplar for exemplar in named)
    assert first.context.trace_id


@pytest.mark.usefixtures("red")
def test_an_unsampled_success_has_no_exemplar_but_a_failure_has_its_id():
    """A dead link is worse than none; the lines of a failure are always there."""
    headers = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-00", "x-correlation-id": "order-1"}
    serve(headers=headers)
    page = exposition.render("application/openmetrics-text; version=1.0.0")[1].decode()
    assert " # {" not in page

    serve(headers=headers, status=500)
    page = exposition.render("application/openmetrics-text; version=1.0.0")[1].decode()
    (named,) = [line.partition(" # ")[2] for line in page.splitlines() if " # {" in line]
    assert named.startswith('{correlation_id="order-1"}')


@pytest.mark.usefixtures("red")
def test_what_began_before_a_fork_is_counted_by_the_parent(samples, monkeypatch):
    """The child that ends an observation of its parent counts nothing."""
    work = conventions.http_server("GET", "/", {})
    observation.start(work)
    monkeypatch.setattr(lifecycle, "born_ns", work.started_ns + 1)
    observation.end(work)

    assert not any(name.startswith("http_server_requests_total{") for name in samples())


def test_other_protocols_are_left_alone(red, samples):
    """An observation without a recipe is no error."""
    work = Observation("SELECT", Kind.CLIENT, protocol="db")
    observation.start(work)
    observation.end(work)

    assert samples()
    assert not health.internal_errors


@pytest.mark.usefixtures("red")
def test_what_goes_well_is_counted_alike_each_time(samples):
    """The short way that further requests take leads to the same numbers in all metrics."""
    took = [serve().duration_ns / 1e9 for _ in range(5)]
    found = samples()
    labels = SERVED | {"outcome": "ok"}
    counted = labels | {"http_response_status_code": "200", "synthetic": "false"}
    duration = "http_server_request_duration_seconds"
    total = series(f"{duration}_count", **labels).replace("_count", "_sum")
    assert found[series(f"{duration}_count", **labels)] == 5
    assert found[total] == pytest.approx(sum(took))
    assert found[series("http_server_requests_total", **counted)] == 5
    assert found[series("http_server_active_requests", http_request_method="GET")] == 0
    assert found[series("obskit_ingress_correlation_total", source="generated")] == 5


@pytest.mark.usefixtures("red")
def test_the_short_way_finds_the_bucket_of_a_duration(samples, monkeypatch):
    """A duration that is a bound itself belongs to the bucket below it, as everywhere."""
    name = "http_server_request_duration_seconds"
    bounds = LISTED[name].buckets
    monkeypatch.setattr("obskit.metrics.red.EXEMPLAR_PAUSE_NS", 2**62)
    for seconds in (max(bounds) * 2, *bounds):
        work = conventions.http_server("GET", "/cds/4711", {}, peer="127.0.0.1")
        observation.start(work)
        conventions.set_route(work, "/cds/{id}")
        work.status = 200
        work.started_ns = 2**62
        monkeypatch.setattr(
            "obskit.observation.lifecycle.perf_counter_ns",
            lambda took=seconds: 2**62 + round(took * 1e9),
        )
        observation.end(work)

    counts = [number for key, number in samples().items() if key.startswith(name + "_bucket")]
    assert counts == [*range(1, len(bounds) + 1), len(bounds) + 1]


def test_without_a_global_lock_each_number_is_locked(configured, samples, monkeypatch):
    """Where code is never atomic everything is counted the long way, and alike."""
    monkeypatch.setattr("obskit.metrics.values.ATOMIC", False)
    configured()
    observer = Red()
    observation.configure([("metrics", observer)])
    for _ in range(3):
        serve()
    found = samples()
    labels = SERVED | {"outcome": "ok", "http_response_status_code": "200", "synthetic": "false"}

    assert found[series("http_server_requests_total", **labels)] == 3
    assert found[series("http_server_active_requests", http_request_method="GET")] == 0
    assert not observer._gauges
    assert not observer._served.rows


@pytest.mark.usefixtures("red")
def test_threads_lose_no_request(samples):
    """Many at once, on the short way: every number is exact, and the sum is that of its parts."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    took = []

    def work():
        took.extend(serve().duration_ns for _ in range(300))

    threads = [threading.Thread(target=work) for _ in range(6)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    found = samples()
    labels = SERVED | {"outcome": "ok"}
    counted = labels | {"http_response_status_code": "200", "synthetic": "false"}
    count = series("http_server_request_duration_seconds_count", **labels)

    assert found[series("http_server_requests_total", **counted)] == found[count] == 1800
    assert found[count.replace("_count", "_sum")] == pytest.approx(sum(took) / 1e9)
    assert found[series("http_server_active_requests", http_request_method="GET")] == 0
    assert found[series("obskit_ingress_correlation_total", source="generated")] == 1800


@pytest.mark.usefixtures("red")
def test_the_first_unit_of_work_opens_the_port(monkeypatch):
    """Also in a process whose like was counted before, in its parent; a call of ours does not."""
    begun = []
    serve()
    monkeypatch.setattr(lifecycle.server, "start", lambda: begun.append(1))
    monkeypatch.setattr(lifecycle.server, "is_due", True)
    call()
    assert not begun
    values.use(values.Memory(object()))
    work = conventions.http_server("GET", "/cds/1", {})
    observation.start(work)
    assert begun
    begun.clear()
    observation.end(work)
    assert begun
