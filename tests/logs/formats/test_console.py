"""Lines for people."""

import json
import os
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit import settings
from obskit.logs.formats.console import renderer, safe
from tests.logs import failing

LINE = {
    "timestamp": "2026-11-25T12:47:06.429192Z", "level": "info", "message": "order placed",
    "logger": "shop.cart", "service": "shop", "host": "a1", "pid": 1,
    "correlation_id": "4bf92f3577b34da6a3ce929d0e0e4736", "correlation_source": "generated",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7", "hop": 1,
    "lc": 3, "lc_at": "00f067aa0ba902b7-3",
}  # fmt: skip
STYLE = re.compile(r"\x1b\[[0-9;]*m")


def rendered(colours=False, **fields):
    """Return the text of a line with some more fields."""
    return renderer(colours)({**LINE, **fields})


@pytest.fixture
def without_structlog(monkeypatch):
    """Play a machine where structlog does not work."""
    monkeypatch.setitem(sys.modules, "structlog.dev", None)


def test_a_line_shows_what_matters_to_people():
    """Time, level, message, logger, the beginning of the ID, and the fields."""
    text = rendered(order_id=7, customer="ada lovelace")

    assert re.match(r"\d\d:\d\d:06\.429 \[info     \] order placed +\[shop\.cart\] ", text)
    assert text.endswith(" correlation_id=4bf92f35 order_id=7 customer='ada lovelace'\n")
    assert not any(word in text for word in ("00f067aa", "service", "host", "lc"))


def test_it_looks_the_same_without_structlog(without_structlog):
    """Only the colours are missing."""
    text = rendered(order_id=7, customer="ada lovelace", tags=["a"])

    assert re.match(r"\d\d:\d\d:06\.429 \[info     \] order placed +\[shop\.cart\] ", text)
    assert " correlation_id=4bf92f35 order_id=7 customer='ada lovelace' tags=" in text


def test_it_is_coloured_if_that_is_wanted():
    """Without colours there is not one escape, with them the text is the same."""
    assert "\x1b" not in rendered(order_id=7)
    coloured = rendered(colours=True, order_id=7)
    assert STYLE.search(coloured)
    assert STYLE.sub("", coloured).split() == rendered(order_id=7).split()


def test_the_stack_stands_below():
    """One frame a line, indented."""
    text = rendered(
        error_type="ValueError", error_message="x", error_stack="ValueError: x\n  a.py:1 in f"
    )

    assert text.split("\n")[1:] == ["  ValueError: x", "    a.py:1 in f", ""]
    assert "error_type" not in text


HOSTILE = "\x1b[2J\r\n2026 [critical] forged\x00\x9b31m\u2028\u202eabc\x7f"


@pytest.mark.parametrize("place", ["message", "logger", "level", "field", "nested", "error_stack"])
def test_no_value_writes_over_the_terminal(place, monkeypatch):
    """Escapes, controls and new lines from values are written out."""
    fields = {place: {"a": [HOSTILE]} if place == "nested" else HOSTILE}
    for text in (rendered(**fields), rendered(**{HOSTILE: 1})):
        assert not set("\x1b\r\x00\x9b\u2028\u202e\x7f") & set(text)
    if place != "error_stack":
        assert rendered(**fields).count("\n") == 1


@given(st.text(), st.dictionaries(st.text(), st.text() | st.integers() | st.none(), max_size=4))
def test_any_line_is_one_line(message, fields):
    """What is shown is printable, and ends where it should."""
    text = rendered(
        **{"message": message, **{f"f_{name}": value for name, value in fields.items()}}
    )

    assert text.endswith("\n")
    assert text.count("\n") == 1
    assert "\x1b" not in text


@given(st.text())
def test_safe_text_is_safe_already(text):
    """Nothing is written out twice."""
    assert safe(safe(text)) == safe(text)


def test_fields_of_the_names_that_are_shown_are_kept():
    """A field called event is not the message."""
    text = rendered(event="mine")

    assert "order placed" in text
    assert "field_event=mine" in text


@pytest.mark.parametrize("level", ["success", "notice", "level 33", "critical"])
def test_any_level_is_shown(level):
    """Levels that structlog does not know have no colour."""
    assert level in rendered(colours=True, level=level)


def test_an_error_of_the_renderer_costs_its_beauty_only(monkeypatch):
    """The line is shown, and the error is counted."""
    from structlog.dev import ConsoleRenderer

    monkeypatch.setattr(ConsoleRenderer, "__call__", lambda *arguments: 1 / 0)

    assert "order placed" in rendered()


def test_colours_are_as_the_environment_wants_them(monkeypatch):
    """NO_COLOR wins, then FORCE_COLOR, then whether it is a terminal."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert [settings.colours(True), settings.colours(False)] == [True, False]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert settings.colours(False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not settings.colours(True)


CODE = (
    "import obskit, sys\nobskit.init('shop', metrics_port=False)\n"
    "assert not {'structlog', 'rich'} & set(sys.modules)\n"
    "with obskit.unit_of_work('job', correlation_id='abcdefghijkl'):\n"
    "    obskit.get_logger('cart').warning('placed', order_id=7)\n"
    "    try:\n        1 / 0\n    except ZeroDivisionError:\n"
    "        obskit.get_logger('cart').exception('failed')\n"
)


@pytest.mark.parametrize(
    ("capture", "environment"), [("tty", {}), ("pipe", {"OBSKIT_LOG_FORMAT": "console"})]
)
def test_people_at_a_terminal_see_it(start_process, capture, environment):
    """A terminal has it by default, a pipe on demand and without colours."""
    environment = {"NO_COLOR": None, "FORCE_COLOR": None, "TERM": "xterm", **environment}
    output = start_process(sys.executable, "-c", CODE, capture=capture, env=environment).wait()

    text = output.stdout.decode().replace("\r\n", "\n")
    assert output.returncode == 0, text
    assert ("\x1b" in text) == (capture == "tty")
    plain = STYLE.sub("", text)
    assert re.search(r"\[warning  \] placed +\[cart\] correlation_id=abcdefgh order_id=7\n", plain)
    assert "\n  ZeroDivisionError: division by zero\n    <string>:7 in <module>" in plain


def test_lines_of_the_torture_set_are_shown(logged):
    """Whatever has become a line can be shown."""
    from obskit.logs import get_logger
    from tests.logs.torture import CASES

    for case in CASES:
        get_logger("a").info(case.message, *case.args, **case.make())
    show = renderer(False)
    for line in logged.lines:
        text = show(line)
        assert text.count("\n") == 1, json.dumps(line)[:500]


def test_the_error_of_a_real_line_is_shown(logged):
    """From exception to screen."""
    from obskit.logs import get_logger

    try:
        failing.caused()
    except RuntimeError:
        get_logger("a").exception("x")

    lines = renderer(False)(logged.line).split(os.linesep)
    assert lines[1] == "  ValueError: plain"
    assert any(line.startswith("  caused RuntimeError: third") for line in lines)
