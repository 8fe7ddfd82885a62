"""Which loggers write which levels, and how that changes while the process runs."""

import logging
import os
import signal
import threading

import pytest

from obskit import get_logger, health
from obskit.logs import levels


@pytest.fixture(autouse=True)
def clean(floor):
    """Begin and end with all levels let through."""
    levels.forget()
    yield
    levels.forget()


def test_the_nearest_name_counts():
    """A rule is for a logger and for those below it."""
    levels.configure("WARNING,shop=INFO, shop.db = DEBUG,urllib3=ERROR")

    names = ("", "x", "shop", "shop.cart", "shop.db.pool")
    assert [levels.of(name).level for name in names] == [30, 30, 20, 20, 10]
    assert levels.of("shopping").level == 30
    assert levels.enabled("urllib3", 40)
    assert not levels.enabled("urllib3", 30)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("debug", (10, {})), ("15", (15, {})), ("", (20, {})), ("a=ERROR", (20, {"a": 40})),
        ("root=ERROR", (40, {})), ("ERROR,,a=5,", (40, {"a": 5})), ("LOUD", (20, {})),
    ],
)  # fmt: skip
def test_the_setting_is_understood(text, expected):
    """Levels are given by name or number; what is unknown counts as INFO."""
    assert levels.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "instrument", "expected"),
    [
        ("INFO", (), 30), ("DEBUG", (), 30), ("ERROR", (), 40), ("httpx=INFO", (), 20),
        ("INFO", ("httpx",), 30), ("INFO", ("-flask",), 30), ("INFO", ("-httpx",), 20),
        ("INFO", ("flask",), 20), ("INFO", ("none",), 20),
    ],
)  # fmt: skip
def test_what_is_observed_anyway_is_not_told_at_info(text, instrument, expected):
    """Where obskit observes calls, their library's own line about each needs WARNING."""
    levels.configure(text, instrument)

    assert levels.of("httpx").level == expected
    assert levels.of("httpx._client").level == expected
    assert levels.enabled("httpx", expected)
    assert levels.of("httpxx").level == levels.in_force()[0]
    levels.forget()
    assert levels.of("httpx").level == 0


def test_a_rule_for_a_logger_below_wins_over_the_default():
    """The nearest name counts here too."""
    levels.configure("INFO,httpcore.http2=DEBUG", ())

    assert levels.of("httpcore.http2").level == 10
    assert levels.of("httpcore.http11").level == 30
    assert levels.by_default() == {"httpx": 30, "httpcore": 30, "pika": 30, "urllib3": 30}
    levels.configure("httpx=INFO", ())
    assert levels.by_default() == {"httpcore": 30, "pika": 30, "urllib3": 30}


def test_loggers_that_exist_hear_of_a_change():
    """A level can be changed at any time, for all loggers that were ever made."""
    levels.configure("INFO")
    log, bound = get_logger("shop"), get_logger("shop").bind(a=1)
    assert not log.is_enabled_for(10)
    levels.configure("shop=DEBUG")
    assert log.is_enabled_for(10)
    assert bound.is_enabled_for(10)


def test_listeners_hear_of_a_change():
    """Others who keep levels are told, once each."""
    heard = []

    def listener():
        heard.append(levels.in_force())

    levels.on_change(listener)
    levels.on_change(listener)
    levels.configure("ERROR,a=INFO")

    assert heard == [(40, {"a": 20})]


def test_names_from_outside_cannot_fill_the_memory(monkeypatch):
    """Very many names share no threshold, and are right all the same."""
    monkeypatch.setattr(levels, "MOST_NAMES", len(levels._thresholds) + 2)
    levels.configure("ERROR")
    for number in range(10):
        assert levels.of(f"logger {number}").level == 40
    assert len(levels._thresholds) == levels.MOST_NAMES


@pytest.mark.parametrize(
    ("level", "name"), [(10, "debug"), (30, "warning"), (50, "critical"), (7, "level 7")]
)
def test_levels_have_names(level, name):
    """A line says the level in lower case."""
    assert levels.name_of(level) == name


SIGNAL = signal.SIGRTMIN + 3


@pytest.fixture
def name():
    """Give a signal that nobody handles."""
    yield "SIGRTMIN+3"
    levels.listen("")
    assert signal.getsignal(SIGNAL) is signal.SIG_DFL


def test_a_signal_switches_to_debug_and_back(name):
    """Whoever is on call can see more without a restart."""
    levels.configure("WARNING,urllib3=ERROR")
    levels.listen(name)
    log = get_logger("shop")
    for expected in (10, 30, 10):
        os.kill(os.getpid(), SIGNAL)
        assert log.get_effective_level() == expected
        assert levels.of("urllib3").level == 40


def test_a_setting_ends_what_the_signal_began(name):
    """New levels are in force at once, and the next signal switches from them."""
    levels.configure("WARNING")
    levels.listen(name)
    os.kill(os.getpid(), SIGNAL)
    levels.configure("ERROR")
    levels.listen(name)
    assert levels.in_force()[0] == 40
    os.kill(os.getpid(), SIGNAL)
    assert levels.in_force()[0] == 10
    os.kill(os.getpid(), SIGNAL)
    assert levels.in_force()[0] == 40


def test_a_signal_of_the_program_is_left_alone(name):
    """A handler that is there, such as gunicorn's, is never replaced."""

    def theirs(*_):
        pass

    previous = signal.signal(SIGNAL, theirs)
    try:
        levels.listen(name)
        assert signal.getsignal(SIGNAL) is theirs
        assert health.last_errors["logs.levels"].endswith("SIGRTMIN+3 is handled by the program")
        levels.listen("")
        assert signal.getsignal(SIGNAL) is theirs
    finally:
        signal.signal(SIGNAL, previous)


def test_a_handler_that_comes_later_stays(name):
    """A program that takes the signal for itself keeps it."""
    levels.listen(name)
    previous = signal.signal(SIGNAL, signal.SIG_IGN)
    levels.listen("")
    assert signal.getsignal(SIGNAL) is signal.SIG_IGN
    assert previous is levels._switch
    signal.signal(SIGNAL, signal.SIG_DFL)


def test_in_a_thread_the_signal_is_left_out(name):
    """Only the main thread may set handlers: elsewhere that is reported."""
    thread = threading.Thread(target=levels.listen, args=(name,))
    thread.start()
    thread.join()

    assert signal.getsignal(SIGNAL) is signal.SIG_DFL
    assert "logs.levels" in health.internal_errors


def test_logging_follows(logged, monkeypatch):
    """Records of logging come out at the same levels, unless the application has set others."""
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    logging.root.manager._clear_cache()
    logged.configure(log_level="WARNING,noisy=ERROR")
    logging.getLogger("shop").info("no")
    logging.getLogger("shop").warning("yes")
    logging.getLogger("noisy").warning("no")

    assert [line["message"] for line in logged.lines] == ["yes"]
