"""What `logging` is told becomes the same line, whether a record is made of it or not."""

import logging
import sys
from collections import UserDict
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import obskit
from obskit import health, logs
from obskit.logs import capture, pipeline, shortcut, stdlib
from tests.logs.torture import CASES

CHANGING = {"timestamp", "lc", "lc_at"}


def alone():
    """Take pytest's own handlers away: with them, the application has set up `logging`."""
    logging.root.handlers.clear()


@pytest.fixture(autouse=True)
def untouched():
    """Put `logging` back as it was."""
    level, names = logging.root.level, set(logging.Logger.manager.loggerDict)
    logging.root.setLevel(logging.DEBUG)
    yield
    logging.root.setLevel(level)
    for name in ("shop", "shop.cart"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.filters.clear()
        logger.propagate = True
    for name in set(logging.Logger.manager.loggerDict) - names:
        del logging.Logger.manager.loggerDict[name]


@pytest.fixture
def log(logged):
    """Give a logger whose records nobody else sees."""
    return logging.getLogger("shop.cart")


@pytest.fixture
def looked_up(monkeypatch):
    """Count how often the caller of a log call is looked for."""
    found = []
    previous = logging.Logger.findCaller

    def find_caller(*args, **options):
        found.append(previous(*args, **options))
        return found[-1]

    monkeypatch.setattr(logging.Logger, "findCaller", find_caller)
    return found


class Loud(dict):
    """A mapping of one's own."""


ARGUMENTS = [
    ("plain", (), None),
    ("", (), None),
    ("%s of %d", ("one", 2), None),
    ("%(a)s", ({"a": 1},), None),
    ("%(a)s", (UserDict(a=1),), None),
    ("%(a)s", (MappingProxyType({"a": 1}),), None),
    ("%s", ({},), None),
    ("%s", ((),), None),
    ("%s", (["x"],), None),
    ("100 %", (), None),
    ("100 %", (1,), None),
    ("%s %s", (1,), {"a": 1}),
    ("two\nlines", (), None),
    ("ends\n", (), {"a": 1}),
    ("%s", ("two\nlines %s",), None),
    ("x", (), {}),
    ("x", (), {"a": 1, "b": [1, {"c": None}], "password": "x"}),
    ("x", (), {"name": "mine", "level": "mine", "message": "mine"}),
    ("x", (), {"taskName": "mine", "color_message": "gone", "field_name": 1}),
    ("x", (), Loud(a=1)),
    ("x", (), {1: 2}),
    ("\ud800", (), {"a": "\ud800"}),
    ("x", (), {"a": float("nan"), "b": None}),
    (Exception("boom"), (), None),
    ({"event": "x", "a": 1}, (), None),
    (None, (), None),
    ("failed" + stdlib.TRACEBACK + "  File \"x\", line 1, in f\nKeyError: 'a'", (), None),
]  # fmt: skip


def told(logged, log, say):
    """Return the lines that *say* causes, without what differs between any two."""
    before = len(logged.lines)
    say(log)
    return [
        {name: value for name, value in line.items() if name not in CHANGING}
        for line in logged.lines[before:]
    ]


@pytest.mark.parametrize("captures", [False, True])
@pytest.mark.parametrize(("message", "args", "extra"), ARGUMENTS, ids=repr)
def test_the_line_is_the_same(logged, log, captures, message, args, extra):
    """Message, fields and their order are those of the record."""
    alone()

    def say(log):
        log.warning(message, *args, extra=extra)

    logged.configure(capture=captures)
    if captures:
        capture.configure(pipeline.in_force(), ())
    with obskit.unit_of_work("job"):
        obskit.bind(customer="ada")
        straight = told(logged, log, say)
        shortcut.remove()
        by_record = told(logged, log, say)
    capture.undo()

    assert len(straight) == 1
    assert straight == by_record
    assert [list(line) for line in straight] == [list(line) for line in by_record]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_hostile_values_are_as_harmless(logged, log, capfd, case):
    """Each is one valid line, whichever way it goes."""
    alone()
    log.info(case.message, *case.args, extra=case.make())
    shortcut.remove()
    log.info(case.message, *case.args, extra=case.make())

    lines = [line for line in logged.lines if line["logger"] == "shop.cart"]
    assert [line["level"] for line in lines] == ["info", "info"]
    assert capfd.readouterr() == ("", "")
    assert health.internal_errors == {}


@given(
    st.text(),
    st.lists(st.integers() | st.text() | st.dictionaries(st.text(), st.integers(), max_size=2)),
    st.none() | st.dictionaries(st.text(), st.integers() | st.text() | st.none()),
)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_is_said_the_line_is_the_same(logged, message, args, extra):
    """Any text, any arguments, any fields."""
    alone()
    log = logging.getLogger("shop.cart")
    shortcut.install()
    straight = told(logged, log, lambda log: log.info(message, *args, extra=extra))
    shortcut.remove()

    assert straight == told(logged, log, lambda log: log.info(message, *args, extra=extra))


def test_nobody_looks_for_the_caller(logged, log, looked_up):
    """That is what the way is shorter by."""
    alone()
    log.info("x %s", 1, extra={"a": 1})
    log.log(25, "y")
    logging.LoggerAdapter(log, {"b": 2}).info("z")

    assert looked_up == []
    assert [line["message"] for line in logged.lines] == ["x 1", "y", "z"]
    assert logged.lines[2]["b"] == 2


def test_levels_and_switches_count_as_ever(logged, log):
    """A logger that is off, too low or disabled by all says nothing."""
    alone()
    log.setLevel(logging.ERROR)
    log.info("no")
    log.setLevel(logging.NOTSET)
    log.disabled = True
    log.error("no")
    log._log(logging.ERROR, "no", ())
    log.disabled = False
    logging.disable(logging.ERROR)
    log.error("no")
    logging.disable(logging.NOTSET)
    log.error("yes")

    assert [line["message"] for line in logged.lines] == ["yes"]


class Keeper(logging.Handler):
    """Keep records."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        """Keep *record*."""
        self.records.append(record)


def kept_by(owner):
    """Let a handler of *owner* see the records."""
    keeper = Keeper()
    owner.addHandler(keeper)
    return keeper.records


def seen_by_filter(log, monkeypatch):
    """Let a filter of the logger see them."""
    seen = []
    log.addFilter(lambda record: seen.append(record) or True)
    return seen


def seen_by_factory(log, monkeypatch):
    """Let whoever makes records see them."""
    seen = []

    def factory(*args, **options):
        seen.append(logging.LogRecord(*args, **options))
        return seen[-1]

    previous = logging.getLogRecordFactory()
    monkeypatch.setattr(logging, "_logRecordFactory", previous)
    logging.setLogRecordFactory(factory)
    return seen


def seen_by_method(name, of_class=True):
    """Let a method of loggers that somebody has replaced see them."""

    def replace(log, monkeypatch):
        seen = []
        owner = logging.Logger if of_class else log
        previous = getattr(owner, name)

        def method(*args, **options):
            made = previous(*args, **options)
            seen.append(made if isinstance(made, logging.LogRecord) else args[-1])
            return made

        monkeypatch.setattr(owner, name, method)
        return seen

    return replace


def seen_by_init(log, monkeypatch):
    """Let a record itself tell that it was made."""
    seen = []
    previous = logging.LogRecord.__init__

    def init(self, *args, **options):
        previous(self, *args, **options)
        seen.append(self)

    monkeypatch.setattr(logging.LogRecord, "__init__", init)
    return seen


METHODS = ("callHandlers", "handle", "makeRecord", "filter")
SEERS = {
    "handler": lambda log, _: kept_by(log),
    "handler above": lambda log, _: kept_by(logging.getLogger("shop")),
    "handler of root": lambda log, _: kept_by(logging.root),
    "filter of its own": seen_by_filter,
    "factory": seen_by_factory,
    "init": seen_by_init,
    **{name: seen_by_method(name) for name in METHODS},
    **{f"{name} of one": seen_by_method(name, of_class=False) for name in METHODS},
}


@pytest.mark.parametrize("captures", [False, True])
@pytest.mark.parametrize("seer", SEERS.values(), ids=SEERS)
def test_whoever_would_see_the_record_sees_it(logged, log, monkeypatch, captures, seer):
    """With the place of the caller, which is not ours."""
    alone()
    logged.configure(capture=captures)
    if captures:
        capture.configure(pipeline.in_force(), ())
    seen = seer(log, monkeypatch)
    log.info("x %s", 1, extra={"a": 1})
    line = sys._getframe().f_lineno - 1
    monkeypatch.undo()
    capture.undo()

    record = seen[0]
    assert (record.getMessage(), record.a) == ("x 1", 1)
    assert (record.pathname, record.funcName, record.lineno) == (
        __file__, "test_whoever_would_see_the_record_sees_it", line,
    )  # fmt: skip
    assert (logged.line["message"], logged.line["a"]) == ("x 1", 1)


def test_the_place_of_a_caller_further_up_is_found(logged, log):
    """The number of frames to pass over means what it did."""
    alone()
    records = kept_by(log)

    def deeper():
        log.info("x", stacklevel=2)
        log.info("y", stack_info=True)

    deeper()

    assert [record.funcName for record in records] == [
        "test_the_place_of_a_caller_further_up_is_found", "deeper",
    ]  # fmt: skip
    assert records[1].stack_info.rstrip().endswith('log.info("y", stack_info=True)')


def test_loggers_of_structlog_find_the_place_of_their_caller(logged):
    """They look for it in a way of their own, once the application has its factory."""
    import structlog

    before = logging.getLoggerClass()
    structlog.stdlib.LoggerFactory()
    made = logging.getLogger("shop.by_structlog")
    logging.setLoggerClass(before)
    alone()
    records = kept_by(made)

    def deeper():
        made.warning("x")
        made.warning("y", stacklevel=2)

    deeper()

    assert type(made) is not logging.Logger
    assert [(record.funcName, record.pathname) for record in records] == [
        ("deeper", __file__),
        ("test_loggers_of_structlog_find_the_place_of_their_caller", __file__),
    ]


class Own(logging.Logger):
    """A logger of one's own."""

    def makeRecord(self, *args, **options):  # noqa: N802 - as in logging
        """Make a record that says so."""
        record = super().makeRecord(*args, **options)
        record.own = True
        return record


def test_loggers_of_a_class_of_their_own_make_their_records(logged):
    """And what they add is on the line."""
    alone()
    logging.setLoggerClass(Own)
    try:
        log = logging.getLogger("own")
    finally:
        logging.setLoggerClass(logging.Logger)
    log.info("x")

    assert logged.line["own"] is True


def test_a_logger_that_passes_nothing_on_stays_silent(logged, log, capfd):
    """As far as nobody is there to hear it."""
    alone()
    log.propagate = False
    log.info("x")

    assert logged.raw == b""
    assert capfd.readouterr() == ("", "")


def test_access_lines_go_the_way_on_which_they_are_replaced():
    """Whichever servers have them."""
    looked_at = {"httpx", "django.request", "django.security.csrf"}
    assert capture.handlers.ACCESS | looked_at == shortcut.LEFT_ALONE


@pytest.mark.parametrize("name", sorted(shortcut.LEFT_ALONE))
def test_records_of_some_are_looked_at(logged, looked_up, name):
    """What stands in them may be secret, or told by a summary line."""
    alone()
    logging.getLogger(name).warning("x")

    assert len(looked_up) == 1


def test_who_hooked_logging_before_hears_of_everything(monkeypatch, floor, tmp_path):
    """Also where obskit is set up anew after that."""
    alone()
    seen = seen_by_method("callHandlers")(None, monkeypatch)
    logs.configure(obskit.settings.resolve({"log_stream": str(tmp_path / "log")}, {}, "/"))
    logging.getLogger("a").warning("x")
    shortcut.look()
    logging.getLogger("a").warning("y")
    logs.undo()

    assert [record.getMessage() for record in seen] == ["x", "y"]


def test_the_end_leaves_no_trace(logged, log, capfd):
    """Everything is as it was found; what was found meanwhile works as it did."""
    alone()
    found = logging.Logger._log
    logs.undo()

    assert found is not logging.Logger._log
    assert logging.Logger._log.__module__ == "logging"
    found(log, 40, "x", ())
    assert capfd.readouterr().err == "x\n"
    assert logged.raw == b""


def test_an_error_of_a_hook_is_its_own(logged, log, monkeypatch):
    """Whatever others have put in the way of records may raise, as it always could."""
    alone()

    def fail(self, record):
        raise LookupError("mine")

    monkeypatch.setattr(logging.Logger, "handle", fail)
    with pytest.raises(LookupError, match="mine"):
        log.info("x")
    assert stdlib.foreign(logging.Logger.handle) is fail
