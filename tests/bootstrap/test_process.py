"""What a process finds out about itself."""

import os
import sys

import pytest

from obskit import settings
from obskit._bootstrap import process
from obskit.settings import Launch


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["app.py"], "service"),
        (["-m", "gunicorn", "app:app"], "service"),
        (["-c", "from multiprocessing.resource_tracker import main;main(3)"], "helper"),
        (["-c", "from multiprocessing.forkserver import main; main(4, 5)"], "helper"),
        (["-c", "from multiprocessing.spawn import spawn_main; spawn_main()"], "service"),
    ],
)
def test_helpers_of_multiprocessing_are_told_from_services(monkeypatch, words, kind):
    """They begin no log of their own; the workers that they start do."""
    monkeypatch.setattr(sys, "orig_argv", ["python", *words])

    assert process.kind() == kind


@pytest.fixture
def streams(monkeypatch):
    """Give a setter of what the launcher says are its own streams, and of ours."""

    def put(own, ours):
        monkeypatch.setattr(settings, "launch", lambda: Launch("shop", own))
        monkeypatch.setattr(settings, "stream_name", lambda number: ours.get(number, ""))

    return put


@pytest.mark.parametrize(
    ("wanted", "ours", "expected"),
    [
        ("stdout", {1: "a", 2: "a"}, "stdout"),
        ("stdout", {1: "pipe", 2: "a"}, "stderr"),
        ("stderr", {1: "pipe", 2: "a"}, "stderr"),
        ("stdout", {1: "a", 2: "pipe"}, None),
        ("stdout", {1: "pipe", 2: "pipe"}, None),
        ("stdout", {2: "a"}, "stderr"),
        ("stdout", {1: "a"}, "stdout"),
        ("stderr", {1: "a"}, "stdout"),
        ("stderr", {1: "pipe"}, None),
        ("fd:7", {7: "a", 2: "a"}, "fd:7"),
        ("fd:7", {7: "pipe", 2: "a"}, "stderr"),
        ("/var/log/shop", {1: "pipe", 2: "pipe"}, "/var/log/shop"),
    ],
)
def test_lines_go_to_streams_of_the_launcher_only(streams, wanted, ours, expected):
    """What a parent reads is an answer, and no place for lines."""
    streams(("a",), ours)

    assert process.own_stream(wanted) == expected


def test_without_a_launcher_all_streams_are_ours(streams):
    """A program that calls init itself knows where its output goes."""
    streams((), {})

    assert process.own_stream("stdout") == "stdout"


def test_real_streams_are_compared_by_file(monkeypatch):
    """A copy of a descriptor is the same stream, a pipe to a parent is another."""
    read_end, write_end = os.pipe()
    copy = os.dup(2)
    name = settings.stream_name(2)
    monkeypatch.setattr(settings, "launch", lambda: Launch("shop", (name,)))

    assert process.own_stream(f"fd:{copy}") == f"fd:{copy}"
    assert process.own_stream(f"fd:{write_end}") == "stderr"
    for descriptor in (read_end, write_end, copy):
        os.close(descriptor)
