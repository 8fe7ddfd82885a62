"""Sinks of loguru join the log, as far as they write to the console."""

import io
import json
import logging
import sys

import loguru
import pytest
from loguru import logger

from obskit import health
from obskit import logs as log_room
from obskit.logs import levels, pipeline
from obskit.logs import loguru as joining
from obskit.logs.capture import console, handlers, said
from obskit.logs.capture.streams import LineStream
from obskit.logs.formats import json as json_format
from tests.logs import failing
from tests.logs.torture import CASES

# Names of loguru's own parameters, and of ours in this test: Python itself refuses the call.
CALLS_THAT_FAIL = ("_Logger__self", "_Logger__message")


@pytest.fixture(autouse=True)
def joined(logged, monkeypatch):
    """Let loguru join a log that is where it writes to."""
    joining.adopt(loguru)
    monkeypatch.setattr(pipeline, "is_beside", lambda: False)
    monkeypatch.setattr(levels, "NAMES", dict(levels.NAMES))
    stream = io.StringIO()
    console.know(stream)
    logger.remove()
    logger.add(stream)
    yield
    console.forget()
    json_format.after_time.clear()
    logger.remove()
    assert stream.getvalue() == ""
    logger.configure(extra={}, patcher=None)


def test_an_event_is_a_line(logged, capfd):
    """Message, level, module and fields are where they belong, and nothing is printed."""
    logger.bind(order_id=7).info("order {}", "placed")
    logger.info("x {a}", a=1)

    one, two = logged.lines
    assert (one["message"], one["level"], one["logger"]) == ("order placed", "info", __name__)
    assert (one["order_id"], two["a"]) == (7, 1)
    assert capfd.readouterr() == ("", "")


def test_levels_have_their_names(logged):
    """Those that only loguru knows, too."""
    logger.remove()
    logger.add(sys.stderr, level=0)
    if "FATAL" not in logger._core.levels:
        logger.level("FATAL", no=60)
    logger.trace("a")
    logger.success("b")
    logger.warning("c")
    logger.log("FATAL", "d")
    logger.log(37, "e")

    names = [line["level"] for line in logged.lines]
    assert names == ["trace", "success", "warning", "fatal", "level 37"]


def test_context_is_on_the_line(logged):
    """Bound, contextualised, configured and patched fields are all there."""
    logger.configure(extra={"tenant": "eu"})
    patched = logger.patch(lambda record: record["extra"].update(patched=True))
    with logger.contextualize(user="ada"):
        patched.bind(order_id=7).info("x")

    assert {name: logged.line[name] for name in ("tenant", "user", "order_id", "patched")} == {
        "tenant": "eu", "user": "ada", "order_id": 7, "patched": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    "log",
    [
        lambda error: logger.opt(exception=error).error("boom"),
        lambda error: logger.opt(exception=(type(error), error, error.__traceback__)).error("boom"),
        lambda error: logger.exception("boom"),
    ],
)
def test_exceptions_are_described(logged, log):
    """However it is passed, an exception has its fields, and no variables."""
    password = "hunter2"
    try:
        failing.plain()
    except ValueError as error:
        log(error)

    line = logged.line
    assert (line["message"], line["error_type"]) == ("boom", "ValueError")
    assert line["error_stack"].startswith("ValueError: plain\n")
    assert password not in logged.raw.decode()


def test_what_is_caught_is_described(logged):
    """The decorator logs the exception."""
    logger.catch(failing.plain)()

    assert logged.line["error_type"] == "ValueError"


def test_options_do_what_they_do(logged):
    """Lazy values, markup and the depth of the caller are loguru's business."""
    logger.opt(lazy=True).info("{}", lambda: "lazy")
    logger.opt(colors=True).info("<red>red</red> {}", "text")
    logger.opt(record=True).info("in {record[function]}")
    logger.opt(depth=1).info("deep")

    messages = [line["message"] for line in logged.lines]
    assert messages[:2] == ["lazy", "red text"]
    assert messages[2] == "in test_options_do_what_they_do"
    assert logged.lines[3]["logger"] != __name__


def test_raw_text_is_printed_as_it_is(logged, capfd):
    """Who wants no line gets none."""
    logger.remove()
    logger.add(sys.stdout)
    logger.opt(raw=True).info("50 %\r")

    assert capfd.readouterr().out == "50 %\r"
    assert logged.lines == []


def test_raw_text_that_becomes_lines_has_the_name_of_its_logger(logged, monkeypatch, capfd):
    """Also where it comes in pieces; what is printed between is nobody's."""
    stream = LineStream(sys.stdout, "stdout", said.text)
    monkeypatch.setattr(sys, "stdout", stream)
    logger.remove()
    logger.add(stream)
    logger.opt(raw=True).info("one ")
    logger.opt(raw=True).info("line\nand ")
    logger.opt(raw=True).info("another\n")
    print("printed")

    assert [(line["message"], line["logger"]) for line in logged.lines] == [
        ("one line", __name__), ("and another", __name__), ("printed", "stdout"),
    ]  # fmt: skip
    logger.remove()
    stream.retire()


@pytest.mark.parametrize(
    "options",
    [
        {"serialize": True},
        {"format": "{message}"},
        {"enqueue": True},
        {"colorize": True},
        {"catch": False},
    ],
)
def test_any_sink_on_the_console_joins(logged, capfd, options):
    """However it is made, and whenever."""
    logger.remove()
    logger.add(sys.stdout, **options)
    logger.info("x")
    logger.complete()

    assert logged.line["message"] == "x"
    assert capfd.readouterr() == ("", "")


def test_two_sinks_are_one_line(logged):
    """The log is one, however many write to it."""
    logger.add(sys.stdout, serialize=True)
    logger.info("x")

    assert logged.line["message"] == "x"


def test_levels_and_filters_of_sinks_are_kept(logged):
    """A sink that does not want an event does not have it."""
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    logger.add(sys.stdout, level="DEBUG", filter=lambda record: "yes" in record["message"])
    for level in ("DEBUG", "WARNING"):
        logger.log(level, "yes")
        logger.log(level, "no")

    assert [(line["level"], line["message"]) for line in logged.lines] == [
        ("debug", "yes"),
        ("warning", "yes"),
        ("warning", "no"),
    ]


def test_other_sinks_stay_as_they_are(logged, tmp_path):
    """Files, streams and functions have what they always had."""
    text, called = io.StringIO(), []
    ids = [
        logger.add(tmp_path / "app.log", format="{message}"),
        logger.add(text, format="{message}"),
        logger.add(called.append, serialize=True),
    ]
    logger.info("x {a}", a=1)
    for one in ids:
        logger.remove(one)

    assert (tmp_path / "app.log").read_text() == text.getvalue() == "x 1\n"
    assert json.loads(called[0])["record"]["extra"] == {"a": 1}
    assert logged.line["message"] == "x 1"


def test_the_console_stays_where_lines_go_elsewhere(logged, monkeypatch, capfd):
    """A log file is an addition; nobody's terminal falls silent."""
    monkeypatch.setattr(pipeline, "is_beside", lambda: True)
    logger.remove()
    logger.add(sys.stdout, format="{message}")
    logger.info("x")

    assert capfd.readouterr().out == "x\n"
    assert logged.line["message"] == "x"


def test_a_record_of_logging_that_comes_this_way_is_one_line(logged):
    """Many hand the records of `logging` to loguru, whose sink is the console."""

    class Intercept(logging.Handler):
        def emit(self, record):
            logger.opt(depth=6, exception=record.exc_info).log(
                record.levelname, record.getMessage()
            )

    token = handlers.passing.set(True)
    try:
        Intercept().handle(logging.makeLogRecord({"msg": "x", "levelname": "INFO"}))
    finally:
        handlers.passing.reset(token)

    assert logged.lines == []


def test_arguments_that_do_not_fit_are_kept_beside_the_message(logged):
    """Braces in a message are no reason to fail a request."""
    logger.info('{"json": 1} {} {a}', 1, a=2)

    assert (logged.line["message"], logged.line["args"], logged.line["a"]) == (
        '{"json": 1} {} {a}',
        [1],
        2,
    )


def test_errors_that_are_the_applications_are_raised(logged):
    """An unknown level, or a sink that is to raise."""

    def fail(message):
        raise OSError("full")

    with pytest.raises(ValueError, match="does not exist"):
        logger.log("NONE", "x")
    number = logger.add(fail, catch=False)
    with pytest.raises(OSError, match="full"):
        logger.info("x {}", 1)
    logger.remove(number)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_nothing_that_is_logged_breaks(logged, capfd, case):
    """Each case is one valid line, nothing is raised, and nothing is printed."""
    fields = {name: value for name, value in case.make().items() if name not in CALLS_THAT_FAIL}
    logger.bind(**fields).info(case.message, *case.args)

    lines = [line for line in logged.lines if line["logger"] == __name__]
    assert len(lines) == 1
    assert lines[0]["level"] == "info"
    assert case.args or case.shows in logged.raw.decode()
    assert capfd.readouterr() == ("", "")
    assert health.lost == {}


def test_loguru_prints_as_before_where_the_log_is_off(capfd):
    """After the end, hooks pass through."""
    log_room.undo()
    logger.remove()
    logger.add(sys.stdout, format="{message}", catch=False)
    logger.info("x {}", 1)

    assert capfd.readouterr().out == "x 1\n"
    with pytest.raises(IndexError):
        logger.info("{}{}", 1)


def test_hooking_twice_is_hooking_once(logged):
    """A module may be imported again."""
    joining.adopt(loguru)
    logger.info("x")

    assert logged.line["message"] == "x"


def test_loguru_joins_when_it_is_imported(start_process):
    """A real program: its default sink is the log, at the level in force."""
    code = (
        "import obskit\nobskit.init('shop', metrics_port=False)\nfrom loguru import logger\n"
        "logger.debug('no')\nlogger.info('one')\n"
        "logger.remove()\nimport sys\nlogger.add(sys.stderr, level='DEBUG')\nlogger.debug('two')\n"
    )
    output = start_process(sys.executable, "-c", code).wait()

    lines = [json.loads(line) for line in output.stdout.splitlines()]
    assert [(line["message"], line["logger"], line["service"]) for line in lines[1:]] == [
        ("one", "__main__", "shop"),
        ("two", "__main__", "shop"),
    ]
    assert output.stderr == b""
