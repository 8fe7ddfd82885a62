"""Real processes that are killed at any time lose nothing that they said was safe."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter

from obskit.shipping.spool import Lease, Reader, segments
from tests.shipping.spool.spools import drain, standing

WRITER = """
import os, sys
from obskit.shipping.spool import Appender
folder, name, acknowledged = sys.argv[1:]
one = Appender(folder, 1 << 28)
said = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
number = 0
while True:
    body = b"%s %d " % (name.encode(), number)
    one.append([body + b"x" * (number % 700)], True)
    os.write(said, body + b"\\n")
    number += 1
"""

SHIPPER = """
import os, sys, time
from obskit.shipping.spool import Lease, Reader
folder, delivered = sys.argv[1:]
lease = Lease(folder)
while not lease.acquire():
    time.sleep(0.01)
out = os.open(delivered, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
reader = Reader(folder, "es")
while lease.held:
    batch = reader.batch(50, 1 << 20)
    if not batch:
        time.sleep(0.005)
        continue
    os.write(out, b"".join(entry.body.rstrip(b"x") + b"\\n" for entry in batch))
    reader.decide(taken=len(batch))
"""


def start(script, *arguments):
    """Start a process."""
    return subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)])


def kill(process):
    """End a process at once."""
    process.send_signal(signal.SIGKILL)
    process.wait(5)


def said(path):
    """Return the whole lines of a file."""
    if not path.exists():
        return []
    return [line for line in path.read_bytes().split(b"\n")[:-1] if line]


def wait_for(condition):
    """Wait until a condition is true."""
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_processes_that_are_killed_lose_nothing(tmp_path, folder):
    """Writers and shippers die by SIGKILL; each safe line arrives, few of them twice."""
    dice = random.Random(4)
    delivered, kills = tmp_path / "delivered", 0
    shippers = [start(SHIPPER, folder, delivered) for _ in range(2)]
    acknowledged = []
    for _ in range(6):
        names = [tmp_path / f"w{len(acknowledged) + n}" for n in range(2)]
        acknowledged += names
        writers = [start(WRITER, folder, name.name, name) for name in names]
        wait_for(lambda made=names: all(map(said, made)))
        time.sleep(dice.random() / 4)
        for writer in writers:
            kill(writer)
        kill(shippers.pop(0))
        kills += 1
        shippers.append(start(SHIPPER, folder, delivered))
    wait_for(lambda: said(delivered))
    for shipper in shippers:
        kill(shipper)
    lease = Lease(folder)
    assert lease.acquire()
    rest = [entry.body.rstrip(b"x") for entry in drain(Reader(folder, "es"))]
    lease.release()
    counts = Counter([line + b" " if line[-1:] != b" " else line for line in said(delivered)])
    counts.update(rest)
    safe = {line for path in acknowledged for line in said(path)}

    assert len(safe) > 100
    assert safe <= set(counts)
    # A line may be in the spool before its writer could say so.
    assert len(set(counts) - safe) <= len(acknowledged)
    assert sum(counts.values()) - len(counts) <= 50 * (kills + 2)
    assert segments.listing(folder) == []
    one = standing(folder)
    assert one.taken == len(counts)
    assert sum(one.dropped.values()) <= len(acknowledged)
