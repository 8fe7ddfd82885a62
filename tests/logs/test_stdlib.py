"""What `logging` is told becomes lines."""

import copy
import logging
import logging.config
import logging.handlers
import multiprocessing
import pickle
import queue
import sys
import traceback

import pytest

import obskit
from obskit import _bootstrap, health, logs
from obskit.logs import capture, levels, pipeline, stdlib
from tests.logs import failing
from tests.logs.failing import caught
from tests.logs.torture import CASES

LEVELS = {"NOTICE": 26, "WARN": logging.WARNING}


@pytest.fixture(autouse=True)
def untouched():
    """Put `logging` back as it was, as far as a test may have changed it."""
    root, names = logging.root, set(logging.Logger.manager.loggerDict)
    level, known = root.level, logging._levelToName.copy()
    yield
    for handler in root.handlers[:]:
        if not type(handler).__module__.startswith("_pytest"):
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)
    logging._levelToName.clear()
    logging._levelToName.update(known)
    for logger in logging.Logger.manager.loggerDict.values():
        logger.disabled = False
    for name in set(logging.Logger.manager.loggerDict) - names:
        del logging.Logger.manager.loggerDict[name]


@pytest.fixture
def log(logged):
    """Give a logger whose records are lines."""
    logging.root.setLevel(logging.DEBUG)
    return logging.getLogger("shop.cart")


def alone():
    """Take pytest's own handlers away: with them, the application has set up `logging`."""
    logging.root.handlers.clear()


def record(**changes):
    """Return a record as it comes from elsewhere."""
    made = logging.LogRecord("far", logging.INFO, "x.py", 1, "hello", (), None)
    made.__dict__.update(changes)
    return made


def test_a_record_is_a_line(logged, log):
    """Level, message, name and the fields given as `extra` are where they belong."""
    log.warning("%s of %d", "one", 2, extra={"order_id": 7, "customer": {"name": "ada"}})

    line = logged.line
    assert (line["level"], line["message"], line["logger"]) == ("warning", "one of 2", "shop.cart")
    assert list(line)[-2:] == ["order_id", "customer"]
    assert (line["order_id"], line["customer"]) == (7, {"name": "ada"})


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_nothing_that_is_logged_breaks(logged, log, capfd, case):
    """Each case is one valid line, nothing is raised, and stderr stays empty."""
    alone()
    log.info(case.message, *case.args, extra=case.make())

    [line] = [line for line in logged.lines if line["logger"] == "shop.cart"]
    assert line["level"] == "info"
    assert case.shows in logged.raw.decode()
    assert capfd.readouterr() == ("", "")
    assert health.internal_errors == {}


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("django.request", {"status_code": 404}),
        ("django.security.SuspiciousSession", {"status_code": 404}),
        ("shop", {"status_code": 404, "request": "GET /?secret=1", "server_time": "now"}),
    ],
)
def test_what_django_adds_is_kept_without_its_request(logged, log, name, left):
    """Its text has the query; a user's own field of that name is his."""
    added = {"status_code": 404, "request": "GET /?secret=1", "server_time": "now"}
    logging.getLogger(name).warning("Not Found: %s", "/", extra=added)

    assert {key: logged.line[key] for key in added if key in logged.line} == left


@pytest.mark.parametrize(
    ("name", "data", "left"),
    [
        ("celery.app.trace", {"id": "7", "name": "add", "args": "(1,)", "return_value": "2"},
         {"task_id": "7", "task_name": "add"}),
        ("celery.app.trace", "text", {"data": "text"}),
        ("shop", {"id": "7", "args": "(1,)"}, {"data": {"id": "7", "args": "(1,)"}}),
    ],
)  # fmt: skip
def test_what_celery_adds_is_kept_without_arguments_and_results(logged, name, data, left):
    """They are not in its text; a user's own field of that name is his."""
    logging.getLogger(name).warning("Task received", extra={"data": data})
    added = ("data", "task_id", "task_name")

    assert {key: logged.line[key] for key in added if key in logged.line} == left


@pytest.mark.parametrize("extra", [5, "text", [1], [("a", 1)], object()])
def test_extra_that_is_no_mapping_is_kept(logged, log, extra):
    """The call that `logging` would raise from is a line."""
    log.info("x", extra=extra)

    assert logged.line["message"] == "x"


def test_keys_that_logging_has_for_itself_are_kept_under_another_name(logged, log):
    """Without obskit this call raises."""
    log.info("x", extra={"name": "ada", "message": "m", "order_id": 7})

    line = logged.line
    assert (line["field_name"], line["field_message"], line["order_id"]) == ("ada", "m", 7)
    assert line["logger"] == "shop.cart"


def test_arguments_that_do_not_fit_are_kept_beside_the_message(logged, log, capfd):
    """The message stays as it was written, and nothing is printed."""
    alone()
    log.info("%d items of %s", "many")

    assert logged.line["message"] == "%d items of %s"
    assert logged.line["args"] == ["many"]
    assert capfd.readouterr() == ("", "")


def test_an_exception_is_described(logged, log):
    """Both ways to pass one lead to the same fields."""
    error = caught(failing.plain)
    log.error("one", exc_info=error)
    try:
        raise error
    except ValueError:
        log.exception("two")

    one, two = logged.lines
    for line in (one, two):
        assert (line["error_type"], line["error_message"]) == ("ValueError", "plain")
        assert line["error_stack"].startswith("ValueError: plain\n")


@pytest.mark.parametrize("exc_info", [True, False, (None, None, None), (1, 2), "x", 5, ()])
def test_exc_info_that_is_none_is_no_error(logged, log, exc_info):
    """Outside of an except clause there is nothing to describe."""
    logged_before = len(logged.lines)
    stdlib.take(record(exc_info=exc_info))

    assert len(logged.lines) == logged_before + 1
    assert "error_type" not in logged.line


def test_the_stack_is_on_the_line_if_it_is_asked_for(logged, log):
    """It stands in a field of its own."""
    log.info("here", stack_info=True)

    assert "test_the_stack_is_on_the_line" in logged.line["stack"]


def test_names_of_levels_are_always_the_same(logged, log):
    """Who renames WARNING changes no line; a level of one's own has its name."""
    for name, level in LEVELS.items():
        logging.addLevelName(level, name)
    log.warning("a")
    log.log(26, "b")
    log.log(33, "c")

    assert [line["level"] for line in logged.lines] == ["warning", "notice", "level 33"]


def test_a_message_that_is_a_dict_becomes_fields(logged, log):
    """Some log nothing but a dict."""
    log.info({"message": "placed", "order_id": 7})
    log.info({"order_id": 8})

    assert [(line["message"], line["order_id"]) for line in logged.lines] == [
        ("placed", 7),
        ("", 8),
    ]


def test_the_error_of_a_message_that_is_one_is_described(logged, log):
    """Some log nothing but the exception."""
    log.error(caught(failing.plain))

    assert (logged.line["message"], logged.line["error_type"]) == ("plain", "ValueError")


def test_a_record_from_another_process_says_so(logged):
    """The process that wrote it is not the one that logged it; the time is that of the event."""
    stdlib.take(record(process=4711, created=1_800_000_000.5))

    assert logged.line["record_pid"] == 4711
    assert logged.line["timestamp"] == "2027-01-15T08:00:00.500000Z"


def test_what_a_queue_made_into_text_is_an_error_again(logged, log):
    """A queue handler merges message and traceback; the line has them apart."""
    waiting = queue.Queue()
    handler = logging.handlers.QueueHandler(waiting)
    try:
        raise caught(failing.caused)
    except RuntimeError as error:
        made = log.makeRecord("far", 40, "x", 1, "boom %s", ("x",), sys.exc_info())
        expected = error
    handler.emit(made)
    stdlib.take(pickle.loads(pickle.dumps(waiting.get())))

    line = logged.line
    assert (line["message"], line["error_type"], line["error_message"]) == (
        "boom x",
        "RuntimeError",
        "third",
    )
    assert line["error_stack"].startswith("ValueError: plain")
    assert "".join(traceback.format_exception(expected)) not in str(line)


def test_text_of_an_error_is_read(logged):
    """A record may carry its traceback as text only."""
    text = "".join(traceback.format_exception(caught(failing.plain)))
    stdlib.take(record(exc_text=text, levelno=40))

    assert (logged.line["message"], logged.line["error_type"]) == ("hello", "ValueError")


@pytest.mark.parametrize("missing", ["stack_info", "exc_text", "created", "process"])
def test_a_record_without_its_attributes_is_a_line_or_a_count(logged, missing):
    """Whoever makes records by hand may forget something."""
    made = record()
    del made.__dict__[missing]
    stdlib.take(made)

    assert len(logged.lines) + sum(health.lost.values()) == 1


def test_a_record_of_a_class_of_its_own_is_a_line(logged, log):
    """A factory may put fields on all records."""

    class Record(logging.LogRecord):
        def __init__(self, *args, **kwargs):
            self.tenant = "eu"
            super().__init__(*args, **kwargs)

    logging.setLogRecordFactory(Record)
    try:
        log.info("x", extra={"a": 1})
    finally:
        logging.setLogRecordFactory(logging.LogRecord)

    assert (logged.line["tenant"], logged.line["a"]) == ("eu", 1)


def test_records_below_the_level_are_none(logged):
    """INFO comes out where the application has set nothing, DEBUG does not."""
    alone()
    logging.root.setLevel(logging.WARNING)
    logged.configure()
    log = logging.getLogger("a")
    log.debug("no")
    log.info("yes")

    assert logged.line["message"] == "yes"


def test_the_levels_of_names_count_for_logging_too(logged):
    """One setting for all doors, and it is taken back."""
    logged.configure(log_level="ERROR,shop=DEBUG")
    logging.getLogger("shop.cart").debug("yes")
    logged.configure(log_level="ERROR")

    assert logged.line["message"] == "yes"
    assert logging.getLogger("shop").level == logging.NOTSET


def test_levels_that_the_application_has_set_stay(logged):
    """Who knows better is not overruled, now or later."""
    alone()
    logging.basicConfig(level=logging.ERROR, handlers=[logging.NullHandler()])
    logging.getLogger("loud").setLevel(logging.DEBUG)
    logged.configure(log_level="INFO")
    levels.put(logging.DEBUG, {})

    assert logging.root.level == logging.ERROR
    assert logging.getLogger("loud").level == logging.DEBUG


def test_levels_are_put_back(logged):
    """After the end, `logging` is as it was found."""
    alone()
    logging.root.setLevel(logging.WARNING)
    logged.configure(log_level="DEBUG,shop=ERROR")
    assert logging.root.level == logging.DEBUG
    stdlib.remove()

    assert logging.root.level == logging.WARNING
    assert logging.getLogger("shop").level == logging.NOTSET


def test_logging_is_hooked_once_and_unhooked(logged):
    """Configured again and again, there is one line a record, and in the end none."""
    for _ in range(3):
        logged.configure()
    logging.getLogger("a").error("one")
    stdlib.remove()
    logging.getLogger("a").error("none")

    assert len(logged.lines) == 1
    assert "obskit" not in logging.Logger.callHandlers.__module__
    assert logging.Logger.makeRecord.__code__.co_filename == logging.__file__


def test_handlers_of_the_application_stay(logged, tmp_path):
    """A file that was written before is written still, with the same text."""
    alone()
    logging.basicConfig(filename=tmp_path / "app.log", format="%(levelname)s %(message)s", level=10)
    logging.getLogger("a").info("hello %s", "x", extra={"a": 1})

    assert (tmp_path / "app.log").read_text() == "INFO hello x\n"
    assert logged.line["message"] == "hello x"


def configured(path, **more):
    """Return what `dictConfig` is told."""
    return {
        "version": 1,
        "handlers": {"file": {"class": "logging.FileHandler", "filename": str(path)}},
        "root": {"level": "INFO", "handlers": ["file"]},
        **more,
    }


def test_whatever_sets_up_logging_later_takes_no_line_away(logged, tmp_path):
    """There is nothing of ours at the root logger that could be in the way, or be removed."""
    alone()
    log = logging.getLogger("after")
    steps = [
        lambda: logging.basicConfig(level=logging.INFO, filename=tmp_path / "a.log"),
        lambda: logging.basicConfig(level=logging.INFO, filename=tmp_path / "b.log", force=True),
        lambda: logging.config.dictConfig(
            configured(tmp_path / "c.log", disable_existing_loggers=False)
        ),
        lambda: logging.config.fileConfig(ini(tmp_path), disable_existing_loggers=False),
        logging.shutdown,
    ]
    for number, step in enumerate(steps):
        step()
        log.info("number %d", number)

    assert [line["message"] for line in logged.lines] == [f"number {i}" for i in range(len(steps))]
    texts = [(tmp_path / f"{name}.log").read_text() for name in "abcd"]
    assert [text.count("number") for text in texts] == [1, 1, 1, 2]


def ini(folder):
    """Return the path of a file for `fileConfig`."""
    path = folder / "log.ini"
    path.write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=file\n[formatters]\nkeys=\n"
        "[logger_root]\nlevel=INFO\nhandlers=file\n"
        f"[handler_file]\nclass=FileHandler\nargs=({str(folder / 'd.log')!r},)\n"
    )
    return path


def test_loggers_that_were_disabled_are_silent(logged, tmp_path):
    """`disable_existing_loggers` means the same as ever."""
    log = logging.getLogger("before")
    logging.config.dictConfig(configured(tmp_path / "a.log"))
    log.error("none")

    assert logged.lines == []


def test_records_that_stop_before_the_root_are_not_taken(logged):
    """A logger that does not propagate has its own handlers."""
    log = logging.getLogger("alone")
    log.propagate = False
    log.addHandler(logging.NullHandler())
    log.error("none")

    assert logged.lines == []


def test_a_handler_that_raises_takes_no_line_away(logged, log):
    """The line is out before others come to speak, and their errors are their own."""

    class Broken(logging.Handler):
        def handle(self, record):
            raise OSError("full")

    logging.root.addHandler(Broken())
    with pytest.raises(OSError, match="full"):
        log.info("x")

    assert logged.line["message"] == "x"


@pytest.mark.parametrize("captures", [False, True])
def test_a_hook_of_somebody_else_is_called(logged, monkeypatch, capfd, captures):
    """Error trackers hook the same place, before us or after."""
    alone()
    stdlib.remove()
    heard = []

    def hook(name):
        previous = logging.Logger.callHandlers

        def call_handlers(self, record):
            heard.append((name, record.getMessage()))
            previous(self, record)

        monkeypatch.setattr(logging.Logger, "callHandlers", call_handlers)

    hook("before")
    logged.configure(capture=captures)
    if captures:
        capture.configure(pipeline.in_force(), ())
    hook("after")
    logging.getLogger("a").info("x")
    capture.undo()

    assert sorted(heard) == [("after", "x"), ("before", "x")]
    assert logged.line["message"] == "x"


def test_logging_is_as_before_where_obskit_is_off(capfd):
    """The kill switch leaves no trace, and clashing keys raise as they ever did."""
    alone()
    obskit.init(enabled=False)
    try:
        logging.getLogger("a").error("plain text")

        assert capfd.readouterr().err == "plain text\n"
        with pytest.raises(KeyError):
            logging.getLogger("a").error("x", extra={"name": "y"})
    finally:
        _bootstrap.undo()


def test_a_context_is_on_the_line(logged, log):
    """Records of a unit of work carry its ID and its clock."""
    with obskit.unit_of_work("job", correlation_id="abc"):
        obskit.bind(user="ada")
        log.info("x", extra={"a": 1})

    line = logged.line
    assert (line["correlation_id"], line["user"], line["a"]) == ("abc", "ada", 1)
    assert line["lc"] == 1


def log_in_child():
    """Log once, in a process that was forked."""
    logging.getLogger("child").error("from the child")


def test_a_forked_child_logs(logged, log):
    """Its lines have its own process ID, and nothing says that they come from elsewhere."""
    child = multiprocessing.get_context("fork").Process(target=log_in_child)
    child.start()
    child.join(20)
    log.info("x")

    of_child, of_parent = logged.lines
    assert of_child["pid"] == child.pid
    assert of_parent["pid"] != child.pid
    assert "record_pid" not in of_child


def test_records_are_not_changed(logged, log):
    """Other handlers and tests see what the application made."""
    made = record(msg={"event": "x"}, args=None)
    before = copy.copy(made.__dict__)
    stdlib.take(made)

    assert made.__dict__ == before
    assert made.msg == {"event": "x"}


def test_a_line_of_httpx_about_each_call_is_not_written(logged):
    """The call is observed anyway; whoever wants it says so, by a setting or in the code."""
    alone()
    log = logging.getLogger("httpx")
    logged.configure()
    log.info("no")
    logged.configure(log_level="httpx=INFO")
    log.info("one")
    logged.configure(log_level="INFO", instrument=("-httpx",))
    log.info("two")
    logged.configure(instrument=())
    log.info("no")
    log.setLevel(logging.INFO)
    logged.configure(service="other")
    log.info("three")
    stdlib.remove()

    assert [line["message"] for line in logged.lines] == ["one", "two", "three"]
    assert log.level == logging.INFO
    log.setLevel(logging.NOTSET)


def test_what_pika_says_of_each_connection_is_not_written(logged):
    """Its loggers are below one that pika itself never makes."""
    log = logging.getLogger("pika.connection")
    logged.configure()
    dict(logs.ON_IMPORT)["pika"](None)
    log.info("no")
    log.warning("shown")
    logged.configure(log_level="pika=INFO")
    log.info("one")
    stdlib.remove()

    assert [line["message"] for line in logged.lines] == ["shown", "one"]


def test_no_logger_is_made_before_its_library_makes_it(logged):
    """It would be one that exists, which a `dictConfig` disables."""
    stdlib.remove()
    known = logging.root.manager.loggerDict
    before = known.pop("httpx", None)
    try:
        logged.configure(log_level="INFO")
        assert "httpx" not in known
        log = logging.getLogger("httpx")
        dict(logs.ON_IMPORT)["httpx"](None)
        assert log.level == logging.WARNING
    finally:
        stdlib.remove()
        known.pop("httpx")
        if before is not None:
            known["httpx"] = before


def test_what_httpx_says_of_a_call_has_no_query(logged):
    """Its line has neither query nor password, as our own have none; handlers get it whole."""
    httpx = pytest.importorskip("httpx")
    url = httpx.URL("http://ann:secret@stock/cds?key=secret#secret")
    logging.getLogger("httpx").warning('HTTP Request: %s %s "%s"', "GET", url, "200 OK")

    assert logged.line["message"] == 'HTTP Request: GET http://stock/cds "200 OK"'


def test_a_line_of_our_formatter_is_not_written_twice(logged, capfd):
    """Where nothing is captured, a handler that writes our line is the only one that does."""
    logged.configure(capture=False)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(obskit.JsonFormatter())
    logger = logging.getLogger("kept")
    logger.addHandler(handler)
    try:
        logger.warning("once")
    finally:
        logger.removeHandler(handler)

    assert logged.lines == []
    assert capfd.readouterr().out.count("once") == 1
