"""The bound on the number of series."""

import logging

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from obskit import health
from obskit.metrics import budget

REQUESTS = "http_server_requests_total"
DURATION = "http_client_request_duration_seconds"
TASKS = "task_duration_seconds"


def requests_row(route="/cds", outcome="ok", caller="", dependency="", method="GET"):
    """Return the labels of a served request."""
    return (method, route, outcome, "200", caller, dependency, "false")


@pytest.mark.usefixtures("fresh")
def test_a_row_is_made_once():
    """The same labels lead to the same child."""
    table = budget.table(DURATION)

    assert table.row(("GET", "warehouse", "ok")) is table.row(("GET", "warehouse", "ok"))
    assert table is budget.table(DURATION)


@pytest.mark.usefixtures("fresh")
def test_the_budget_is_never_exceeded():
    """Ten thousand different hosts make no more children than the budget has room for."""
    table = budget.table(DURATION)
    for number in range(10_000):
        table.row(("GET", f"host{number}", "ok")).observe(0.1)

    assert len(table.rows) <= budget.DEFAULT_BUDGET
    assert ("GET", budget.OVERFLOW, "ok") in table.rows
    assert health.lost["series", DURATION] > 9_000


def test_nothing_is_uncounted_beyond_the_budget(samples):
    """What has no child of its own is counted with the others that have none."""
    count = budget.counts("obskit_ingress_correlation_total")
    for number in range(2_000):
        count.row((f"source{number}", f"caller{number}"))()
    found = {
        name: value
        for name, value in samples().items()
        if name.startswith("obskit_ingress_correlation_total")
    }

    assert sum(found.values()) == 2_000
    assert len(found) <= budget.DEFAULT_BUDGET


@pytest.mark.usefixtures("fresh")
def test_outcomes_stay_true_beyond_the_budget():
    """Labels with few values by nature do not overflow with the others."""
    budget.set_budget(20)
    table = budget.counts(REQUESTS)
    for number in range(50):
        table.row(requests_row(route=f"/{number}"))
    table.row(requests_row(route="/51", outcome="server_error", method="POST"))

    over = budget.OVERFLOW
    assert requests_row(over, "server_error", over, over, "POST") in table.rows


@pytest.mark.usefixtures("fresh")
def test_all_overflows_together_when_the_reserve_is_used_up():
    """The last child takes whatever comes."""
    budget.set_budget(4)
    table = budget.table(TASKS)
    rows = [table.row((f"task{n}", f"outcome{n}")) for n in range(100)]

    assert len(table.rows) == 4
    assert rows[-1] is table.rows[budget.OVERFLOW, budget.OVERFLOW]


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("label", ["caller", "dependency"])
def test_peers_are_few(label):
    """Other services choose these values: fifty are told apart, further ones are not."""
    table = budget.counts(REQUESTS)
    for number in range(200):
        table.row(requests_row(**{label: f"peer{number}"}))

    place = table.labels.index(label)
    found = {row[place] for row in table.rows}
    assert len(found) == budget.MOST_PEERS + 1
    assert budget.OVERFLOW in found


@pytest.mark.usefixtures("fresh")
def test_whoever_exceeds_is_named_once(caplog):
    """One line says which metric, which label and which value it was."""
    budget.set_budget(10)
    table = budget.table(DURATION)
    with caplog.at_level(logging.WARNING):
        for number in range(100):
            table.row(("GET", f"host{number}", "ok"))

    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"{DURATION} has used up its budget of 10 label combinations")
    assert "server_address" in said
    assert "OBSKIT_SERIES_BUDGET" in said


@pytest.mark.usefixtures("fresh")
def test_a_new_budget_holds_at_once():
    """Tables that are in use already heed it, and lose none of their rows."""
    table = budget.table(TASKS)
    before = {(f"task{n}", "ok") for n in range(30)}
    for key in before:
        table.row(key)
    budget.set_budget(8)
    table.row(("another", "ok"))

    assert before < set(table.rows)
    assert ("another", "ok") not in table.rows


@pytest.mark.usefixtures("fresh")
@given(value=st.text(max_size=400) | st.integers() | st.just("\ud800"))
@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None
)
def test_any_label_value_can_be_shown(value):
    """Whatever a peer calls itself is encoded and cut, never an error."""
    table = budget.table(TASKS)
    table.row((value, "ok"))

    for key in table.rows:
        assert all(len(part.encode("utf-8")) <= 4 * budget.LONGEST_LABEL for part in key)
