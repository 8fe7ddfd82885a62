"""What is known of the streams that lines go to."""

import os
import socket

import pytest

from obskit import health
from obskit.logs import sinks
from obskit.logs.sinks import Kind, Sink, open_sink


@pytest.fixture
def pair():
    """Give a pipe's two ends."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_kinds_are_told_apart(tmp_path, pair):
    """Files, pipes, sockets, terminals and closed numbers are written to differently."""
    outer, inner = os.openpty()
    with socket.socket() as one:
        found = {
            Kind.PIPE: Sink(pair[1]), Kind.SOCKET: Sink(one.fileno()), Kind.TERMINAL: Sink(inner),
            Kind.FILE: open_sink(str(tmp_path / "log")), Kind.CLOSED: Sink(987_654),
        }  # fmt: skip
        for kind, sink in found.items():
            assert sink.kind is kind
        assert {kind for kind, sink in found.items() if sink.can_stall} == {
            Kind.PIPE, Kind.SOCKET, Kind.TERMINAL,
        }  # fmt: skip
        assert [found[kind].longest for kind in (Kind.PIPE, Kind.SOCKET, Kind.FILE)] == [
            4096, 4096, 16_000,
        ]  # fmt: skip
    found[Kind.FILE].close()
    os.close(outer)
    os.close(inner)


def test_streams_are_known_by_name(tmp_path):
    """A setting names standard streams, numbers and paths."""
    assert open_sink("stdout").descriptor == 1
    assert open_sink("stderr").descriptor == 2
    assert open_sink("fd:7").descriptor == 7
    sink = open_sink(str(tmp_path / "log"))
    assert sink.path == str(tmp_path / "log")
    assert not os.get_inheritable(sink.descriptor)
    sink.close()


@pytest.mark.parametrize("name", ["file/log", "file/deeper/log", "folder", "a\0b"])
def test_a_file_that_cannot_be_opened_gives_way_to_stdout(tmp_path, monkeypatch, floor, name):
    """The service starts, lines are written, and the reason is reported."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    sink = open_sink(name)

    assert sink.descriptor == 1
    assert sink.path == ""
    assert health.internal_errors == {"logs.writer": 1}


@pytest.mark.parametrize("name", ["log", "missing/log", "missing/deeper/log", "folder/log"])
def test_the_folder_of_a_file_is_made(tmp_path, monkeypatch, floor, name):
    """A service is not without its log because nobody has made the folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    sink = open_sink(name)
    os.write(sink.descriptor, b"one")
    sink.close()

    assert (tmp_path / name).read_bytes() == b"one"
    assert health.internal_errors == {}


def test_a_named_pipe_without_reader_keeps_nobody_waiting(tmp_path, floor):
    """Opening must not wait for somebody to come."""
    os.mkfifo(tmp_path / "fifo")

    assert open_sink(str(tmp_path / "fifo")).descriptor == 1
    assert health.internal_errors == {"logs.writer": 1}


def test_a_number_that_went_to_a_connection_is_left_alone(pair):
    """A stream that was closed must not be taken for the socket that has its number now."""
    number = os.dup(pair[1])
    sink = Sink(number)
    with socket.socket() as one:
        os.dup2(one.fileno(), number)
        assert sink.renew()
        assert sink.kind is Kind.CLOSED
        assert not sink.renew()
    os.close(number)


def test_a_stream_that_stays_needs_nothing(pair, tmp_path):
    """A look costs one call of the system and changes nothing."""
    assert not Sink(pair[1]).renew()
    sink = open_sink(str(tmp_path / "log"))
    assert not sink.renew()
    sink.close()


def test_room_is_asked_for(pair):
    """A pipe says whether it takes a short line."""
    assert sinks.is_writable(pair[1], 0)
    os.set_blocking(pair[1], False)
    while sinks.is_writable(pair[1], 0):
        os.write(pair[1], b"x" * 4096)
    assert not sinks.is_writable(pair[1], 1)
