"""A server that is away is not felt by those who are served, and costs bounded memory."""

import json
import sys

import pytest

PROGRAM = """
import json, os, resource, sys, time
import obskit

obskit.init("shop", zipkin=sys.argv[1], metrics_port=False, request_log=False, span_queue="1MiB")

def served():
    begun = time.perf_counter()
    with obskit.unit_of_work("job"):
        with obskit.observe("step"):
            sum(range(5000))
    return time.perf_counter() - begun

def waits():
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw

def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

for _ in range(4000):
    served()
before, filled = waits(), memory()
times = sorted(served() for _ in range(10_000))
found = [times[len(times) // 2] * 1e6, times[9_900] * 1e6, waits() - before, memory() - filled]
os.write(1, json.dumps(found).encode() + b"\\n")
os._exit(0)
"""


@pytest.fixture
def measure(start_process):
    """Give what returns microseconds (median, p99), how often the thread waited, KiB more."""

    def run(url):
        output = start_process(sys.executable, "-c", PROGRAM, url, capture="file").wait(100)
        found = next(line for line in output.lines if line.startswith(b"["))
        return json.loads(found)

    return run


@pytest.mark.parametrize("mode", ["hang", "silent", "nobody", 503])
def test_a_request_does_not_wait(measure, server, silent, nobody, mode):
    """Less than one in a hundred gives its processor away, be it for a lock or for a socket."""
    server.mode = mode
    median, _, waits, grown = measure({"silent": silent, "nobody": nobody}.get(mode, server.url))

    assert waits < 100
    assert median < 2000
    assert grown < 2048
