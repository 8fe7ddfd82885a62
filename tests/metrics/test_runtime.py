"""What obskit says about itself."""

import os
import platform

from obskit import fields, health
from obskit.metrics import runtime


def test_the_build_is_named(configured, samples):
    """Version of obskit, service, its version, environment, Python."""
    configured(service="invoice", version="2.1", env="production")
    (name,) = [key for key in samples() if key.startswith("obskit_build_info")]

    assert name == (
        f'obskit_build_info{{env="production",python="{platform.python_version()}",'
        f'service="invoice",service_version="2.1",version="{fields.VERSION}"}}'
    )


def test_errors_and_losses_are_counted_from_the_beginning(configured, samples):
    """What happened before the first metric was needed is there too."""
    health.internal_error("early", ValueError())
    health.lose("logs", "early", 5)
    configured()
    health.internal_error("early", ValueError())
    found = samples()
    assert found['obskit_internal_errors_total{where="early"}'] == 2
    assert found['obskit_lost_total{reason="early",signal="logs"}'] == 5

    health.internal_error("late", ValueError())
    health.lose("spans", "full", 3)
    health.lose("spans", "full", 4)
    found = samples()
    assert found['obskit_internal_errors_total{where="late"}'] == 1
    assert found['obskit_lost_total{reason="full",signal="spans"}'] == 7


def test_configured_twice_counts_once(configured, samples):
    """A second init neither doubles the counts nor the build."""
    configured()
    health.lose("logs", "full")
    samples()
    configured(env="production")
    health.lose("logs", "full")
    found = samples()

    assert found['obskit_lost_total{reason="full",signal="logs"}'] == 2
    builds = [name for name in found if name.startswith("obskit_build_info")]
    assert len(builds) == 1
    assert 'env="production"' in builds[0]


def test_a_child_leaves_old_counts_to_its_parent(configured, samples):
    """What was counted before the fork is not counted again."""
    configured()
    health.lose("logs", "full", 3)
    runtime.child_after_fork()
    samples()
    health.lose("logs", "full", 1)

    assert samples()['obskit_lost_total{reason="full",signal="logs"}'] == 1


def test_workers_are_told_apart_by_slot():
    """Each process of a service has its own memory and file descriptors on the page."""
    workers, *processes = runtime.worker_metrics([(0, os.getpid()), (3, os.getpid())])

    assert workers.name == "obskit_workers"
    assert workers.samples[0].value == 2
    memory = next(one for one in processes if one.name == "process_resident_memory_bytes")
    assert [sample.labels for sample in memory.samples] == [{"worker": "0"}, {"worker": "3"}]
    assert all(sample.value > 1_000_000 for sample in memory.samples)


def test_a_worker_that_has_just_died_is_no_error():
    """Between the look at its slot and at its memory a process may end."""
    workers, *processes = runtime.worker_metrics([(0, 2**22 - 1)])

    assert workers.samples[0].value == 1
    assert processes == [] or all(not one.samples for one in processes)


def test_other_rooms_are_asked_at_each_scrape(configured, samples):
    """What they tell is shown; one that fails is counted, and costs nothing else."""
    configured()
    waiting = [5]

    def tell():
        yield "obskit_spool_bytes", (), 100
        yield "obskit_spool_waiting", ("es",), waiting[0]
        yield "obskit_shipped_total", ("es", "taken"), 7

    def fail():
        raise OSError

    runtime.ask("tell", tell)
    runtime.ask("fail", fail)
    samples()
    waiting[0] = 6
    found = samples()
    runtime.ask("tell", None)
    runtime.ask("fail", None)

    assert found["obskit_spool_bytes"] == 100
    assert found['obskit_spool_waiting{destination="es"}'] == 6
    assert found['obskit_shipped_total{destination="es",result="taken"}'] == 7
    assert health.internal_errors["metrics.fail"] >= 1
    assert "obskit_spool_bytes" not in samples()
