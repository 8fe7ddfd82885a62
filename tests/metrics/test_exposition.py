"""The page that scrapers get."""

import struct

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text

from obskit import conventions, health, observation
from obskit.fields import METRICS
from obskit.metrics import errors, exposition, runtime
from obskit.metrics.exposition import render
from obskit.metrics.red import Red

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
# What the spool tells where there is one.
SHIPPED = [
    ("obskit_spool_bytes", (), 1),
    ("obskit_spool_waiting", ("search",), 1),
    ("obskit_shipped_total", ("search", "taken"), 1),
]


@pytest.fixture
def busy(configured):
    """Have something to show of every metric that a single process has."""
    configured(version="1", env="test")
    observation.configure([("metrics", Red())])
    for status in (200, 500):
        work = conventions.http_server("GET", "/cds/7", {"x-correlation-id": "not valid"})
        observation.start(work)
        call = conventions.http_client("GET", "http://warehouse/", carrier={})
        observation.start(call)
        call.status = 200
        observation.end(call)
        with observation.observe("charge card"):
            pass
        conventions.set_route(work, "/cds/{id}")
        work.status = status
        observation.end(work)
    with observation.unit_of_work("billing"):
        observation.end(_begun(conventions.producer("rabbitmq", "orders", carrier={})))
    born = {"baggage": "obskit.correlation=c-1,obskit.born=mh000000"}
    message = conventions.consumer("rabbitmq", "orders", carrier=born, sent_at=1.0)
    message.redelivered = message.dead_lettered = True
    observation.end(_begun(message))
    errors.count(None, "ValueError", "0" * 16)
    health.lose("logs", "full")
    health.internal_error("here", ValueError())


def _begun(work):
    observation.start(work)
    return work


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(
    ("accept", "parse"), [("", text), (OPENMETRICS, openmetrics)], ids=["text", "openmetrics"]
)
def test_names_and_labels_are_those_of_the_dictionary(accept, parse):
    """Every metric is there with exactly its labels, and none that is not documented."""
    runtime.ask("shipping", lambda: SHIPPED)
    families = {family.name: family for family in parse(render(accept)[1].decode())}
    runtime.ask("shipping", None)
    suffix = "_total" if parse is openmetrics else ""

    for listed in METRICS:
        if listed.name == "obskit_workers":
            continue
        name = listed.name.removesuffix("_total") if suffix or listed.kind == "counter" else None
        family = families[name or listed.name]
        assert family.type == listed.kind
        assert family.documentation == listed.meaning
        assert family.samples, listed.name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(listed.labels), sample
    ours = {metric.name.removesuffix("_total") for metric in METRICS}
    assert {
        name for name in families if name.startswith(("obskit", "http", "messaging", "task"))
    } <= ours


@pytest.mark.usefixtures("busy")
def test_promtool_finds_nothing_to_complain_about(promtool):
    """Prometheus's own linter accepts the page."""
    checked = promtool("check", "metrics", stdin=render("")[1].decode())

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.usefixtures("busy")
def test_exemplars_are_in_openmetrics_only():
    """The text format has no place for them; a strict parser accepts those of the other."""
    assert b" # {" not in render("")[1]
    found = [
        sample.exemplar
        for family in openmetrics(render(OPENMETRICS)[1].decode())
        for sample in family.samples
        if sample.exemplar
    ]

    assert found
    assert all(len(exemplar.labels["trace_id"]) == 32 for exemplar in found)


@pytest.mark.usefixtures("busy")
def test_there_are_no_times_of_creation():
    """A series more for each child, and nobody asks for it."""
    assert b"_created" not in b"".join(
        line
        for line in render(OPENMETRICS)[1].splitlines()
        if line.startswith((b"http_", b"obskit_", b"task_", b"operation_"))
    )


@pytest.mark.usefixtures("busy")
def test_a_collector_that_fails_is_left_out():
    """All others are shown, and the failure is counted."""
    from prometheus_client import REGISTRY

    class Broken:
        """A collector of somebody else's."""

        def describe(self):
            """Describe nothing."""
            return []

        def collect(self):
            """Fail."""
            raise RuntimeError("no database")

    broken = Broken()
    REGISTRY.register(broken)
    try:
        page = render("")[1]
    finally:
        REGISTRY.unregister(broken)

    assert b"http_server_requests_total{" in page
    assert health.internal_errors["metrics.collector"] == 1


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_a_metric_that_cannot_be_encoded_is_left_out(accept):
    """One bad sample does not take the page away."""
    from prometheus_client import REGISTRY
    from prometheus_client.core import GaugeMetricFamily

    class Strange:
        """A collector whose value is no number."""

        def describe(self):
            """Describe nothing."""
            return []

        def collect(self):
            """Return nonsense."""
            yield GaugeMetricFamily("strange", "Strange", value="many")  # type: ignore[arg-type]

    strange = Strange()
    REGISTRY.register(strange)
    try:
        page = render(accept)[1]
    finally:
        REGISTRY.unregister(strange)

    assert b"http_server_requests_total{" in page
    assert b"\nstrange " not in page
    assert page.count(b"# EOF\n") == (1 if accept else 0)
    assert health.internal_errors["metrics.encode"] == 1


@pytest.mark.usefixtures("fresh")
def test_a_scrape_is_no_work_of_the_service(ended):
    """What collectors do while they are asked is not observed."""
    from prometheus_client import REGISTRY

    seen = []

    class Curious:
        """A collector that asks whether it is observed."""

        def describe(self):
            """Describe nothing."""
            return []

        def collect(self):
            """Look around."""
            seen.append(observation.is_suppressed())
            return []

    curious = Curious()
    REGISTRY.register(curious)
    try:
        render("")
    finally:
        REGISTRY.unregister(curious)

    assert seen == [True]
    assert not observation.is_suppressed()
    assert not ended


def test_an_unreadable_file_takes_no_other_away(tmp_path):
    """Where a file of numbers is broken, the rest is added up without it."""
    from prometheus_client.mmap_dict import mmap_key

    from obskit.metrics.pages import Page

    page = Page(tmp_path / "counter_s0.db")
    page.cells[page.index(mmap_key("cds", "cds_total", [], [], "Discs"))] = 3
    broken = tmp_path / "counter_s1.db"
    broken.write_bytes(struct.pack("ii", 4096, 0) + b"\x07\0\0\0\xff" * 1000)
    health.reset()
    (merged,) = exposition._merge([str(page._path), str(broken)])

    assert [sample.value for sample in merged.samples] == [3]
    assert health.internal_errors == {"metrics.merge": 1}
    health.reset()
