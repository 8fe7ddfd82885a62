"""Errors are counted by their fingerprint, once in each unit of work."""

import pytest

from obskit import clock, context, conventions, health, logs, observation, settings
from obskit.logs import get_logger, pipeline
from obskit.logs.summary import Summary
from obskit.metrics import budget, catalogue, errors, exposition
from obskit.metrics.red import Red


@pytest.fixture
def counted(configured, samples, tmp_path):
    """Write lines and count, as a service does; give what was counted, by type."""
    configured()
    path = tmp_path / "log"
    logs.configure(settings.resolve({"service": "shop", "log_stream": str(path)}, {}, "/"))
    pipeline.on_error = errors.count
    observation.configure([("metrics", Red()), ("summary", Summary())])
    catalogue.load()

    def read():
        found = {}
        for name, number in samples().items():
            if name.startswith("obskit_errors_total{"):
                kind = name.partition('error_type="')[2].partition('"')[0]
                found[kind] = found.get(kind, 0) + number
        return found

    yield read
    logs.undo()
    errors._waiting.clear()
    context.attach(None)
    clock.attach(None)
    health.reset()


def served(work=lambda: None, error=None):
    """Serve a request that may end with an error."""
    request = conventions.http_server("GET", "/orders/7", {}, peer="127.0.0.1")
    observation.start(request)
    work()
    request.status = 200 if error is None else None
    observation.end(request, error)
    return request


def raised(kind=ValueError):
    """Return an error that was raised here."""
    try:
        raise kind("x")
    except kind as error:
        return error


def logged(error, level="error"):
    """Write a line about an error."""
    getattr(get_logger("shop"), level)("failed", exc_info=error)


def test_a_unit_of_work_that_ends_with_an_error_counts_once(counted):
    """Although its error stands on the summary line, and on one of its own."""
    error = raised()
    served(lambda: logged(error), error)

    assert counted() == {"ValueError": 1}


def test_each_unit_of_work_counts(counted):
    """The number is that of the operations that went wrong."""
    for _ in range(3):
        served(error=raised())

    assert counted() == {"ValueError": 3}


def test_an_error_that_was_handled_counts_where_it_was_logged(counted):
    """As far as somebody found it worth a warning."""
    served(lambda: logged(raised(KeyError)))
    served(lambda: logged(raised(TypeError), "warning"))
    served(lambda: logged(raised(OSError), "info"))

    assert counted() == {"KeyError": 1, "TypeError": 1}


def test_outside_of_units_each_line_counts(counted):
    """A loop of a worker has no unit to belong to."""
    error = raised()
    logged(error)
    logged(error)

    assert counted() == {"ValueError": 2}


def test_without_a_summary_line_the_unit_counts(counted):
    """Where lines about requests are switched off."""
    observation.configure([("metrics", Red())])
    served(error=raised())

    assert counted() == {"ValueError": 1}


def test_who_left_is_no_error(counted):
    """Work that was called off has not failed."""
    request = conventions.http_server("GET", "/", {}, peer="127.0.0.1")
    observation.start(request)
    request.client_gone = True
    observation.end(request, raised())

    assert counted() == {}


def test_the_fingerprint_is_that_of_the_line(counted, tmp_path):
    """By it people go from a graph to the lines."""
    served(error=raised())
    line = (tmp_path / "log").read_text().splitlines()[-1]
    page = exposition.render("")[1].decode()
    fingerprint = line.partition('"error_fingerprint":"')[2].partition('"')[0]

    assert len(fingerprint) == 16
    assert f'error_fingerprint="{fingerprint}"' in page


def test_there_is_an_exemplar(counted):
    """By it people go from a graph to a trace."""
    request = served(error=raised())
    page = exposition.render("application/openmetrics-text")[1].decode()
    [line] = [line for line in page.splitlines() if line.startswith("obskit_errors_total{")]

    assert request.context.trace_id in line.partition(" # ")[2]


def test_series_are_bounded(counted):
    """Further errors are counted together."""
    budget.set_budget(10)
    for number in range(50):
        errors.count(None, f"Error{number}", f"{number:016x}")
    found = counted()

    assert sum(found.values()) == 50
    assert len(found) <= 10
    assert found["__overflow__"] > 30


def test_what_a_unit_remembers_is_bounded(counted):
    """One that fails in a thousand ways does not grow for ever."""

    def work():
        for number in range(100):
            errors.count(context.get(), "E", f"{number:016x}")

    assert len(served(work).context.unit.errors) == errors.MOST_OF_UNIT


def test_what_comes_before_anybody_counts_is_not_lost(fresh):
    """A program that has no metrics does not import what they are made with for an error."""
    errors.count(None, "ValueError", "f" * 16)
    errors.count(None, "ValueError", "f" * 16)
    assert not catalogue.is_loaded()
    catalogue.load()

    page = exposition.render("")[1].decode()
    assert (
        f'obskit_errors_total{{error_fingerprint="{"f" * 16}",error_type="ValueError"}} 2.0' in page
    )
