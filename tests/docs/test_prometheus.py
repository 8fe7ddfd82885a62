"""The page on Prometheus: what it shows is understood by Prometheus, and names what exists."""

import json
import re

import pytest

from obskit.fields import METRICS
from tests.docs.pages import blocks
from tests.source import ROOT

PAGE = ROOT / "docs" / "how-to" / "prometheus.md"
SHOWN = [*blocks(PAGE.read_text(encoding="utf-8"))]
QUERIES = [block.code for block in SHOWN if block.language == "promql"]
NAME = re.compile(r"\b(?:http|obskit|task|operation)_[a-z_]+(?=[{\[) \n])")
LABEL = re.compile(r"(\w+)(?:=~|!=|!~|=)\"")
BY = re.compile(r"by \(([\w, ]+)\)")
LABELS = {metric.name: set(metric.labels) for metric in METRICS}
FROM_PROMETHEUS = {"le", "job"}


def yaml_of(name):
    """Return the file of that name that the page shows."""
    (found,) = [block.code for block in SHOWN if block.code.startswith(f"# {name}\n")]
    return found


def named(expression):
    """Return the metrics that an expression asks for, without what histograms add."""
    found = NAME.findall(BY.sub("", expression))
    return {re.sub(r"_(?:bucket|count|sum)$", "", name) for name in found}


@pytest.mark.parametrize("query", [*QUERIES, yaml_of("shop.rules.yml")])
def test_queries_ask_for_what_is_there(query):
    """Metrics and labels are those of the dictionary."""
    metrics = named(query)
    assert metrics
    assert metrics <= set(LABELS)

    asked = set(LABEL.findall(query)) | set(re.split(r"\W+", " ".join(BY.findall(query))))
    known = set().union(*(LABELS[metric] for metric in metrics))
    assert asked - {""} <= known | FROM_PROMETHEUS


def test_prometheus_understands_the_queries(promtool, tmp_path):
    """Each is an expression that could be a rule."""
    rules = [{"record": f"page:query{n}", "expr": query} for n, query in enumerate(QUERIES)]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "page", "rules": rules}]}), encoding="utf-8")
    checked = promtool("check", "rules", str(path))

    assert len(QUERIES) >= 8
    assert checked.returncode == 0, checked.stderr
    assert f"SUCCESS: {len(QUERIES)} rules found" in checked.stdout


def test_prometheus_understands_the_files(promtool, tmp_path):
    """The configuration and the alerts can be copied as they are."""
    for name, command in (("prometheus.yml", "config"), ("shop.rules.yml", "rules")):
        path = tmp_path / name
        path.write_text(yaml_of(name), encoding="utf-8")
        checked = promtool("check", command, str(path))
        assert checked.returncode == 0, (name, checked.stdout, checked.stderr)


REQUESTS = 'http_server_requests_total{outcome="%s",synthetic="false"}'
HOUR = 60


@pytest.mark.parametrize(
    ("series", "alerts"),
    [
        ({"ok": f"0+60x{HOUR}"}, []),
        ({"ok": f"0+60x{HOUR}", "client_error": f"0+60x{HOUR}"}, []),
        ({"ok": f"0+60x{HOUR}", "client_gone": f"0+60x{HOUR}"}, []),
        ({"ok": f"0+60x{HOUR}", "server_error": f"0+6x{HOUR}"}, ["ShopFails"]),
        ({"ok": f"0+60x20 1200x{HOUR}"}, ["ShopIsSilent"]),
        ({}, ["ShopIsSilent"]),
    ],
    ids=["well", "bad clients", "clients leave", "broken", "nobody comes", "gone"],
)
def test_the_alerts_fire_when_they_should(promtool, tmp_path, series, alerts):
    """Ours to mend, or silence: then, and not for what is the fault of clients."""
    tmp_path.joinpath("shop.rules.yml").write_text(yaml_of("shop.rules.yml"), encoding="utf-8")
    given = [{"series": REQUESTS % name, "values": values} for name, values in series.items()]
    checks = [
        {
            "eval_time": "55m",
            "alertname": name,
            "exp_alerts": EXPECTED[name] if name in alerts else [],
        }
        for name in EXPECTED
    ]
    test = {
        "rule_files": ["shop.rules.yml"],
        "tests": [{"interval": "1m", "input_series": given, "alert_rule_test": checks}],
    }
    path = tmp_path / "test.yml"
    path.write_text(json.dumps(test), encoding="utf-8")
    ran = promtool("test", "rules", str(path))

    assert ran.returncode == 0, ran.stdout + ran.stderr


EXPECTED = {
    "ShopFails": [
        {"exp_annotations": {"summary": "More than 2 % of the requests fail by our own fault."}}
    ],
    "ShopIsSilent": [{"exp_annotations": {"summary": "Nobody has come for a quarter of an hour."}}],
}
