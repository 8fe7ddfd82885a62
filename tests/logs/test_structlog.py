"""Loggers of structlog join the log, however they are configured."""

import asyncio
import io
import json
import logging
import pickle
import sys

import pytest
import structlog

from obskit import health
from obskit import logs as log_room
from obskit.logs import pipeline
from obskit.logs import structlog as joining
from tests.logs import failing
from tests.logs.torture import CASES

JSON = structlog.processors.JSONRenderer
# These are names of structlog's own parameters: Python itself refuses the call.
CALLS_THAT_FAIL = ("event", "self")


@pytest.fixture(autouse=True)
def joined(logged, monkeypatch):
    """Let structlog join a log that is where it writes to."""
    joining.adopt(structlog)
    monkeypatch.setattr(pipeline, "is_beside", lambda: False)
    logging.root.handlers.clear()
    yield
    structlog.reset_defaults()
    logging.setLoggerClass(logging.Logger)
    structlog.contextvars.clear_contextvars()


def configure(*processors, **more):
    """Configure structlog as applications do."""
    structlog.configure(processors=list(processors), **more)


USUAL = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso"),
    structlog.processors.StackInfoRenderer(),
)


def test_structlog_needs_no_configuration(logged, capfd):
    """Out of the box, an event is a line, and nothing is printed."""
    structlog.get_logger("shop").info("order placed", order_id=7)

    line = logged.line
    assert (line["message"], line["level"], line["logger"]) == ("order placed", "info", "shop")
    assert list(line)[-1] == "order_id"
    assert capfd.readouterr() == ("", "")


def test_a_logger_without_a_name_has_that_of_the_module(logged):
    """Who calls is found behind structlog's own frames."""
    structlog.get_logger().warning("x")

    assert logged.line["logger"] == __name__


def test_the_level_in_force_counts_where_nothing_is_configured(logged):
    """Somebody has to say it; a configured filter is the application's."""
    structlog.get_logger().debug("no")
    configure(JSON())
    structlog.get_logger().debug("yes")

    assert logged.line["message"] == "yes"


def test_context_variables_are_on_the_line(logged):
    """What was bound before and what is bound to the logger is there."""
    structlog.contextvars.bind_contextvars(user="ada")
    structlog.get_logger().bind(order_id=7).info("x", a=1)

    assert [logged.line[name] for name in ("user", "order_id", "a")] == ["ada", 7, 1]


RENDERERS = [
    JSON(),
    JSON(serializer=lambda value, **_: json.dumps(value, default=str)),
    structlog.dev.ConsoleRenderer(),
    structlog.processors.KeyValueRenderer(),
    structlog.processors.LogfmtRenderer(),
    lambda logger, name, event: json.dumps(event),
    lambda logger, name, event: json.dumps(event).encode(),
]


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("caches", [True, False])
def test_the_last_step_is_ours(logged, capfd, renderer, caches):
    """Whatever would have rendered the event, it becomes a line instead."""
    configure(*USUAL, renderer, cache_logger_on_first_use=caches)
    log = structlog.get_logger()
    log.warning("one", a=1)
    log.warn("two", a=2)

    assert [(line["level"], line["message"], line["a"]) for line in logged.lines] == [
        ("warning", "one", 1),
        ("warning", "two", 2),
    ]
    assert not {"field_timestamp", "field_level", "event"} & set(logged.lines[0])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "factory",
    [
        lambda: structlog.PrintLoggerFactory(),
        lambda: structlog.PrintLoggerFactory(sys.stderr),
        lambda: structlog.WriteLoggerFactory(sys.stdout),
        lambda: structlog.BytesLoggerFactory(sys.stdout.buffer),
        lambda: structlog.BytesLoggerFactory(sys.__stderr__.buffer),
    ],
)
def test_all_that_write_to_the_console_join(logged, factory):
    """It does not matter which class of structlog writes."""
    configure(JSON(), logger_factory=factory())
    structlog.get_logger("shop").info("x")

    line = logged.line
    # Before 26.1, a logger of bytes cannot have a name.
    has_name = hasattr(factory()("shop"), "__dict__") or hasattr(structlog.BytesLogger, "name")
    assert line["logger"] == ("shop" if has_name else __name__)


def test_a_file_stays_what_it_is(logged):
    """Who writes JSON to a file of his own reads it there."""
    file = io.StringIO()
    configure(JSON(), logger_factory=structlog.PrintLoggerFactory(file))
    structlog.get_logger().info("x", a=1)

    assert json.loads(file.getvalue()) == {"a": 1, "event": "x"}
    assert logged.lines == []


def test_the_console_stays_where_lines_go_elsewhere(logged, monkeypatch, capsys):
    """A log file is an addition; nobody's terminal falls silent."""
    monkeypatch.setattr(pipeline, "is_beside", lambda: True)
    configure(JSON(), logger_factory=structlog.PrintLoggerFactory(sys.stdout))
    structlog.get_logger().info("x", a=1)

    assert logged.line["a"] == 1
    assert json.loads(capsys.readouterr().out) == {"a": 1, "event": "x"}


def test_processors_run_as_they_were_written(logged):
    """They add, change and drop as ever."""

    def add(logger, method, event):
        event["method"] = method
        event["tenant"] = "eu"
        return event

    def drop(logger, method, event):
        if event["event"] == "drop":
            raise structlog.DropEvent
        return event

    configure(add, drop, JSON())
    structlog.get_logger().error("drop")
    structlog.get_logger().error("keep")

    assert (logged.line["message"], logged.line["method"], logged.line["tenant"]) == (
        "keep",
        "error",
        "eu",
    )


def test_an_error_of_a_processor_is_the_applications(logged):
    """A check that raises is to raise."""

    def check(logger, method, event):
        raise LookupError("no request")

    configure(check, JSON())
    with pytest.raises(LookupError):
        structlog.get_logger().info("x")


def test_the_place_that_logs_is_found_as_ever(logged):
    """Nothing of ours stands between the caller and structlog's look at the stack."""
    configure(structlog.processors.CallsiteParameterAdder(), JSON())
    structlog.get_logger().info("x")

    assert logged.line["func_name"] == "test_the_place_that_logs_is_found_as_ever"
    assert logged.line["filename"] == "test_structlog.py"


@pytest.mark.parametrize(
    "steps",
    [
        (),
        (structlog.processors.format_exc_info,),
        (structlog.processors.dict_tracebacks,),
        (structlog.dev.set_exc_info, structlog.processors.ExceptionPrettyPrinter(io.StringIO())),
    ],
)
def test_exceptions_are_described(logged, steps):
    """Whatever a processor made of it, the line describes the exception, without variables."""
    configure(*steps, JSON())
    password = "hunter2"
    try:
        failing.plain()
    except ValueError:
        structlog.get_logger().exception("boom", order_id=len(password))

    line = logged.line
    assert (line["message"], line["level"], line["error_type"]) == ("boom", "error", "ValueError")
    assert line["error_stack"].startswith("ValueError: plain\n")
    assert "hunter2" not in logged.raw.decode()
    assert "exception" not in line


def test_an_exception_can_be_passed(logged):
    """As an object, or as a tuple."""
    error = failing.caught(failing.plain)
    structlog.get_logger().error("a", exc_info=error)
    structlog.get_logger().error("b", exc_info=(type(error), error, error.__traceback__))

    assert [line["error_type"] for line in logged.lines] == ["ValueError"] * 2


def test_keys_that_are_the_callers_own_are_kept(logged):
    """Processors overwrite them; we give them back under another name."""
    configure(*USUAL, JSON())
    structlog.get_logger().info("x", level="gold", timestamp="noon", logger="pen", message="m")

    line = logged.line
    fields = [line[f"field_{name}"] for name in ("level", "timestamp", "logger", "message")]
    assert fields == ["gold", "noon", "pen", "m"]
    assert line["level"] == "info"


def test_an_event_may_have_been_renamed(logged):
    """Some call it message, as we do."""
    configure(structlog.processors.EventRenamer("message"), JSON())
    structlog.get_logger().info("x")

    assert logged.line["message"] == "x"


def test_a_processor_may_change_the_level(logged):
    """What counts is what the event says in the end."""

    def louder(logger, method, event):
        return {**event, "level": "error"}

    configure(*USUAL, louder, JSON())
    structlog.get_logger().info("x")

    assert logged.line["level"] == "error"


def test_the_stack_is_on_the_line(logged):
    """It stands in a field of its own."""
    structlog.get_logger().info("x", stack_info=True)

    assert "test_the_stack_is_on_the_line" in logged.line["stack"]


def test_events_that_are_captured_in_tests_are_no_lines(logged):
    """The tests of applications go on as they are."""
    log = structlog.get_logger()
    with structlog.testing.capture_logs() as captured:
        log.info("x", a=1)
    log.info("y")

    assert captured == [{"a": 1, "event": "x", "log_level": "info"}]
    assert logged.line["message"] == "y"


def test_a_filter_is_the_applications(logged):
    """What its level keeps out stays out."""
    configure(JSON(), wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    structlog.get_logger().warning("no")
    structlog.get_logger().error("yes")

    assert logged.line["message"] == "yes"


def test_configuring_again_and_resetting_change_nothing(logged):
    """There is one line for each event, whatever comes when."""
    for processors in ([JSON()], [*USUAL, structlog.dev.ConsoleRenderer()]):
        configure(*processors)
        structlog.get_logger().info("x")
    structlog.reset_defaults()
    joining.adopt(structlog)
    structlog.get_logger().info("x")
    structlog.wrap_logger(structlog.PrintLogger(), processors=[JSON()]).info("x")

    assert [line["message"] for line in logged.lines] == ["x"] * 4


async def test_asynchronous_methods_join(logged):
    """They log from a thread, and say who called."""
    await structlog.get_logger().ainfo("x", a=1)
    try:
        failing.plain()
    except ValueError:
        await structlog.get_logger().aexception("y")

    assert [line["message"] for line in logged.lines] == ["x", "y"]
    assert logged.lines[1]["error_type"] == "ValueError"
    assert logged.lines[0]["logger"] == __name__


def by_logging(*processors, **more):
    """Configure structlog as its documentation says for `logging`."""
    logging.root.setLevel(logging.INFO)
    configure(
        structlog.stdlib.filter_by_level,
        *processors,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        **more,
    )
    return structlog.get_logger("shop.cart")


STDLIB = (
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso"),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
)


@pytest.mark.parametrize(
    "last",
    [
        JSON(),
        structlog.processors.KeyValueRenderer(),
        structlog.dev.ConsoleRenderer(),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        structlog.stdlib.render_to_log_kwargs,
    ],
)
def test_events_that_go_through_logging_are_lines_with_fields(logged, last):
    """Whatever `logging` is handed, the line has the event and its fields."""
    log = by_logging(*STDLIB, last)
    log.debug("no")
    log.warning("order %s", "placed", order_id=7)
    try:
        failing.plain()
    except ValueError:
        log.exception("boom")

    one, two = logged.lines
    assert (one["level"], one["message"], one["logger"]) == ("warning", "order placed", "shop.cart")
    assert one["order_id"] == 7
    assert not {"field_timestamp", "field_level", "event", "field_logger"} & set(one)
    assert (two["message"], two["level"], two["error_type"]) == ("boom", "error", "ValueError")


def test_handlers_of_logging_get_the_text_as_ever(logged, tmp_path):
    """A file that `logging` writes has what structlog rendered."""
    handler = logging.FileHandler(tmp_path / "app.log")
    logging.root.addHandler(handler)
    try:
        by_logging(JSON()).info("x", a=1)
    finally:
        logging.root.removeHandler(handler)
        handler.close()

    assert json.loads((tmp_path / "app.log").read_text()) == {"a": 1, "event": "x"}
    assert logged.line["a"] == 1


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
@pytest.mark.parametrize("way", ["default", "json", "logging"])
def test_nothing_that_is_logged_breaks(logged, capfd, case, way):
    """Each case is one valid line, nothing is raised, and nothing is printed."""
    if way == "logging":
        log = by_logging(*STDLIB, JSON())
    else:
        if way == "json":
            configure(*USUAL, structlog.processors.format_exc_info, JSON())
        log = structlog.get_logger("shop.cart")
    fields = {name: value for name, value in case.make().items() if name not in CALLS_THAT_FAIL}
    log.info(case.message, *case.args, **fields)

    lines = [line for line in logged.lines if line["logger"] == "shop.cart"]
    assert len(lines) == 1
    assert case.shows in logged.raw.decode()
    assert capfd.readouterr() == ("", "")
    assert health.lost == {}


def test_a_logger_can_be_pickled(logged):
    """Loggers travel to other processes."""
    configure(JSON(), logger_factory=structlog.PrintLoggerFactory())
    log = structlog.get_logger("shop", a=1)

    assert pickle.loads(pickle.dumps(log))._context == {"a": 1}


def test_structlog_prints_as_before_where_the_log_is_off(capsys):
    """After the end, hooks pass through."""
    log_room.undo()
    configure(JSON(), logger_factory=structlog.PrintLoggerFactory(sys.stdout))
    structlog.get_logger().info("x", a=1)

    assert json.loads(capsys.readouterr().out) == {"a": 1, "event": "x"}
    with pytest.raises(TypeError):
        structlog.get_logger().info("%d", "x")


def test_structlog_is_imported_by_nobody_but_the_application(start_process):
    """A program that has it installed and does not use it does not pay for it."""
    code = (
        "import obskit, sys\nobskit.init(metrics_port=False)\n"
        "print(sorted({'structlog', 'loguru', 'rich', 'pythonjsonlogger'} & set(sys.modules)))"
    )
    output = start_process(sys.executable, "-c", code).wait()

    assert json.loads(output.stdout.splitlines()[-1])["message"] == "[]"


def test_structlog_joins_when_it_is_imported(start_process):
    """A real program, from import to line."""
    code = (
        "import obskit\nobskit.init('shop', metrics_port=False)\nimport structlog\n"
        "log = structlog.get_logger()\nlog.info('one', a=1)\n"
        "structlog.configure(processors=[structlog.processors.JSONRenderer()])\n"
        "log.info('two', a=2)\n"
    )
    output = start_process(sys.executable, "-c", code).wait()

    lines = [json.loads(line) for line in output.stdout.splitlines()]
    assert [(line["message"], line["logger"], line["service"]) for line in lines[1:]] == [
        ("one", "__main__", "shop"),
        ("two", "__main__", "shop"),
    ]
    assert output.stderr == b""


def test_many_threads_and_tasks_log_at_once(logged):
    """No event is lost and none is doubled."""

    async def main():
        await asyncio.gather(*(structlog.get_logger().ainfo("x", n=n) for n in range(100)))

    asyncio.run(main())

    assert sorted(line["n"] for line in logged.lines) == list(range(100))
