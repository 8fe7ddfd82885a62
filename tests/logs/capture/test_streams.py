"""How text that is printed becomes lines."""

import io
import os
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit import health
from obskit.logs.capture import streams
from obskit.logs.capture.streams import LineStream, shown
from obskit.logs.capture.tracebacks import Text


class Printer:
    """A stream of lines on a file, with what it emitted."""

    def __init__(self, path):
        self.raw = open(path, "w+b", buffering=0)  # noqa: SIM115 - closed by the fixture
        self.original = io.TextIOWrapper(io.BufferedWriter(self.raw), encoding="utf-8")
        self.texts = []
        self.threads = []
        self.stream = LineStream(self.original, "stdout", self.emit)

    def emit(self, name, text):
        """Take what is emitted."""
        assert name == "stdout"
        self.texts.append(text.text)
        self.threads.append(threading.get_ident())

    def print(self, *words, **options):
        """Print to the stream."""
        print(*words, file=self.stream, **options)

    @property
    def written(self):
        """What stands in the file."""
        self.stream.flush()
        return os.pread(self.raw.fileno(), 1 << 20, 0)


@pytest.fixture
def printer(tmp_path):
    """Give a stream of lines."""
    made = Printer(tmp_path / "file")
    yield made
    made.stream.detach()
    made.original.close()


def test_each_whole_line_is_one(printer):
    """Text is cut at the ends of lines, wherever the writer cuts it."""
    printer.stream.write("one\ntwo\nth")
    printer.stream.write("ree\n")
    printer.print("a", 1, None)
    printer.stream.writelines(["x\n", "y\n"])

    assert printer.texts == ["one", "two", "three", "a 1 None", "x", "y"]
    assert printer.written == b""


@given(st.lists(st.text(st.characters(exclude_characters="\r\n\x1b"))))
def test_text_comes_out_as_it_went_in(lines):
    """No character is lost or changed; blank lines are nothing to tell."""
    pending = streams._Pending()
    lines.append("end")
    parts = pending.take("\n".join(lines)) + pending.rest()

    assert "\n".join(part.text for part in parts) == "\n".join(lines)


def test_blank_lines_are_nothing_to_tell(printer):
    """An empty print makes no line."""
    printer.print()
    printer.print("  ")

    assert printer.texts == []


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("10%\r50%\r100%", "100%"),
        ("done\r", "done"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("plain", "plain"),
        ("\r\r", ""),
    ],
)
def test_a_line_is_shown_as_a_terminal_leaves_it(line, left):
    """A progress bar is its last state, and colours are for eyes."""
    assert shown(line) == left


def test_bytes_go_through(printer):
    """Whoever writes bytes has them written as they are."""
    printer.stream.buffer.write(b"\x00\xff raw\n")
    printer.print("line")

    assert printer.written == b"\x00\xff raw\n"
    assert printer.texts == ["line"]


def test_it_is_a_text_stream_like_the_one_it_stands_for(printer):
    """Code that looks closely finds what it expects."""
    stream, original = printer.stream, printer.original

    assert isinstance(stream, io.TextIOWrapper)
    assert stream.fileno() == original.fileno()
    assert stream.isatty() is False
    assert (stream.encoding, stream.errors) == (original.encoding, original.errors)
    assert stream.writable()
    stream.reconfigure(line_buffering=True)
    with pytest.raises(TypeError):
        stream.write(b"bytes")  # type: ignore[arg-type]


def test_a_redirected_descriptor_gets_the_text_itself(printer, tmp_path):
    """Where the program puts another file under the descriptor, it reads its own bytes there."""
    number, kept = printer.stream.fileno(), os.dup(printer.stream.fileno())
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    os.dup2(other, number)
    printer.print("for the file")
    printer.stream.flush()
    os.dup2(kept, number)
    printer.print("for the log")
    os.close(kept)

    assert os.pread(other, 100, 0) == b"for the file\n"
    assert printer.texts == ["for the log"]
    os.close(other)


def test_what_is_printed_while_a_line_is_made_comes_after_it(printer):
    """A value that prints when it is shown neither hangs nor is lost."""
    emit = printer.emit

    def printing(name, text):
        if text.text == "outer":
            printer.print("inner")
        emit(name, text)

    printer.stream._emit = printing
    printer.print("outer")

    assert printer.texts == ["outer", "inner"]


def test_endless_printing_while_a_line_is_made_is_lost_and_counted(printer):
    """A loop of prints ends, and the loss is known."""
    health.reset()

    def printing(name, text):
        for _ in range(3):
            printer.print("again")

    printer.stream._emit = printing
    printer.print("first")

    assert health.lost[("logs", "printed while logging")] > streams.MOST_NESTED
    health.reset()


def test_an_error_while_a_line_is_made_leaves_the_text(printer):
    """What cannot become a line is written as it is, and the error is counted."""
    health.reset()

    def failing(name, text):
        raise RuntimeError("broken")

    printer.stream._emit = failing
    printer.print("kept")

    assert b"kept" in printer.written
    assert health.internal_errors["logs.capture.stream"] >= 1
    health.reset()


def test_threads_do_not_tear_each_others_lines(printer):
    """A line belongs to the thread that prints it."""
    turn = threading.Barrier(4)

    def speak(word):
        for _ in range(20):
            turn.wait(10)
            printer.stream.write(word)
            turn.wait(10)
            printer.stream.write(word + "\n")

    threads = [threading.Thread(target=speak, args=(letter * 5,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(printer.texts) == sorted(letter * 10 for letter in "abcd" for _ in range(20))


def test_a_flushed_piece_comes_out_after_a_while(printer, monkeypatch):
    """A prompt or "working..." is seen although its line has no end."""
    monkeypatch.setattr(streams, "IDLE_SECONDS", 0.05)
    printer.print("working...", end="", flush=True)
    assert printer.texts == []
    deadline = time.monotonic() + 5
    while not printer.texts and time.monotonic() < deadline:
        time.sleep(0.01)

    assert printer.texts == ["working..."]
    printer.print("done")
    assert printer.texts == ["working...", "done"]


def test_a_piece_that_is_not_flushed_starts_no_thread(printer):
    """Nothing runs in the background of a program that prints."""
    before = threading.active_count()
    printer.stream.write("piece")

    assert threading.active_count() == before


def test_unfinished_lines_come_out_at_the_end(printer):
    """The last words need no end of line."""
    printer.stream.write("last words")
    printer.stream.finish()

    assert printer.texts == ["last words"]


def test_a_forked_child_does_not_repeat_what_its_parent_began(printer):
    """What is unfinished at a fork is written once."""
    printer.stream.write("parent's")
    printer.stream.renew()
    printer.stream.finish()

    assert printer.texts == []


def test_a_very_long_piece_is_not_kept(printer):
    """Memory is bounded for a writer that never ends a line."""
    printer.stream.write("x" * (streams.LONGEST_PIECE + 1))

    assert len(printer.texts) == 1


def test_a_whole_traceback_is_one_text(printer):
    """A traceback that is handed over as a whole keeps its lines, whatever they look like."""
    printer.stream.write("before")
    printer.stream.take_traceback("Traceback (most recent call last):\nValueError: a\nb\n")

    assert printer.texts == ["before", "Traceback (most recent call last):\nValueError: a\nb"]


def test_a_closed_stream_says_so(printer):
    """Writing to a closed stream is the error that it always was."""
    path = os.dup(printer.raw.fileno())
    original = os.fdopen(path, "w")
    stream = LineStream(original, "stdout", printer.emit)
    stream.close()

    with pytest.raises(ValueError, match="closed"):
        stream.write("x")


def test_texts_know_what_they_are():
    """Only a traceback is one."""
    assert Text("a").is_traceback is False
