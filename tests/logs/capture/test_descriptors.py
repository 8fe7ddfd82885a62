"""How what C code writes to a descriptor becomes lines."""

import os
import subprocess
import sys
import threading
import time

import pytest

from obskit import health
from obskit.logs.capture import descriptors
from obskit.logs.capture.descriptors import Descriptor


class Captured:
    """A descriptor that is captured, with what was emitted and what came out below."""

    def __init__(self, path):
        self.file = open(path, "w+b", buffering=0)  # noqa: SIM115 - closed by the fixture
        self.number = self.file.fileno()
        self.texts = []
        self.descriptor = Descriptor(self.number, "stdout")
        self.descriptor.begin(lambda name, text: self.texts.append(text.text))

    def write(self, data):
        """Write bytes as C code does."""
        os.write(self.number, data)

    def wait(self, count):
        """Wait for *count* texts and return all."""
        deadline = time.monotonic() + 10
        while len(self.texts) < count:
            assert time.monotonic() < deadline, self.texts
            time.sleep(0.005)
        return self.texts

    @property
    def below(self):
        """What the file holds."""
        return os.pread(self.descriptor.original, 1 << 20, 0)


@pytest.fixture
def captured(tmp_path):
    """Give a captured descriptor; it is put back."""
    made = Captured(tmp_path / "file")
    yield made
    made.descriptor.end()
    os.close(made.descriptor.original)
    made.file.close()
    health.reset()


def test_each_line_is_one(captured):
    """Wherever the bytes are cut."""
    captured.write(b"one\ntw")
    captured.write(b"o\n\nthree\n")

    assert captured.wait(3) == ["one", "two", "three"]
    assert captured.below == b""


def test_bytes_that_are_no_text_are_shown(captured):
    """No byte is lost."""
    captured.write(b"\xff\x00 end\n")

    assert captured.wait(1) == ["\\xff\x00 end"]


def test_lines_of_children_that_speak_for_themselves_go_on_as_they_are(captured):
    """They are made already, with their own process ID."""
    line = b'{"timestamp":"2026-01-02T03:04:05.678901Z","message":"x"}\n'
    captured.write(line + b"text\n")
    captured.wait(1)

    assert captured.below == line
    assert captured.texts == ["text"]


def test_children_are_captured(captured):
    """They inherit the descriptor."""
    subprocess.run(["echo", "child"], stdout=captured.number, check=True)

    assert captured.wait(1) == ["child"]


def test_a_traceback_stays_together(captured):
    """As one text."""
    captured.write(b"Traceback (most recent call last):\n  File x\nValueError: a\n")

    assert captured.wait(1) == ["Traceback (most recent call last):\n  File x\nValueError: a"]


def test_an_endless_line_is_cut(captured):
    """Memory is bounded."""
    captured.write(b"x" * (descriptors.LONGEST_LINE // 2))
    captured.write(b"x" * (descriptors.LONGEST_LINE // 2 + 1))

    assert captured.wait(1)


def test_draining_waits_for_what_was_written(captured):
    """What was written before is out behind it."""
    for number in range(100):
        captured.write(b"%d\n" % number)
    captured.descriptor.drain()

    assert captured.texts == [str(number) for number in range(100)]


def test_draining_ends_an_unfinished_line(captured):
    """There may be no other time: a process that ends says no more."""
    captured.write(b"one\ntwo")
    captured.descriptor.drain()
    captured.write(b"Traceback (most recent call last):\n  File x\n")
    captured.descriptor.drain()
    captured.write(b"three\n")

    texts = captured.wait(4)
    assert texts == ["one", "two", "Traceback (most recent call last):\n  File x", "three"]


def test_draining_does_not_wait_for_a_line_that_does_not_get_out(captured, monkeypatch):
    """A stream may stand still at the end."""
    monkeypatch.setattr(descriptors, "DRAIN_SECONDS", 0.05)
    captured.write(b"one")
    captured.descriptor.drain()
    held, released = threading.Event(), threading.Event()

    def hold():
        with captured.descriptor._turn:
            held.set()
            released.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    captured.descriptor.drain()
    released.set()
    thread.join()

    assert captured.texts == ["one"]


def test_at_the_end_the_descriptor_is_as_before(captured):
    """An unfinished line is out, and what comes later goes where it went."""
    captured.write(b"unfinished")
    captured.descriptor.end()
    captured.write(b"later")

    assert captured.texts == ["unfinished"]
    assert captured.below == b"later"


def test_an_error_of_ours_is_counted(captured):
    """The reading goes on."""

    def failing(name, text):
        captured.texts.append(text.text)
        raise RuntimeError("broken")

    captured.descriptor.end()
    again = Descriptor(captured.number, "stdout")
    again.begin(failing)
    captured.write(b"one\n")
    captured.wait(1)
    captured.write(b"two\n")
    captured.wait(2)
    again.end()
    os.close(again.original)

    assert health.internal_errors["logs.capture.descriptors"] == 2


def test_python_is_flushed_where_it_can_be(monkeypatch):
    """A stream may be none."""
    monkeypatch.setattr(sys, "stdout", None)
    descriptors.flush_python()
