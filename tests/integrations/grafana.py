"""Read Grafana's dashboards: their panels, what these ask for, and what is filled in for it."""

import re
from collections import Counter
from typing import Any

Dashboard = dict[str, Any]

# What Grafana fills in, with something that it could be.
FILLED = {
    "$__rate_interval": "1m",
    "$__range": "1h",
    "$__auto": "1m",
    "$job": ".*",
    "$service": ".+",
    "$correlation_id": "by-hand",
}
OWN = {"__rate_interval", "__range", "__auto"}


def expressions(dashboard: Dashboard) -> dict[str, list[str]]:
    """Return what each panel asks for, by its title, with Grafana's variables filled in."""
    return {
        panel["title"]: [filled(target["expr"]) for target in panel["targets"]]
        for panel in dashboard["panels"]
    }


def filled(expression: str) -> str:
    """Return an expression with something in place of each variable."""
    for name, value in FILLED.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def is_sound(dashboard: Dashboard) -> None:
    """Fail where panels overlap, or refer to a source or variable that is not there."""
    panels = dashboard["panels"]
    cells = Counter(
        (at["x"] + x, at["y"] + y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["w"])
        for y in range(at["h"])
    )
    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    used = re.findall(r"\$\{?(\w+)\}?", str([panels, list(variables.values())]))

    assert max(cells.values()) == 1
    assert max(x for x, _ in cells) == 23
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    assert set(used) - OWN == set(variables)
    kind = variables["datasource"]["query"]
    for panel in panels:
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": kind, "uid": "${datasource}"}
        assert {"fieldConfig", "gridPos", "options", "targets", "type"} <= set(panel)
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
