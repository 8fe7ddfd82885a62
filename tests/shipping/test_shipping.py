"""Spans go to all servers that are set, and what is on its way outlives new settings."""

import signal
import sys
import time

import pytest

from obskit import health, shipping
from obskit.shipping.zipkin import Zipkin


def encode(item):
    """Return a span."""
    return b'{"name":"%s"}' % item.encode()


def is_precious(item):
    """Say that none is."""
    return False


@pytest.fixture
def configure(said):
    """Give what begins with servers by name; all is undone."""

    def begin(**urls):
        found = {name: Zipkin(url, encode) for name, url in urls.items()}
        return shipping.configure(
            found, is_precious, 100_000, lambda *one: said.append(one), shipping.flush
        )

    yield begin
    shipping.undo()
    shipping._failed_at = -10.0


def test_each_server_gets_all(configure, server, nobody):
    """One that is away keeps nothing from the other."""
    takers = configure(zipkin=server.url, other=nobody)
    for take in takers:
        take("span")
    assert not shipping.flush(2)

    assert [span["name"] for span in server.spans] == ["span"]
    status = shipping.status()
    assert status["zipkin"] == {"to": server.url, "sent": 1, "waiting": 0, "trouble": ""}
    assert (status["other"]["waiting"], status["other"]["trouble"]) == (1, "no connection")


def test_a_server_that_is_away_is_waited_for_once(configure, silent):
    """Several roads lead to the end of a process, and each flushes."""
    (take,) = configure(zipkin=silent)
    take("span")
    begun = time.monotonic()
    for _ in range(5):
        assert not shipping.flush(60)

    assert time.monotonic() - begun < shipping.LONGEST_FLUSH + 1


def test_new_settings_lose_nothing(configure, server):
    """What waits goes where it was to go."""
    (take,) = configure(zipkin=server.url)
    take("before")
    (take,) = configure(zipkin=server.url)
    take("after")
    assert shipping.flush(5)

    assert {span["name"] for span in server.spans} == {"before", "after"}


def test_what_waits_when_it_is_switched_off_is_counted(configure, nobody):
    """And the signal is given back."""
    (take,) = configure(zipkin=nobody)
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    take("span")
    shipping.undo()

    assert health.lost == {("spans", "switched off"): 1}
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert shipping.status() == {}
    assert shipping.flush(1)


JOB = """
import os, sys, time
import obskit
obskit.init("shop", zipkin={url!r}, metrics_port=False)
for _ in range(10):
    with obskit.unit_of_work("job"):
        pass
{end}
"""
ENDS = {"": 0, "sys.exit(3)": 3, "os.kill(os.getpid(), 15); time.sleep(20)": -15}


@pytest.mark.parametrize("mode", ["hang", "deaf", "silent", "nobody"])
def test_a_process_ends_within_five_seconds(server, silent, nobody, start_process, mode):
    """Whatever the server does, with the status that it would have had, and the loss is said."""
    server.mode = mode
    url = {"silent": silent, "nobody": nobody}.get(mode, server.url)
    begun = time.monotonic()
    programs = [
        start_process(sys.executable, "-c", JOB.format(url=url, end=end), capture="file")
        for end in ENDS
    ]
    outputs = [program.wait(30) for program in programs]

    assert time.monotonic() - begun < 6
    assert [output.returncode for output in outputs] == list(ENDS.values())
    for output in outputs:
        assert b'"obskit_lost":10' in output.stdout, output
