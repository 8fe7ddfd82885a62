"""The end of a program's start."""

import importlib.util
import sys
import threading

import pytest

from obskit.metrics import start as start_
from obskit.metrics.start import LONGEST, QUIET, Start


@pytest.fixture
def clock(monkeypatch):
    """Give a clock that stands still until it is told to go on."""

    class Clock:
        now = 1000.0

        def go(self, seconds):
            """Let time pass."""
            self.now += seconds

    clock = Clock()
    monkeypatch.setattr(start_.time, "monotonic", lambda: clock.now)
    return clock


def test_it_is_over_when_it_has_been_quiet(clock):
    """Nothing is imported for a while, and once over it stays over."""
    start = Start()
    assert not start.ends()
    clock.go(QUIET / 2)
    assert not start.ends()
    clock.go(QUIET)
    assert start.ends()
    start.begin_again()
    assert start.ends()


def test_a_fork_is_part_of_it(clock):
    """Who starts workers has not started yet."""
    start = Start()
    start.ends()
    clock.go(QUIET - 0.1)
    start.begin_again()
    clock.go(0.2)
    assert not start.ends()
    clock.go(QUIET)
    assert start.ends()


def test_it_is_waited_for_in_vain_only_so_long(clock, monkeypatch):
    """A service that runs inside of an import is served, too."""
    monkeypatch.setattr(start_, "_main_thread_imports", lambda: True)
    start = Start()
    start.ends()
    for _ in range(int(LONGEST / QUIET) - 1):
        clock.go(QUIET)
        assert not start.ends()
    clock.go(QUIET)
    assert start.ends()


def test_whoever_works_has_started(clock):
    """The first unit of work ends the waiting."""
    start = Start()
    start.is_over = True
    assert start.ends()


def test_an_import_of_the_main_thread_is_seen(tmp_path):
    """While a module runs for the first time, another thread sees it, and sees its end."""
    seen = []
    watched = tmp_path / "watched_module.py"
    watched.write_text("look()")

    def look():
        thread = threading.Thread(target=lambda: seen.append(start_._main_thread_imports()))
        thread.start()
        thread.join()

    spec = importlib.util.spec_from_file_location("watched_module", watched)
    sys.path.insert(0, str(tmp_path))
    try:
        import builtins

        builtins.look = look
        __import__("watched_module")
    finally:
        del builtins.look
        sys.path.remove(str(tmp_path))
        sys.modules.pop("watched_module", None)
    look()

    assert spec is not None
    assert seen == [True, False]
