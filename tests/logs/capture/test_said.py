"""How captured text becomes a line."""

import pytest

from obskit.logs import exceptions, pipeline
from obskit.logs.capture import said
from obskit.logs.capture.tracebacks import Text

TRACEBACK = """Traceback (most recent call last):
  File "app.py", line 7, in work
    raise ValueError("a")
ValueError: a"""


@pytest.fixture
def lines(monkeypatch):
    """Give what is emitted."""
    found = []

    def emit(level, logger, message, fields, *, error=None):
        found.append((level, logger, message, fields, error))

    monkeypatch.setattr(pipeline, "emit", emit)
    return found


@pytest.mark.parametrize(("stream", "level"), [("stdout", 20), ("stderr", 30)])
def test_text_has_the_name_of_its_stream(lines, stream, level):
    """What is written for errors is likely to be one."""
    said.text(stream, Text("hello"))

    assert lines == [(level, stream, "hello", {}, None)]


def test_a_traceback_is_an_error_with_its_fields(lines):
    """Its last line is the message."""
    said.text("stderr", Text(TRACEBACK, True))
    [(level, logger, message, _, error)] = lines

    assert (level, logger, message) == (40, "stderr", "ValueError: a")
    assert (error.type, error.message) == ("ValueError", "a")
    assert "in work" in error.stack


def test_the_heading_of_a_traceback_is_its_message(lines):
    """It says more than the error does."""
    said.text("stderr", Text("Exception ignored in: <x>\n" + TRACEBACK, True))

    assert lines[0][2] == "Exception ignored in: <x>"
    assert lines[0][4].type == "ValueError"


@pytest.mark.parametrize("failure", [lambda _: None, pytest.param("import", id="import")])
def test_a_traceback_that_cannot_be_read_is_text(lines, monkeypatch, failure):
    """It is cut off, of another language, or the interpreter is half gone."""

    def gone(_):
        raise ImportError("sys.meta_path is None")

    monkeypatch.setattr(exceptions, "of_text", gone if failure == "import" else failure)
    said.text("stdout", Text(TRACEBACK, True))

    assert lines == [(40, "stdout", TRACEBACK, {}, None)]


def test_an_event_is_passed_on(lines):
    """With its logger, level, fields and error."""
    error = ValueError("x")
    said.event("sys.excepthook", 50, "uncaught exception", {"a": 1}, error)

    assert lines == [(50, "sys.excepthook", "uncaught exception", {"a": 1}, error)]
