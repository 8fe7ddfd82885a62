"""What reaches the reader when processes die, share a pipe, fork, or find the reader asleep.

The sizes are small, so that the tests are short; ``TEST_SIZE=full`` makes them as large as
they are promised.
"""

import collections
import json
import os
import re
import sys
import time

import pytest

from tests.logs.torture import strict

FULL = os.environ.get("TEST_SIZE") == "full"

SAYING_LAST_WORDS = """
import os, signal, sys, obskit
obskit.init("dying", metrics_port="off", log_stream=sys.argv[2])
log = obskit.get_logger("dying")
for number in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        log.info("last words", number=number)
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
"""


@pytest.mark.parametrize("to", ["pipe", "file"])
def test_the_last_words_before_a_kill_are_out(start_process, tmp_path, to):
    """A process that logs and is killed at once has said it, each time."""
    count = 1000 if FULL else 150
    stream = "stdout" if to == "pipe" else str(tmp_path / "log")
    output = start_process(
        sys.executable, "-c", SAYING_LAST_WORDS, str(count), stream
    ).wait(120)  # fmt: skip

    assert output.returncode == 0, output.stderr
    raw = output.stdout if to == "pipe" else (tmp_path / "log").read_bytes()
    lines = [strict(line) for line in raw.splitlines(keepends=True)]
    said = [line["number"] for line in lines if line["message"] == "last words"]
    assert said == list(range(count))


SHARING = """
import os, random, sys, obskit
obskit.init("sharing", metrics_port="off")
log = obskit.get_logger("sharing")
children = []
for child in range(4):
    pid = os.fork()
    if pid == 0:
        dice = random.Random(child)
        for number in range(int(sys.argv[1])):
            text = dice.choice("abcd") * dice.choice((200, 1500, 3500, 6000, 20_000))
            log.info("line", child=child, number=number, text=text)
        obskit.shutdown(30)
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
"""


def test_processes_that_share_a_pipe_tear_no_line(start_process):
    """Lines of 500 bytes to 20 kB of four processes come out whole, each exactly once."""
    count = 5000 if FULL else 1000
    output = start_process(
        sys.executable, "-c", SHARING, str(count), env={"OBSKIT_LOG_QUEUE": "1GiB"}
    ).wait(300)  # fmt: skip

    assert output.returncode == 0, output.stderr
    lines = [strict(line) for line in output.stdout.splitlines(keepends=True)]
    numbers = collections.defaultdict(list)
    for line in lines:
        if line["message"] == "line":
            numbers[line["child"]].append(line["number"])
            assert len(set(line["text"].removesuffix(" ..."))) == 1
    assert numbers == {child: list(range(count)) for child in range(4)}


STALLED = """
import json, os, sys, time, obskit
from obskit import health
from time import perf_counter_ns
obskit.init("stalled", metrics_port="off", log_queue="200k", log_stream="fd:" + sys.argv[2])
log = obskit.get_logger("stalled")
times, accepted = [], 0
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    for _ in range(20):
        began = perf_counter_ns()
        log.info("hello", number=accepted, order_id="CD-4711", total=14.88)
        times.append(perf_counter_ns() - began)
        accepted += 1
    time.sleep(0.002)
times.sort()
print("asleep", flush=True)
obskit.shutdown(20)
lost = {"/".join(key): count for key, count in health.lost.items()}
print(json.dumps({"accepted": accepted, "lost": lost, "p99": times[len(times) * 99 // 100] / 1e6,
                  "p50": times[len(times) // 2] / 1e6, "most": times[-1] / 1e6}))
"""


def test_a_reader_that_sleeps_costs_counted_lines_and_no_time(tmp_path):
    """While nobody reads, calls stay short, and what was accepted is written or counted."""
    import subprocess

    seconds = 3.0 if FULL else 0.7
    read_end, write_end = os.pipe()
    script = tmp_path / "stalled.py"
    script.write_text(STALLED)
    process = subprocess.Popen(
        [sys.executable, script, str(seconds), str(write_end)],
        stdout=subprocess.PIPE, pass_fds=(write_end,), cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    os.close(write_end)
    assert process.stdout is not None
    assert process.stdout.readline() == b"asleep\n"
    seen = b""
    while chunk := os.read(read_end, 1 << 16):
        seen += chunk
    os.close(read_end)
    found = json.loads(process.stdout.read())
    process.stdout.close()
    assert process.wait(20) == 0

    lines = [strict(line) for line in seen.splitlines(keepends=True)]
    written = [line["number"] for line in lines if line["message"] == "hello"]
    assert written == sorted(written)
    assert len(written) + found["lost"]["logs/queue full"] == found["accepted"]
    assert list(found["lost"]) == ["logs/queue full"]
    # The promise is 0.05 ms; here others use the machine as well.
    assert found["p99"] < (0.05 if FULL else 2.0), found
    print(found)


FORKING = """
import os, signal, sys, threading, obskit
obskit.init("forking", metrics_port="off")
log = obskit.get_logger("forking")
stop = threading.Event()
def talk(name):
    count = 0
    while not stop.wait(0.0005):
        log.info("thread", name=name, count=count, items=[1], text="x" * 200)
        count += 1
threads = [threading.Thread(target=talk, args=(name,)) for name in range(3)]
for thread in threads:
    thread.start()
for number in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        log.info("child", number=number)
        obskit.shutdown(20)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, "a child hung"
stop.set()
for thread in threads:
    thread.join()
"""


def test_forks_while_threads_log_lose_and_double_nothing(start_process):
    """A child of a busy process logs at once, and no line comes twice."""
    count = 500 if FULL else 60
    output = start_process(
        sys.executable, "-W", "ignore", "-c", FORKING, str(count), env={"OBSKIT_LOG_QUEUE": "1GiB"}
    ).wait(120)  # fmt: skip

    assert output.returncode == 0, output.stderr[-2000:]
    lines = [strict(line) for line in output.stdout.splitlines(keepends=True)]
    children = [line["number"] for line in lines if line["message"] == "child"]
    assert children == list(range(count))
    for name in range(3):
        counts = [line["count"] for line in lines if line.get("name") == name]
        assert counts == list(range(len(counts)))


ENDING = """
import atexit, sys, obskit
atexit.register(lambda: log.info("at exit, registered before"))
obskit.init("ending", metrics_port="off")
log = obskit.get_logger("ending")
atexit.register(lambda: log.info("at exit, registered after"))
class Late:
    log = log
    def __del__(self):
        self.log.info("finalized")
late = Late()
log.info("ordinary")
obskit.shutdown()
log.info("after shutdown")
"""


def test_lines_are_written_until_the_very_end(start_process):
    """What is logged after shutdown, at exit and by finalizers comes out as well."""
    output = start_process(sys.executable, "-c", ENDING).wait()

    messages = [strict(line)["message"] for line in output.stdout.splitlines(keepends=True)]
    assert messages[1:6] == [
        "ordinary", "after shutdown", "at exit, registered after",
        "at exit, registered before", "finalized",
    ]  # fmt: skip
    assert output.stderr == b""


SLOWLY = """
import obskit
obskit.init("slowly", metrics_port="off")
for number in range(5000):
    obskit.get_logger().info("hello", number=number)
"""


def test_the_end_of_a_process_waits_for_a_slow_reader(tmp_path):
    """What the reader has not taken yet is written before the process ends."""
    import subprocess

    process = subprocess.Popen(
        [sys.executable, "-c", SLOWLY], stdout=subprocess.PIPE, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    time.sleep(0.5)
    assert process.stdout is not None
    raw = process.stdout.read()
    process.stdout.close()
    process.wait(20)

    numbers = [int(number) for number in re.findall(rb'"number":(\d+)}', raw)]
    assert numbers == list(range(5000))


def test_a_closed_stdout_is_no_reason_to_fail(start_process):
    """A program that was started without stdout, or has closed it, runs as ever."""
    code = (
        "import os, obskit; from obskit import health; "
        "obskit.init('x', metrics_port='off'); os.close(1); "
        "[obskit.get_logger().info('hello') for _ in range(3)]; "
        "os.write(2, repr(health.lost).encode())"
    )
    output = start_process("/bin/sh", "-c", f'{sys.executable} -c "{code}"').wait()
    assert output.returncode in (0, 120)
    assert output.stderr.startswith(b"{('logs', 'stream closed'): 3}")

    code = code.replace("os.close(1); ", "")
    output = start_process("/bin/sh", "-c", f'{sys.executable} -c "{code}" >&-').wait()
    assert output.returncode == 0
    assert b"'stream closed'): 4}" in output.stderr
