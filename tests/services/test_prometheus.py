import pytest

EXPOSITION = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        status = 200 if scope["path"] == "/metrics" else 404
        headers = [(b"content-type", b"text/plain; version=0.0.4")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        body = b"# TYPE cds_sold_total counter\\ncds_sold_total 7\\n"
        await send({"type": "http.response.body", "body": body})
"""


def test_prometheus_scrapes_a_target(run_uvicorn, prometheus):
    """A sample of a real scrape is found by a query."""
    target = run_uvicorn(EXPOSITION)
    server = prometheus(f"127.0.0.1:{target.port}")
    server.wait_scraped()

    assert server.wait_for("cds_sold_total")[0]["value"][1] == "7"
    assert server.query("nobody_has_this") == []


def test_prometheus_evaluates_rules(run_uvicorn, prometheus):
    """A recording rule given as text is at work."""
    target = run_uvicorn(EXPOSITION)
    rule = "{record: 'cds:doubled', expr: 'cds_sold_total * 2'}"
    rules = f"groups: [{{name: shop, rules: [{rule}]}}]"
    server = prometheus(f"127.0.0.1:{target.port}", rules=rules)

    assert server.wait_for("cds:doubled")[0]["value"][1] == "14"


def test_a_failed_scrape_is_named(run_uvicorn, prometheus):
    """Waiting for a target that answers 404 raises with Prometheus's own reason."""
    target = run_uvicorn(EXPOSITION)
    server = prometheus(f"127.0.0.1:{target.port}", metrics_path="/nothing")

    server.wait_for("up == 0")

    with pytest.raises(TimeoutError, match="404"):
        server.wait_scraped(timeout=0.1)


def test_a_bad_configuration_shows_what_prometheus_says(prometheus):
    """A server that refuses its configuration fails the test at once with the reason."""
    with pytest.raises(AssertionError, match="scrape_confiks"):
        prometheus(config={"scrape_confiks": []})


def test_promtool_judges_expositions(promtool):
    """The checker accepts a good exposition and names what is wrong with a bad one."""
    good = "# HELP cds_sold_total Discs sold.\n# TYPE cds_sold_total counter\ncds_sold_total 7\n"
    assert promtool("check", "metrics", stdin=good).returncode == 0

    bad = promtool("check", "metrics", stdin="# TYPE cds_sold counter\ncds_sold 7\n")
    assert bad.returncode != 0
    assert 'counter metrics should have "_total" suffix' in bad.stderr
