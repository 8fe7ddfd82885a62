"""What a line says about an exception."""

import asyncio
import json
import sys
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.logs import frames
from obskit.logs.exceptions import LONGEST_MESSAGE, MOST_LINKS, Description, describe, of_text
from tests.instrumentation.calling import call
from tests.logs import failing
from tests.logs.failing import caught

SECRET = "hunter2"


def stack_of(function):
    """Return the lines of the stack of the error that *function* raises."""
    return describe(caught(function)).stack.split("\n")


def heads(stack):
    """Return the lines at the margin."""
    return [line for line in stack if line[:1] != " "]


def test_an_error_has_type_message_and_the_frame_that_raised_first():
    """The first two lines say what happened, and where."""
    described = describe(caught(failing.plain))

    first, second, *_ = described.stack.split("\n")
    assert (described.type, described.message) == ("ValueError", "plain")
    assert first == "ValueError: plain"
    assert "failing.py:" in second
    assert second.endswith(' in plain: raise ValueError("plain")')


def test_types_of_libraries_have_their_module():
    """Errors of the same name of two libraries are told apart."""
    assert describe(caught(failing.in_library)).type == "json.decoder.JSONDecodeError"


def test_the_root_cause_comes_first():
    """Who reads the first line has read the reason."""
    assert heads(stack_of(failing.caused)) == ["ValueError: plain", "caused RuntimeError: third"]
    assert heads(stack_of(failing.chained)) == [
        "ValueError: plain",
        "while it was handled: KeyError: 'second'",
    ]


def test_a_suppressed_error_is_not_shown():
    """Who writes `from None` means it."""
    assert heads(stack_of(failing.suppressed)) == ["RuntimeError: alone"]


def test_members_of_groups_are_numbered_and_come_before_their_group():
    """A group says little; the errors in it are the reason."""
    assert heads(stack_of(failing.nested)) == [
        "[1.1] ValueError: plain",
        "[1.2] ValueError: plain",
        "[1.2] caused RuntimeError: third",
        "[1] ExceptionGroup: many (2 sub-exceptions)",
        "[2] ValueError: first",
        "[3] OSError: never raised",
        "ExceptionGroup: outer (3 sub-exceptions)",
    ]


def test_the_only_member_of_a_group_has_no_number():
    """Task groups wrap most errors into a group of one."""
    error = ExceptionGroup("tasks", [caught(failing.plain)])

    assert heads(describe(error).stack.split("\n")) == [
        "ValueError: plain",
        "ExceptionGroup: tasks (1 sub-exception)",
    ]


def test_a_member_that_comes_twice_is_shown_once():
    """Several tasks may fail with the same error."""
    error = caught(failing.plain)

    assert heads(describe(ExceptionGroup("g", [error, error])).stack.split("\n")) == [
        "[1] ValueError: plain",
        "[2] ValueError, as above",
        "ExceptionGroup: g (2 sub-exceptions)",
    ]


def test_deep_and_wide_groups_are_bounded():
    """No group fills the log, and what is left out is counted."""
    error = ValueError("leaf")
    for _ in range(100):
        error = ExceptionGroup("deep", [error])
    wide = ExceptionGroup("wide", [ValueError(str(i)) for i in range(500)])

    assert "... 1 exceptions left out" in describe(error).stack
    assert "... 490 exceptions left out" in describe(wide).stack


def test_long_chains_are_bounded():
    """Both ends of a chain are shown."""
    error = ValueError("0")
    for number in range(1, 1000):
        after = ValueError(str(number))
        after.__cause__ = error
        error = after

    lines = describe(error).stack.split("\n")
    assert lines[0] == "ValueError: 0"
    assert lines[-1] == "caused ValueError: 999"
    assert f"... {1000 - MOST_LINKS} exceptions left out" in lines


def test_circular_chains_end():
    """Each error of a circle is shown once."""
    one, two = caught(failing.plain), caught(failing.spoken)
    one.__cause__, two.__context__ = two, one

    assert heads(describe(one).stack.split("\n")) == [
        "ValueError: first",
        "caused ValueError: plain",
    ]


def test_notes_are_shown():
    """What was added to an error stands below its message."""
    error = caught(failing.plain)
    error.add_note("order 4711")
    error.__notes__.append(failing.Unspeakable())

    assert describe(error).stack.split("\n")[1:3] == [
        "  note: order 4711",
        "  note: <Unspeakable whose str failed: ValueError>",
    ]


@pytest.mark.parametrize("notes", [None, 5, "text", object()])
def test_notes_that_are_none_are_ignored(notes):
    """Anybody may set the attribute to anything."""
    error = ValueError("x")
    error.__notes__ = notes

    assert describe(error).stack == "ValueError: x"


def test_urls_give_nothing_away():
    """Clients put them whole into their errors; neither message nor notes nor stack have it."""
    error = LookupError("503 for url: http://ada:S3CRET@host/a?token=S3CRET")
    error.add_note("asked for /a?token=S3CRET")
    printed = "".join(traceback.format_exception(error))

    for found in (describe(error), of_text(f"Traceback (most recent call last):\n{printed}")):
        said = found.message.splitlines()[0]
        assert said == "503 for url: http://[redacted]@host/a?[redacted]"
        assert "S3CRET" not in found.stack
    assert "note: asked for /a?[redacted]" in describe(error).stack


def test_an_error_that_cannot_be_printed_is_described():
    """The type is known even where the text is not."""
    described = describe(caught(failing.unspeakable))

    assert described.type == "tests.logs.failing.Unspeakable"
    assert described.message == "<Unspeakable whose str failed: ValueError>"
    assert "in unspeakable" in described.stack


def test_an_error_that_cannot_be_looked_at_is_described():
    """Whatever its attributes do, there is a type."""

    class Hostile(Exception):
        __cause__ = property(lambda self: 1 / 0)

    described = describe(Hostile("x"))

    assert described == Description("Hostile", "", "", "Hostile")


def test_huge_messages_are_cut():
    """The line's budget is not for one message; its length is told."""
    described = describe(ValueError("x" * 1_000_000))

    assert len(described.message) < LONGEST_MESSAGE + 50
    assert described.message.endswith("... (1000000 characters)")
    assert len(described.stack) < 600


def test_bad_syntax_is_shown():
    """The line that does not compile is part of the description."""
    assert stack_of(failing.bad_syntax)[1] == "  bad.py:1: x = ("


def test_no_value_of_a_variable_is_ever_shown():
    """Secrets live in variables."""

    def fail(password):
        raise ValueError("no")

    assert SECRET not in repr(describe(caught(lambda: fail("hunt" + "er2"))))


def test_the_fingerprint_does_not_know_messages_nor_lines():
    """The same failure is the same, with another order and after an edit above it."""
    source = "def work(number):\n    raise ValueError(number)\nwork({})"
    errors = [
        caught(lambda i=i: exec(compile("\n" * i + source.format(i), "shop/orders.py", "exec"), {}))
        for i in range(3)
    ]
    other = caught(lambda: exec(compile("raise ValueError(1)", "shop/orders.py", "exec"), {}))

    assert len({describe(error).fingerprint for error in errors}) == 1
    assert describe(other).fingerprint != describe(errors[0]).fingerprint


def test_the_fingerprint_knows_the_type():
    """Two kinds of errors at one place are two."""

    def fail(kind):
        raise kind("x")

    prints = {
        describe(caught(lambda kind=kind: fail(kind))).fingerprint for kind in (OSError, KeyError)
    }
    assert len(prints) == 2


def test_the_fingerprint_does_not_know_how_deep_a_recursion_went():
    """One bug, one fingerprint."""

    def fall(depth):
        if not depth:
            raise ValueError("down")
        fall(depth - 1)

    assert (
        describe(caught(lambda: fall(3))).fingerprint
        == describe(caught(lambda: fall(30))).fingerprint
    )


@pytest.mark.parametrize("function", failing.WAYS)
def test_a_printed_error_has_the_same_description(function):
    """Who prints a traceback is found by the same fingerprint as who logs it."""
    error = caught(function)
    printed = of_text("".join(traceback.format_exception(error)))
    described = describe(error)

    assert printed is not None
    assert printed[:3] == described[:3]
    assert heads(printed.stack.split("\n")) == heads(described.stack.split("\n"))


@pytest.mark.parametrize(
    "text",
    ["", "x", "Traceback (most recent call last):", "ValueError: x", '  File "x", line 1, in f'],
)
def test_text_that_is_no_traceback_is_none(text):
    """Not everything that looks like an error is one."""
    assert of_text(text) is None


@given(st.text(st.sampled_from('ab:.^~ \n"|+-123FileTraceback()[]mostreclling'), max_size=200))
def test_any_text_can_be_read(text):
    """Captured text may be anything."""
    for start in (
        "",
        "Traceback (most recent call last):\n",
        "  + Exception Group Traceback (most recent call last):\n",
    ):
        read = of_text(start + text)
        assert read is None or read.type


@given(st.text(), st.lists(st.text(), max_size=3))
def test_any_message_can_be_described(message, notes):
    """What is said fits into JSON, and the message stays as it is."""
    error = ValueError(message)
    for note in notes:
        error.add_note(note)
    described = describe(error)

    assert described.message == message
    json.loads(json.dumps(described))
    assert heads(described.stack.split("\n"))[0].startswith("ValueError")


def test_the_exception_of_a_handler_is_short():
    """One line of a FastAPI application with a bug fits into what a pipe writes at once."""
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/orders/{number}")
    async def order(number: int) -> int:
        return 1 // (number - number)

    described = describe(caught(lambda: asyncio.run(call(app, path="/orders/4711"))))

    assert described.stack.startswith("ZeroDivisionError: integer")
    assert described.stack.split("\n")[1].endswith("order: return 1 // (number - number)")
    assert sum(len(json.dumps(part)) for part in described) < 2048


def test_places_are_looked_up_once(monkeypatch):
    """Files are not read again for each error."""
    import linecache

    def fail():
        raise ValueError("x")

    first = describe(caught(fail))
    monkeypatch.setattr(linecache, "getline", lambda *arguments: 1 / 0)

    assert describe(caught(fail)).fingerprint == first.fingerprint
    assert frames.walk(caught(fail).__traceback__)[0] is frames.walk(caught(fail).__traceback__)[0]


def test_an_error_at_the_very_end_is_described(start_process):
    """When the interpreter ends, nothing can be imported any more."""
    code = (
        "import obskit.logs.exceptions as exceptions\n"
        "class Last:\n"
        "    def __init__(self, write):\n"
        "        self.describe, self.write = exceptions.describe, write\n"
        "    def __del__(self):\n"
        "        try:\n            1 / 0\n"
        "        except ZeroDivisionError as error:\n"
        "            self.write(1, self.describe(error).stack.encode())\n"
        "import os\nlast = Last(os.write)\n"
    )
    output = start_process(sys.executable, "-c", code).wait()

    assert output.stdout.startswith(b"ZeroDivisionError: division by zero")
    assert output.stderr == b""
