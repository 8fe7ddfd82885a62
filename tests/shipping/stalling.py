"""Stop what a program writes to and sends to, keep it busy, end it, and count what it has lost."""

import fcntl
import http.client
import json
import os
import re
import signal
import threading
import time
import urllib.request
from collections import Counter

F_SETPIPE_SZ = 1031
LOST = re.compile(rb"^obskit_lost_total\{([^}]*)\} (\S+)$", re.MULTILINE)


def fill(path):
    """Make a named pipe that is full and has a reader who never reads; return its descriptor."""
    os.mkfifo(path)
    held = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(held, F_SETPIPE_SZ, 4096)
    try:
        while True:
            os.write(held, b"x" * 512)
    except BlockingIOError:
        return held


class Stall:
    """A pipe that is full, a server that hangs, and the words that start a program with them."""

    def __init__(self, path, zipkin, command, port):
        self.held = fill(path)
        self.launcher = ("sh", "-c", f'exec "$@" > {path}', "sh", *command, "run", "--")
        self.metrics = f"http://127.0.0.1:{port}/metrics"
        self.env = {
            "OBSKIT_ZIPKIN": zipkin,
            "OBSKIT_METRICS_PORT": str(port),
            "OBSKIT_LOG_QUEUE": "16KiB",
            "OBSKIT_SPAN_QUEUE": "32KiB",
        }

    def lost(self):
        """Return what the page of metrics says to be lost, by signal."""
        found = Counter()
        with urllib.request.urlopen(self.metrics, timeout=10) as answer:
            for labels, number in LOST.findall(answer.read()):
                found[re.search(rb'signal="(\w+)"', labels)[1].decode()] += int(float(number))
        return found

    def settled(self):
        """Return the same as soon as nothing is added to it any more."""
        before, found = None, self.lost()
        while found != before:
            time.sleep(0.3)
            before, found = found, self.lost()
        return found


def last_words(output):
    """Return how many lines and spans were lost by what the processes say at their end."""
    found = Counter()
    for line in output.stderr.splitlines():
        if line.startswith(b"{"):
            said = json.loads(line)
            found[said["message"]] += said.get("obskit_lost", 0)
    return found


class Traffic:
    """Some forty requests a second, until `stop`; *answered* and *failed* count them."""

    def __init__(self, port):
        self.answered, self.failed = 0, []
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._over.wait(0.02):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                connection.close()
                assert answer.status == 200, answer.status
                self.answered += 1
            except Exception as error:
                self.failed.append(error)

    def stop(self):
        """Send nothing more, and wait for the last answer."""
        self._over.set()
        self._thread.join(20)


def end(process):
    """Send SIGTERM; return what the process has left, and after how many seconds."""
    begun = time.monotonic()
    output = process.stop(signal.SIGTERM, timeout=30)
    return output, time.monotonic() - begun
