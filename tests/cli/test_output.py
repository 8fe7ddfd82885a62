"""What commands write, and who takes it."""

import io
import os
import sys

import pytest

from obskit.cli import _output
from obskit.cli._output import Unwritten


def stream(descriptor, encoding="utf-8"):
    """Return a text stream on a descriptor that it closes."""
    return io.TextIOWrapper(os.fdopen(descriptor, "wb"), encoding=encoding)


def test_any_encoding_is_taken(monkeypatch):
    """A terminal of the last century gets question marks, not a traceback."""
    held = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(held, encoding="ascii"))
    _output.write("● caused")
    _output.finish()

    assert held.getvalue() == b"? caused"


def test_what_is_full_is_said(monkeypatch):
    """At once, or at the end, as the system says it."""
    full = stream(os.open("/dev/full", os.O_WRONLY))
    monkeypatch.setattr(sys, "stdout", full)
    with pytest.raises(Unwritten, match="No space left on device"):
        _output.write("x", now=True)
    with pytest.raises(Unwritten, match="No space left on device"):
        _output.finish()
    _output.give_up()
    full.close()


def test_a_reader_that_is_gone_is_no_reason(monkeypatch):
    """There is nobody to tell."""
    reader, writer = os.pipe()
    os.close(reader)
    broken = stream(writer)
    monkeypatch.setattr(sys, "stdout", broken)
    with pytest.raises(Unwritten) as caught:
        _output.write("x", now=True)
    assert caught.value.reason == ""
    _output.give_up()
    broken.close()


def test_what_is_closed_is_said(monkeypatch):
    """By the one who has started us, or since then; to have nothing to say is no error."""
    monkeypatch.setattr(sys, "stdout", None)
    assert not _output.is_terminal()
    _output.finish()
    with pytest.raises(Unwritten, match="it is closed"):
        _output.write("x")
    _output.give_up()
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    with pytest.raises(Unwritten, match="closed file"):
        _output.write("x")
