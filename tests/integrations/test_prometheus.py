"""The files for Prometheus, checked by its promtool, and the dashboard, asked of a real server."""

import json
import re
import sys
import urllib.error
import urllib.request

import pytest

from obskit.fields import METRICS
from tests.integrations.files import INTEGRATIONS, parsed, text
from tests.integrations.grafana import expressions, is_sound

DASHBOARD = parsed("prometheus/grafana.json")
ASKED = expressions(DASHBOARD)
LABELS = {metric.name: set(metric.labels) for metric in METRICS}
METRIC = re.compile(r"\b([a-z][a-z_]+)(?=\{|\[|\))")
MATCHED = re.compile(r"(\w+)(?:=~|!=|!~|=)\"")
GROUPED = re.compile(r"by \(([\w, ]+)\)")
FROM_PROMETHEUS = {"le", "job"}
FUNCTIONS = {"by"}
SERVICE = """
from fastapi import FastAPI, HTTPException

app = FastAPI()

@app.get("/cds/{number}")
def cd(number: int):
    if number == 5:
        raise ValueError("no such CD")
    if number == 6:
        raise HTTPException(404)
    return number
"""


def named(expression):
    """Return the metrics that an expression asks for, without what histograms add."""
    found = METRIC.findall(GROUPED.sub("", expression))
    return {re.sub(r"_(?:bucket|count|sum)$", "", name) for name in found} - FUNCTIONS


EVERYTHING = [*(one for panel in ASKED.values() for one in panel), text("prometheus/alerts.yml")]


@pytest.mark.parametrize("expression", EVERYTHING)
def test_expressions_ask_for_what_is_there(expression):
    """Metrics and labels are those of the dictionary."""
    metrics = named(expression)
    assert metrics
    assert metrics <= set(LABELS)

    grouped = re.split(r"\W+", " ".join(GROUPED.findall(expression)))
    asked = {*MATCHED.findall(expression), *grouped} - {""}
    known = set().union(*(LABELS[metric] for metric in metrics))
    assert asked <= known | FROM_PROMETHEUS


def test_legends_and_annotations_name_labels_that_are_left():
    """What a legend shows is what the expression groups by."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            grouped = set(re.split(r"\W+", " ".join(GROUPED.findall(target["expr"]))))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= grouped


def test_promtool_accepts_the_files(promtool):
    """Configuration and alerts can be used as they are."""
    folder = INTEGRATIONS / "prometheus"
    for command, name in (("config", "prometheus.yml"), ("rules", "alerts.yml")):
        checked = promtool("check", command, str(folder / name))
        assert checked.returncode == 0, checked.stderr
        assert "SUCCESS: 6 rules found" in checked.stdout


def test_promtool_accepts_every_expression(promtool, tmp_path):
    """Each could be a rule."""
    rules = [
        {"record": f"panel:query{number}", "expr": expression}
        for number, expression in enumerate(one for panel in ASKED.values() for one in panel)
    ]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    checked = promtool("check", "rules", str(path))

    assert checked.returncode == 0, checked.stderr
    assert f"SUCCESS: {len(rules)} rules found" in checked.stdout


def test_the_dashboard_is_sound():
    """Panels have their places, and refer to the variables of the dashboard."""
    is_sound(DASHBOARD)


@pytest.mark.slow
def test_panels_show_what_a_service_did(prometheus, run_uvicorn, free_port):
    """A real Prometheus that scrapes a real service answers with rates, failures and times."""
    port = free_port()
    settings = {"OBSKIT_METRICS_PORT": str(port), "OBSKIT_SERVICE": "shop"}
    command = (sys.executable, "-m", "obskit", "run", "--")
    service = run_uvicorn(SERVICE, env=settings, launcher=command)
    server = prometheus(f"127.0.0.1:{port}")
    server.wait_scraped()
    for number in (1, 2, 5, 6):
        ask(f"{service.url}/cds/{number}")
    server.wait_for('http_server_requests_total{outcome="client_error"}')
    for number in (1, 2, 5, 6):
        ask(f"{service.url}/cds/{number}")
    server.wait_for('increase(http_server_requests_total{outcome="client_error"}[1m]) > 0')

    (rate,) = (server.query(one) for one in ASKED["Requests a second"])
    assert [one["metric"] for one in rate] == [{"job": "test"}]
    (failures,) = (server.query(one) for one in ASKED["Failed requests by whose fault it was"])
    outcomes = {one["metric"]["outcome"] for one in failures if float(one["value"][1]) > 0}
    assert outcomes == {"server_error", "client_error"}
    (share,) = server.query(ASKED["Share that fails by our own fault"][0])
    assert 0 < float(share["value"][1]) < 1
    times = [server.query(one) for one in ASKED["Time of requests that went well"]]
    assert all(float(one["value"][1]) > 0 for (one,) in times)
    (routes,) = (server.query(one) for one in ASKED["Slowest routes"])
    assert {one["metric"]["http_route"] for one in routes} == {"/cds/{number}"}


def ask(address):
    """Send a request whose answer may be an error."""
    try:
        with urllib.request.urlopen(address, timeout=10.0) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        error.close()
