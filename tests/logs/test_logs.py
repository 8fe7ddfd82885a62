"""The room as a whole: switched on, changed, and given back."""

import logging
import sys

import pytest

from obskit import get_logger, health, logs, settings
from obskit.logs import pipeline
from tests.logs.torture import strict


def test_lines_come_from_all_doors_once(logged):
    """The native logger and logging lead to one log."""
    get_logger("a").info("one", x=1)
    logging.getLogger("b").warning("two", extra={"x": 2})

    assert [(line["logger"], line["message"], line["x"]) for line in logged.lines] == [
        ("a", "one", 1), ("b", "two", 2),
    ]  # fmt: skip


def test_settings_may_change_at_any_time(logged, tmp_path):
    """A second call puts other settings in force; what was written stays."""
    log = get_logger("a")
    log.info("one")
    logged.configure(log_level="ERROR")
    log.info("no")
    logged.configure(log_stream=str(tmp_path / "other"), log_level="INFO", service="b")
    log.info("two")

    assert logged.line["message"] == "one"
    assert strict((tmp_path / "other").read_bytes())["service"] == "b"
    assert health.lost == {}


def test_shutdown_is_no_end(logged):
    """Lines that come after it are written."""
    log = get_logger("a")
    logs.shutdown(1.0)
    log.info("one")

    assert logged.line["message"] == "one"


def test_undo_leaves_nothing_behind(floor, tmp_path):
    """The process is as it was: levels, hooks, files."""
    before = (logging.root.level, list(logging.root.handlers), logging.Logger.callHandlers)
    logs.configure(settings.resolve({"log_stream": str(tmp_path / "log")}, {}, "/"))
    assert pipeline.is_on()
    logs.undo()
    logs.undo()

    assert (logging.root.level, list(logging.root.handlers), logging.Logger.callHandlers) == before
    assert not pipeline.is_on()


@pytest.mark.parametrize("name", ["structlog", "rich", "loguru", "pythonjsonlogger", "fastapi"])
def test_nothing_heavy_is_imported(start_process, name):
    """The log needs neither of the libraries that it works with."""
    code = (
        "import sys, obskit; obskit.init(metrics_port='off'); obskit.get_logger().info('x');"
        f"sys.exit({name!r} in sys.modules)"
    )
    assert start_process(sys.executable, "-c", code).wait().returncode == 0


def test_what_libraries_are_adopted_is_named():
    """Each comes with the function that adopts it when it is imported."""
    assert {"structlog", "loguru"} <= {module for module, _ in logs.ON_IMPORT}
    assert all(callable(adopt) for _, adopt in logs.ON_IMPORT)
