"""Signals of a process go to its own threads."""

import signal
import threading

from obskit import signals


def blocked():
    """Return the signals that this thread does not take."""
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())


def blocked_in_a_thread():
    """Return those that a thread of ours does not take."""
    found = []

    def run():
        signals.leave()
        found.append(blocked())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def test_a_thread_of_ours_takes_no_signal():
    """All that can be blocked are blocked there."""
    taken = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGUSR1}

    assert taken <= blocked_in_a_thread()
    assert not taken & blocked()


def test_the_main_thread_takes_them_also_where_it_runs_our_threads():
    """As it does under gevent."""
    before = blocked()
    signals.leave()

    assert blocked() == before


def test_a_platform_without_it_is_left_as_it_is(monkeypatch):
    """There is nothing to block there."""
    before = blocked()
    with monkeypatch.context() as patched:
        patched.delattr(signal, "valid_signals")

        assert blocked_in_a_thread() == before
