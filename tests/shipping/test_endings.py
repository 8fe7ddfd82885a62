"""How a process ends stays as it was; what is to be sent is sent before, or counted."""

import inspect
import os
import signal
import subprocess
import sys

import pytest

from obskit.shipping import endings

BEGIN = """
import os, signal, sys, time
from obskit.shipping import endings

def flush(seconds):
    os.write(1, b"flush " if seconds else b"")

def abandon(reason):
    os.write(1, reason.encode())

endings.install(flush, abandon)
"""
KILL = "os.kill(os.getpid(), signal.SIGTERM); time.sleep(10)"


def run(code, begin=BEGIN, before=""):
    """Return exit status and output of a program that begins so."""
    done = subprocess.run(
        [sys.executable, "-c", f"{before}\n{begin}\n{code}"], capture_output=True, timeout=30
    )
    assert not done.stderr or b"Error" in done.stderr
    return done.returncode, done.stdout.decode()


@pytest.fixture
def installed():
    """Give what was called, in this process; all is undone."""
    called = []
    endings.install(lambda seconds: called.append("flush"), called.append)
    yield called
    endings.undo()


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("", 0, "flush process ended"),
        ("sys.exit(3)", 3, "flush process ended"),
        ("raise LookupError", 1, "flush process ended"),
        (KILL, -15, "flush terminated"),
        ("os._exit(4)", 4, "os._exit"),
        ("os._exit(status=4)", 4, "os._exit"),
        (f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); {KILL}", 7,
         "flush process ended"),
        ("signal.signal(signal.SIGTERM, signal.SIG_DFL); " + KILL, -15, ""),
        ("signal.signal(signal.SIGTERM, signal.SIG_IGN); os.kill(os.getpid(), 15)", 0,
         "flush process ended"),
        ("endings.undo(); " + KILL, -15, ""),
        ("endings.undo()", 0, ""),
        ("endings.undo(); os._exit(4)", 4, ""),
        ("endings.install(flush, abandon); endings.install(flush, abandon)", 0,
         "flush process ended"),
    ],
)  # fmt: skip
def test_a_process_ends_as_it_would_have(code, status, said):
    """By status and signal; a handler of the program's own stays in charge."""
    assert run(code) == (status, said)


def test_a_handler_that_was_there_stays():
    """It has its own way to the end, which leads past ours."""
    before = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))"

    assert run(KILL, before=before) == (7, "flush process ended")


def test_a_handler_that_calls_the_one_before_it_is_not_cut_short():
    """Where nobody had a handler it would have called none, and gone on."""
    code = f"""
before = signal.getsignal(signal.SIGTERM)
def mine(number, frame):
    before(number, frame)
    os.write(1, b"mine ")
    sys.exit(7)
signal.signal(signal.SIGTERM, mine)
{KILL}
"""
    assert run(code) == (7, "mine flush process ended")


def test_a_handler_that_is_put_back_ends_the_process_again():
    """As servers do, which raise the signal anew when they are done."""
    code = f"""
before = signal.signal(signal.SIGTERM, lambda *_: None)
os.kill(os.getpid(), signal.SIGTERM)
signal.signal(signal.SIGTERM, before)
{KILL}
"""
    assert run(code) == (-15, "flush terminated")


def test_a_server_that_was_there_raises_the_signal_when_it_is_done():
    """What it had before is nobody's; it is the same signal that ends the process."""
    before = "import signal; signal.signal(signal.SIGTERM, lambda *_: None)"
    code = """
signal.raise_signal(signal.SIGTERM)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.raise_signal(signal.SIGTERM)
"""
    assert run(code, before=before) == (-15, "flush terminated")


@pytest.mark.parametrize("call", ["signal.raise_signal(10)", "signal.raise_signal('x')"])
def test_other_signals_are_raised_as_ever(call):
    """What is wrong about a call is said as ever."""
    code = f"""
signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b"got "))
try:
    {call}
except TypeError:
    os.write(1, b"wrong ")
"""
    status, said = run(code)
    assert status == 0
    assert said in ("got flush process ended", "wrong flush process ended")


def test_a_second_signal_does_not_wait():
    """Who sends it again is in a hurry."""
    slow = BEGIN.replace('else b"")', 'else b""); time.sleep(20)')
    code = f"""
signal.signal(signal.SIGALRM, lambda *_: {KILL.partition(";")[0]})
signal.setitimer(signal.ITIMER_REAL, 0.2)
{KILL}
"""

    assert run(code, begin=slow) == (-15, "flush terminated")


def test_what_our_side_raises_ends_nothing_else():
    """Nor keeps a process from ending."""
    broken = BEGIN.replace("os.write(1, b", "1 / 0 or (b").replace("os.write(1, r", "1 / 0 or (r")

    assert run(KILL, begin=broken)[0] == -15
    assert run("os._exit(4)", begin=broken)[0] == 4
    assert run("sys.exit(3)", begin=broken)[0] == 3


def test_a_thread_cannot_take_the_signal():
    """The rest works there all the same."""
    code = "import threading; one = threading.Thread(target=endings.install, args=(flush, abandon))"
    begin = BEGIN.replace("endings.install(flush, abandon)", code + "; one.start(); one.join()")

    assert run(KILL, begin=begin) == (-15, "")
    assert run("", begin=begin) == (0, "flush process ended")


def test_the_first_process_of_a_container_goes_on(installed, monkeypatch):
    """The system ignores the signal there, and so what comes later can still be sent."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    signal.raise_signal(signal.SIGTERM)

    assert installed == ["flush"]
    assert signal.getsignal(signal.SIGTERM) is endings._on_signal


def test_exit_looks_as_it_did(installed):
    """To those who inspect it; and it is wrapped once."""
    assert os._exit.__name__ == "_exit"
    assert list(inspect.signature(os._exit).parameters) == ["status"]
    assert not hasattr(os._exit.__wrapped__, "_obskit")
