"""The page on missing IDs: what it shows is understood by Prometheus, and names what exists."""

import json
import re

from obskit.fields import LINE_NAMES
from tests.docs.pages import blocks
from tests.docs.test_prometheus import BY, FROM_PROMETHEUS, LABEL, LABELS, named
from tests.source import ROOT

PAGE = (ROOT / "docs" / "how-to" / "missing-id.md").read_text(encoding="utf-8")
SHOWN = [*blocks(PAGE)]
QUERIES = [block.code for block in SHOWN if block.language == "promql"]
(RULES,) = [block.code for block in SHOWN if block.language == "yaml"]


def test_queries_ask_for_what_is_there():
    """The metric and its labels are those of the dictionary."""
    known = set(LABELS["obskit_ingress_correlation_total"]) | FROM_PROMETHEUS
    for query in [*QUERIES, RULES]:
        asked = set(LABEL.findall(query)) | set(re.split(r"\W+", " ".join(BY.findall(query))))

        assert named(query) == {"obskit_ingress_correlation_total"}
        assert asked - {""} <= known


def test_fields_that_are_named_exist():
    """Those that are shown with a value, and those that the counts come from."""
    fields = set(re.findall(r'`"(\w+)":', PAGE)) | {"messaging_sent_to", "messaging_sent"}

    assert len(fields) >= 5
    assert fields <= LINE_NAMES


def test_prometheus_understands_the_queries(promtool, tmp_path):
    """Each is an expression that could be a rule."""
    rules = [{"record": f"page:query{n}", "expr": query} for n, query in enumerate(QUERIES)]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "page", "rules": rules}]}), encoding="utf-8")
    checked = promtool("check", "rules", str(path))

    assert f"SUCCESS: {len(QUERIES)} rules found" in checked.stdout, checked.stderr


def test_the_alert_fires_where_ids_get_lost(promtool, tmp_path):
    """Behind the edge, and not where browsers come in."""
    (tmp_path / "hops.rules.yml").write_text(RULES, encoding="utf-8")
    name = 'obskit_ingress_correlation_total{source="%s",caller="",job="%s"}'
    given = [("generated", "shop"), ("generated", "warehouse"), ("inherited", "billing")]
    summary = "warehouse gets requests or messages without an ID: ask obskit hops."
    test = {
        "rule_files": ["hops.rules.yml"],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name % pair, "values": "0+6x60"} for pair in given],
                "alert_rule_test": [
                    {
                        "eval_time": "50m",
                        "alertname": "IdsGetLost",
                        "exp_alerts": [
                            {
                                "exp_labels": {"job": "warehouse"},
                                "exp_annotations": {"summary": summary},
                            }
                        ],
                    }
                ],
            }
        ],
    }
    path = tmp_path / "test.yml"
    path.write_text(json.dumps(test), encoding="utf-8")
    ran = promtool("test", "rules", str(path))

    assert ran.returncode == 0, ran.stdout + ran.stderr
