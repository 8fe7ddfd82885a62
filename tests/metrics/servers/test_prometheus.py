"""A real Prometheus scrapes real services."""

import pytest

FLASK = """
from flask import Flask
app = Flask("shop")

@app.get("/cds/<int:number>")
def cds(number): return "x"
@app.get("/boom")
def boom(): raise LookupError("boom")
"""

MOUNTED = {
    "asgi": (
        "uvicorn",
        """
from fastapi import FastAPI
app = FastAPI()
app.mount("/metrics", metrics.metrics_app())

@app.get("/cds/{number}")
async def cds(number: int): return "x"
""",
    ),
    "wsgi": (
        "gunicorn",
        """
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
app = Flask("shop")
app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/metrics": metrics.metrics_wsgi_app()})

@app.get("/cds/<int:number>")
def cds(number): return "x"
""",
    ),
}


@pytest.mark.slow
def test_prometheus_stores_what_workers_count_and_their_exemplars(gunicorn, prometheus):
    """Four workers are one target; its exemplars lead to traces."""
    served = gunicorn(FLASK, "--workers", "4", "--log-level", "critical")
    server = prometheus(f"127.0.0.1:{served.metrics_port}")
    for number in range(12):
        served.get(f"/cds/{number}")
    served.get("/boom", traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
    server.wait_scraped()
    requests = server.wait_for("sum(http_server_requests_total) == 13")
    assert requests[0]["value"][1] == "13"
    by_outcome = server.query(
        "sum by (outcome, http_route) (http_server_request_duration_seconds_count)"
    )
    found = {
        (one["metric"]["outcome"], one["metric"]["http_route"]): one["value"][1]
        for one in by_outcome
    }
    assert found == {("ok", "/cds/<int:number>"): "12", ("server_error", "/boom"): "1"}
    assert server.query("http_server_active_requests")[0]["value"][1] == "0"
    assert server.query("obskit_workers")[0]["value"][1] == "4"
    assert server.query("count(process_resident_memory_bytes)")[0]["value"][1] == "4"

    exemplars = server.get(
        "query_exemplars",
        query='http_server_request_duration_seconds_bucket{outcome="server_error"}',
        start="2020-01-01T00:00:00Z",
        end="2100-01-01T00:00:00Z",
    )
    labels = [one["labels"] for series in exemplars for one in series["exemplars"]]
    assert "a" * 32 in [label.get("trace_id") for label in labels]


@pytest.mark.slow
@pytest.mark.parametrize("protocol", MOUNTED)
def test_prometheus_scrapes_a_mounted_application(request, prometheus, promtool, protocol):
    """Without a port of its own, the page is where the application has put it."""
    server, source = MOUNTED[protocol]
    served = request.getfixturevalue(server)(source, OBSKIT_METRICS_PORT="off")
    for number in range(3):
        assert served.get(f"/cds/{number}") == 200
    scraper = prometheus(f"127.0.0.1:{served.port}", metrics_path="/metrics/")
    scraper.wait_scraped()
    counted = scraper.wait_for('sum(http_server_requests_total{http_route=~"/cds/.*"}) == 3')

    assert counted[0]["value"][1] == "3"


def test_promtool_accepts_the_page_of_many_workers(gunicorn, promtool):
    """What is added up from several processes is as clean as that of one."""
    served = gunicorn(FLASK, "--workers", "2", "--log-level", "critical")
    for path in ("/cds/1", "/boom", "/cds/2", "/nowhere"):
        served.get(path)
    served.until(lambda found: found.get("obskit_workers") == 2)
    checked = promtool("check", "metrics", stdin=served.page())

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
