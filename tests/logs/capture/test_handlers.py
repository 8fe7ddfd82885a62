"""How records that others would write to the console become lines."""

import io
import logging
import logging.config
import logging.handlers
import queue
import sys

import pytest

from obskit import context, health
from obskit.logs.capture import console, handlers
from obskit.logs.capture.handlers import Way
from obskit.observation import unit_of_work


class Console:
    """A console with what comes out of it, as lines and as text."""

    def __init__(self):
        self.stream = io.StringIO()
        self.taken = []
        self.undo = None

    def install(self, *, is_beside=False, replace_access=False):
        """Begin to take."""
        console.know(self.stream)
        self.undo = handlers.install(Way(self.taken.append, is_beside, replace_access))

    @property
    def messages(self):
        """What was taken."""
        return [record.getMessage() for record in self.taken]

    @property
    def text(self):
        """What was written to the console beside that."""
        return self.stream.getvalue()


@pytest.fixture
def screen():
    """Give a console; loggers are put back."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    made = Console()
    yield made
    if made.undo is not None:
        made.undo()
    console.forget()
    root.handlers[:] = before
    root.setLevel(level)
    for name in ("app", "app.inner", "uvicorn.access", "gunicorn.access", "gunicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.filters.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
        logger.disabled = False
    health.reset()


@pytest.fixture
def app():
    """Give a logger that writes everything."""
    logger = logging.getLogger("app")
    logger.setLevel(logging.DEBUG)
    return logger


def test_a_console_handler_is_passed_over(screen, app):
    """Its record becomes one line, not text, even where the logger propagates to another."""
    app.addHandler(logging.StreamHandler(screen.stream))
    logging.getLogger().addHandler(logging.StreamHandler(screen.stream))
    screen.install()
    app.info("hello %s", "world")

    assert screen.messages == ["hello world"]
    assert screen.text == ""


def test_a_logger_that_does_not_propagate_is_taken_too(screen, app):
    """As servers set up theirs."""
    app.propagate = False
    app.addHandler(logging.StreamHandler(screen.stream))
    screen.install()
    app.info("hello")

    assert screen.messages == ["hello"]


def test_a_silent_logger_stays_silent(screen, app):
    """Who has a NullHandler and does not propagate wants nothing written."""
    app.propagate = False
    app.addHandler(logging.NullHandler())
    screen.install()
    app.critical("nothing")

    assert screen.messages == []


def test_the_last_resort_is_a_line(screen, app):
    """Where nothing is set up, Python writes warnings to stderr."""
    app.propagate = False
    screen.install()
    app.info("not shown")
    app.warning("shown")

    assert screen.messages == ["shown"]


def test_the_levels_and_filters_of_console_handlers_count(screen, app):
    """What the application does not show is no line either."""
    handler = logging.StreamHandler(screen.stream)
    handler.setLevel(logging.WARNING)
    handler.addFilter(lambda record: "secret" not in record.getMessage())
    app.addHandler(handler)
    screen.install()
    app.info("below")
    app.warning("secret")
    app.warning("shown")

    assert screen.messages == ["shown"]


def test_a_filter_may_change_the_record(screen, app):
    """The record that a filter gives back is the one that is written, since Python 3.12."""

    def changed(record):
        return logging.makeLogRecord({**vars(record), "msg": "changed"})

    handler = logging.StreamHandler(screen.stream)
    handler.addFilter(changed)
    app.addHandler(handler)
    screen.install()
    app.info("original")

    assert screen.messages == ["changed" if sys.version_info >= (3, 12) else "original"]


def test_other_handlers_go_on(screen, app, tmp_path):
    """A file gets its text as ever, at its own level."""
    file = logging.FileHandler(tmp_path / "app.log")
    file.setLevel(logging.WARNING)
    app.addHandler(file)
    app.addHandler(logging.StreamHandler(screen.stream))
    screen.install()
    app.info("one")
    app.warning("two")
    file.close()

    assert screen.messages == ["one", "two"]
    assert (tmp_path / "app.log").read_text() == "two\n"


def test_a_later_set_up_is_passed_over_as_well(screen):
    """Whatever is called afterwards: basicConfig, dictConfig."""
    screen.install()
    logging.basicConfig(stream=screen.stream, level="INFO", force=True)
    logging.getLogger("app").info("basic")
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"c": {"class": "logging.StreamHandler", "stream": screen.stream}},
            "root": {"handlers": ["c"], "level": "INFO"},
        }
    )
    logging.getLogger("app").info("dict")

    assert screen.messages == ["basic", "dict"]
    assert screen.text == ""


def test_a_queue_brings_records_to_the_console_once(screen, app):
    """A record that went through a queue was taken before it was put there."""
    waiting = queue.SimpleQueue()
    app.addHandler(logging.handlers.QueueHandler(waiting))
    screen.install()
    app.info("once")
    listener = logging.handlers.QueueListener(waiting, logging.StreamHandler(screen.stream))
    listener.handle(waiting.get())

    assert screen.messages == ["once"]
    assert screen.text == ""


def test_a_queue_alone_brings_records_too(screen, app):
    """Where nobody took the record before, it becomes a line at the end of the queue."""
    waiting = queue.SimpleQueue()
    app.propagate = False
    app.addHandler(logging.handlers.QueueHandler(waiting))
    screen.install()
    app.info("late")
    assert screen.messages == []
    handler = logging.StreamHandler(screen.stream)
    logging.handlers.QueueListener(waiting, handler).handle(waiting.get())

    assert screen.messages == ["late"]


def test_a_record_that_is_a_line_is_known_while_others_handle_it(screen, app):
    """A handler that brings it to a library of its own must not make it a second line."""
    seen = []

    class Bridge(logging.Handler):
        def emit(self, record):
            seen.append(handlers.passing.get())

    app.addHandler(Bridge())
    screen.install()
    app.info("hello")

    assert seen == [True]
    assert not handlers.passing.get()


def test_beside_a_file_the_console_stays_as_it_is(screen, app):
    """Lines go elsewhere, text is written as ever."""
    app.addHandler(logging.StreamHandler(screen.stream))
    screen.install(is_beside=True)
    app.info("both")

    assert screen.messages == ["both"]
    assert screen.text == "both\n"


def test_the_summary_line_replaces_the_access_line(screen):
    """That of a request which has a summary line, and no other line of the server's."""
    screen.install(replace_access=True)
    access, error = logging.getLogger("gunicorn.access"), logging.getLogger("gunicorn.error")
    token = handlers.summarised.set(True)
    access.warning("summarised")
    error.warning("trouble")
    handlers.summarised.reset(token)
    access.warning("unobserved")

    assert screen.messages == ["trouble", "unobserved"]


def test_uvicorn_writes_its_access_line_inside_of_the_request(screen):
    """The context says whether there is a summary line."""
    screen.install(replace_access=True)
    access = logging.getLogger("uvicorn.access")
    access.warning("outside")
    with unit_of_work("request"):
        access.warning("inside")
    assert context.current() is None

    assert screen.messages == ["outside"]


def test_access_lines_can_be_kept(screen):
    """Both lines are written then."""
    screen.install(replace_access=False)
    with unit_of_work("request"):
        logging.getLogger("uvicorn.access").warning("inside")

    assert screen.messages == ["inside"]


def test_a_failure_of_ours_leaves_the_text(screen, app, monkeypatch):
    """What cannot become a line is written as ever, and the error is counted."""
    app.addHandler(logging.StreamHandler(screen.stream))
    screen.install()

    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(handlers, "_sort", broken)
    monkeypatch.setattr(handlers, "writes_to_console", lambda _: False)
    app.info("kept")

    assert screen.text == "kept\n"
    assert health.internal_errors["logs.capture.handlers"] == 1


def test_rich_handlers_are_known_by_their_console(screen, app):
    """They keep the stream in a console of their own."""
    rich_console = pytest.importorskip("rich.console")
    rich_logging = pytest.importorskip("rich.logging")
    app.addHandler(rich_logging.RichHandler(console=rich_console.Console(file=screen.stream)))
    screen.install()
    app.info("hello")

    assert screen.messages == ["hello"]
    assert screen.text == ""


def test_undone_it_is_as_before(screen, app):
    """Classes of `logging` have what they had."""
    before = (vars(logging.Logger)["callHandlers"], vars(logging.StreamHandler).get("handle"))
    app.addHandler(logging.StreamHandler(screen.stream))
    screen.install()
    screen.undo()
    app.info("text")

    after = (vars(logging.Logger)["callHandlers"], vars(logging.StreamHandler).get("handle"))
    assert after == before
    assert screen.messages == []
    assert screen.text == "text\n"


class RequireDebugTrue(logging.Filter):
    """Be Django's filter while its DEBUG is False."""

    def filter(self, record):
        """Let nothing pass."""
        return False


@pytest.mark.parametrize(
    ("kind", "level", "expected"),
    [
        (RequireDebugTrue, logging.ERROR, ["said"]),
        (RequireDebugTrue, logging.WARNING, []),
        (type("Mine", (RequireDebugTrue,), {}), logging.ERROR, []),
    ],
)
def test_errors_that_djangos_default_would_hide_are_lines(screen, kind, level, expected):
    """Its console handler is silent in production; whoever sets up a filter of his own is
    obeyed."""
    handler = logging.StreamHandler(screen.stream)
    handler.addFilter(kind())
    logging.getLogger("app").addHandler(handler)
    screen.install()
    logging.getLogger("app.inner").log(level, "said")

    assert screen.messages == expected
    assert screen.text == ""
