"""The native logger: structlog's surface on our lines."""

import asyncio
import inspect
import logging
import sys

import pytest
import structlog

import obskit
from obskit import get_logger, health
from obskit.logs import levels, logger, pipeline
from obskit.logs.logger import Logger

METHODS = {
    "debug": "debug", "info": "info", "msg": "info", "warning": "warning", "warn": "warning",
    "error": "error", "err": "error", "failure": "error", "critical": "critical",
    "fatal": "critical",
}  # fmt: skip


@pytest.fixture
def log(logged):
    """Give a logger that writes everything."""
    logged.configure(log_level="DEBUG")
    return get_logger("shop")


@pytest.mark.parametrize("name", [5, b"shop", ("shop",)])
def test_a_name_that_is_no_text_is_written_as_one(logged, name):
    """No log call raises for it."""
    get_logger(name).warning("hello")

    assert [line["logger"] for line in logged.lines] == [str(name)]


@pytest.mark.parametrize(("method", "level"), METHODS.items())
def test_each_method_writes_its_level(logged, log, method, level):
    """The names are those that structlog and logging have."""
    getattr(log, method)("hello", a=1)
    if method not in ("err", "failure"):
        asyncio.run(getattr(log, f"a{method}")("hello", a=1))

    assert {(line["level"], line["message"], line["a"]) for line in logged.lines} == {
        (level, "hello", 1)
    }


def test_the_surface_is_that_of_structlog():
    """Code written for a filtering bound logger of structlog finds all it calls."""
    theirs = structlog.make_filtering_bound_logger(logging.INFO)
    names = {name for name in dir(theirs) if not name.startswith("_")}

    assert names <= set(dir(Logger))
    for name in ("bind", "unbind", "try_unbind", "new"):
        assert [*inspect.signature(getattr(Logger, name)).parameters.values()][-1].kind in (
            inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL,
        )  # fmt: skip


def test_the_name_is_that_of_the_calling_module(logged):
    """Who gives no name is named for the module."""
    get_logger().info("hello")
    obskit.get_logger().info("hello")

    assert {line["logger"] for line in logged.lines} == {__name__}


def test_binding_makes_a_new_logger(logged, log):
    """What is bound is on each line of the new logger, and on none of the old one."""
    bound = log.bind(a=1, b=2)
    bound.info("one", b=3)
    bound.unbind("a").info("two")
    bound.try_unbind("a", "nothing").info("three")
    bound.new(c=4).info("four")
    log.info("five")
    get_logger("shop", d=5).info("six")

    shown = [{name: line[name] for name in "abcd" if name in line} for line in logged.lines]
    assert shown == [{"a": 1, "b": 3}, {"b": 2}, {"b": 2}, {"c": 4}, {}, {"d": 5}]
    with pytest.raises(KeyError):
        bound.unbind("nothing")


def test_loggers_with_the_same_fields_are_equal(log):
    """Loggers are values, as in structlog."""
    assert log.bind(a=1) == log.bind(a=1)
    assert log.bind(a=1) != log.bind(a=2)
    assert log != get_logger("other")
    assert log != 7
    assert "shop" in repr(log.bind(password="hunter2"))
    assert "hunter2" not in repr(log.bind(password="hunter2"))


@pytest.mark.parametrize(
    ("message", "args", "expected"),
    [
        ("a %s c %d", ("b", 4), "a b c 4"),
        ("%(who)s", ({"who": "ada"},), "ada"),
        ("100%", (), "100%"),
        ("{x}", (), "{x}"),
    ],
)
def test_positional_arguments_are_merged(logged, log, message, args, expected):
    """Percent signs count only where there are arguments."""
    log.info(message, *args)

    assert logged.line["message"] == expected
    assert "args" not in logged.line


def test_arguments_that_do_not_fit_are_kept(logged, log):
    """A slip in a message costs neither the line nor the values."""
    log.info("a %d", "b", c=1)

    assert (logged.line["message"], logged.line["args"], logged.line["c"]) == ("a %d", ["b"], 1)


def raised():
    """Return an error with a traceback."""
    try:
        raise ValueError("no such order")
    except ValueError as error:
        return error


ERROR = raised()


@pytest.mark.parametrize(
    "exc_info",
    [ERROR, (ValueError, ERROR, ERROR.__traceback__), True, 1, "yes"],
    ids=["error", "triple", "True", "1", "yes"],
)
def test_an_exception_may_be_given_in_all_forms(logged, log, exc_info):
    """An error, a triple, or anything true while an error is handled."""
    try:
        raise ERROR
    except ValueError:
        log.info("failed", exc_info=exc_info)

    assert logged.line["error_type"] == "ValueError"
    assert logged.line["error_message"] == "no such order"
    assert "raised" in logged.line["error_stack"]


@pytest.mark.parametrize("exc_info", [None, False, True, (None, None, None), (), (1, 2)], ids=repr)
def test_without_an_exception_there_is_none(logged, log, exc_info):
    """Where nothing is handled, nothing is said of an error."""
    log.info("fine", exc_info=exc_info)

    assert not [name for name in logged.line if name.startswith("error_")]


def test_a_strange_exc_info_is_kept(logged, log):
    """A value that means no exception is somebody's field."""
    log.info("fine", exc_info="mine")

    assert logged.line["field_exc_info"] == "mine"


def test_exception_logs_what_is_being_handled(logged, log):
    """The usual call in an except block, also the awaited one."""
    try:
        raise ERROR
    except ValueError:
        log.exception("failed", order_id=7)
        asyncio.run(log.aexception("failed"))
    log.exception("given", exc_info=ERROR)

    assert [line["level"] for line in logged.lines] == ["error"] * 3
    assert {line["error_type"] for line in logged.lines} == {"ValueError"}


def test_the_stack_is_that_of_the_caller(logged, log):
    """Where the line was logged from can be asked for; no frame of ours is in it."""
    log.info("here", stack_info=True)
    log.info("here", stack_info=True, stack="mine")
    log.info("here", stack_info=False)

    one, two, three = logged.lines
    assert one["stack"].splitlines()[-1].strip() == 'log.info("here", stack_info=True)'
    assert two["field_stack"] == "mine"
    assert "stack" not in three


def test_levels_can_be_given_by_number_and_name(logged, log):
    """One method takes any level."""
    log.log(30, "a")
    log.log("error", "b %d", 1)
    log.log(15, "c")
    log.log(5, "no")
    asyncio.run(log.alog("INFO", "d"))

    shown = [(line["level"], line["message"]) for line in logged.lines]
    assert shown == [("warning", "a"), ("error", "b 1"), ("level 15", "c"), ("info", "d")]


def test_the_level_decides_before_anything_is_done(logged, log, monkeypatch):
    """What is not written costs nothing: no value is looked at."""
    logged.configure(log_level="ERROR,shop.cart=DEBUG")
    monkeypatch.setattr(logger, "_emit", None)
    monkeypatch.setattr(logger, "_log", None)
    log.debug("no %s", object(), exc_info=True)
    log.warning("no")
    log.log(30, "no")

    assert health.lost == {}
    assert not log.is_enabled_for(30)
    assert log.isEnabledFor(40)
    assert log.get_effective_level() == log.getEffectiveLevel() == 40
    assert get_logger("shop.cart.items").is_enabled_for(10)


def test_the_event_may_be_a_keyword(logged, log):
    """Code that calls structlog with ``event=`` goes on; beside a message it is a field."""
    log.info(event="hello")
    log.info("hello", event="mine")
    log.info()

    assert [line["message"] for line in logged.lines] == ["hello", "hello", ""]
    assert logged.lines[1]["event"] == "mine"


def test_the_fields_of_the_caller_are_not_changed(logged, log):
    """A dict that is unpacked into a call stays what it is."""
    fields = {"exc_info": False, "a": {"password": "x"}, "level": 1}
    before = {**fields, "a": dict(fields["a"])}
    log.info("hello", **fields)

    assert fields == before


def test_an_error_in_the_logger_is_counted(logged, log, monkeypatch):
    """A fault of our own never reaches the caller."""

    def fault(*_, **__):
        raise OSError("a fault")

    monkeypatch.setattr(logger, "_log", fault)
    log.info("a %s", 1)
    log.log(20, "b")

    assert health.lost == {("logs", "internal error"): 2}


def test_before_init_a_logger_prints_through_logging(floor, caplog):
    """A module may log before anybody calls init."""
    early = get_logger("early", a=1)
    assert not pipeline.is_on()
    early.warning("hello %s", "you", token="hunter2")
    early.debug("quiet")
    early.error("failed", exc_info=ERROR)

    assert caplog.messages[0] == "hello you a=1 token=[redacted]"
    assert caplog.records[0].funcName == "test_before_init_a_logger_prints_through_logging"
    assert caplog.records[1].exc_info[1] is ERROR
    assert len(caplog.records) == 2


def test_an_early_logger_is_as_good_as_a_late_one(floor, tmp_path):
    """Loggers made before init write lines after it, at the levels then in force."""
    from obskit import logs, settings

    early = get_logger("early")
    try:
        logs.configure(settings.resolve({"log_stream": str(tmp_path / "log")}, {}, "/"))
        early.debug("no")
        early.info("yes")
    finally:
        logs.undo()

    assert b'"message":"yes"' in (tmp_path / "log").read_bytes()
    assert b'"message":"no"' not in (tmp_path / "log").read_bytes()


def test_structlog_is_not_needed():
    """The logger has the surface, not the library."""
    assert "structlog" not in vars(sys.modules["obskit.logs.logger"])
    assert levels.of("x") is levels.of("x")
