"""Real workers of Celery: each pool, real brokers, violent ends, and who else is in the fleet."""

import json
import os
import re
import signal
import sys
import time
import urllib.request
from collections import Counter

import pytest

from obskit import observation
from tests.logs.servers.reading import lines
from tests.services.ports import wait_until

APP = """
import logging, os, signal, sys, time
{first}
from celery import Celery, chord, signals
from celery.exceptions import Reject
from celery.utils.log import get_task_logger

app = Celery("app", broker=os.environ["BROKER"], backend=os.environ["RESULTS"])
app.conf.update(
    task_default_queue=os.environ["QUEUE"],
    broker_transport_options=dict.fromkeys(
        ("data_folder_in", "data_folder_out"), os.environ["BOX"]
    ) | {{"control_folder": os.environ["BOX"] + "-control"}}
    if os.environ["BROKER"].startswith("file") else {{}},
    broker_connection_retry_on_startup=True,
    broker_heartbeat=0,
    worker_lost_wait=0.2,
    worker_prefetch_multiplier=1,
    beat_schedule={{"often": {{"task": "app.add", "schedule": 0.5, "args": (1, 1)}}}},
)
log, mine = get_task_logger("tasks"), logging.getLogger("mine")

@app.task(name="app.add")
def add(x, y):
    log.info("adding to %s", x)
    mine.warning("a warning")
    print("printed")
    return x + y

@app.task(name="app.flaky", bind=True)
def flaky(self):
    if not self.request.retries:
        raise self.retry(exc=ConnectionError("not yet"), countdown=0)

@app.task(name="app.fails")
def fails():
    raise ValueError("broken")

@app.task(name="app.total")
def total(numbers):
    return sum(numbers)

@app.task(name="app.killed")
def killed():
    mine.warning("about to die")
    os.kill(os.getpid(), signal.SIGKILL)

@app.task(name="app.hard", time_limit=1)
def hard():
    time.sleep(60)

@app.task(name="app.soft", soft_time_limit=1)
def soft():
    time.sleep(60)

@app.task(name="app.slow")
def slow():
    time.sleep(60)

@app.task(name="app.rejects", acks_late=True)
def rejects():
    raise Reject("no", requeue=False)
"""
PUBLISH = """
import os
import app
{first}
import obskit

with obskit.unit_of_work("sell", os.environ["SENT"]) as work:
    results = [{calls}]
print([getattr(result, "id", None) for result in results])
"""
LINE = re.compile(
    r"\[[-\d]+ [\d:,]+: [A-Z]+/[\w-]+\] (?:[\w.]+\[[0-9a-f-]{36}\]: )?(.*)", re.DOTALL
)
WARNING = re.compile(r"\S+\.py:\d+: \w+Warning: ")
CODE = re.compile(r"  (?:_warn_or_raise|warnings\.warn)")
# How often depends on which child sends first.
BY_CHANCE = ("Task celery.chord_unlock", "No hostname was supplied")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8}(?:-[0-9a-f]{4}){2}")
NUMBER = re.compile(r"0x[0-9a-f]+|\d+(?:[.:,]\d+)*(?:e-\d+)?")
SENT = "order-4711"


class Fleet:
    """A folder with an application, its workers, and whoever sends tasks to them."""

    def __init__(self, folder, start_process, command, env):
        self.folder, self._start, self._command = folder, start_process, command
        self.env = {
            "OBSKIT_METRICS_PORT": "off",
            "PYTHONUNBUFFERED": "1",
            "C_FORCE_ROOT": "1",
        } | env
        folder.joinpath("app.py").write_text(APP.format(first=""))

    def python(self, *words, bare=False, **options):
        """Start Python in the folder, under `obskit run` unless it is to be *bare*."""
        launcher = () if bare else (*self._command, "run", "--")
        return self._start(
            *launcher, sys.executable, *words, cwd=self.folder, env=self.env, **options
        )

    def worker(self, *words, bare=False, ready=True, level="info"):
        """Start a worker, and wait until it is ready."""
        process = self.python(
            "-m", "celery", "-A", "app", "worker", "-l", level, "--without-gossip",
            "--without-mingle", *words, bare=bare, capture="file",
        )  # fmt: skip
        if ready:
            process.wait_for(rb"celery@\S+ ready")
        return process

    def publish(self, *calls, bare=False, first="", sent=SENT):
        """Send tasks from another process, in one operation; return its lines."""
        made = PUBLISH.format(calls=", ".join(calls), first=first)
        self.folder.joinpath("publish.py").write_text(made)
        self.env["SENT"] = sent
        done = self.python("publish.py", bare=bare).wait()
        assert done.returncode == 0, (done.stdout, done.stderr)
        return [] if bare else lines(done.stdout) + lines(done.stderr)


@pytest.fixture
def fleet(tmp_path, start_process, obskit_command):
    """Give a fleet whose broker is a folder."""
    box = tmp_path / "box"
    for folder in (box, tmp_path / "box-control", tmp_path / "results"):
        folder.mkdir()
    return Fleet(
        tmp_path,
        start_process,
        obskit_command,
        {
            "BROKER": "filesystem://",
            "RESULTS": f"file://{tmp_path}/results",
            "BOX": str(box),
            "QUEUE": "tasks",
        },
    )


@pytest.fixture
def rabbits(tmp_path, start_process, obskit_command, rabbitmq):
    """Give a fleet with a real RabbitMQ."""
    env = {"BROKER": rabbitmq.url, "RESULTS": "rpc://", "BOX": "", "QUEUE": rabbitmq.queue()}
    made = Fleet(tmp_path, start_process, obskit_command, env)
    # As Celery declares it.
    with rabbitmq.channel() as channel:
        channel.queue_delete(env["QUEUE"])
    return made


def spoken(process):
    """Return all whole lines so far; each is valid."""
    found = []
    for stream in (process.stdout, process.stderr):
        found += lines(stream[: stream.rfind(b"\n") + 1])
    return found


def wait_lines(process, count=1, timeout=30.0, **fields):
    """Wait for *count* lines that have *fields*, and return all that have them."""
    found = []

    def enough():
        found[:] = [line for line in spoken(process) if fields.items() <= line.items()]
        return len(found) >= count

    wait_until(enough, lambda: f"{fields}: {process.stdout + process.stderr}", timeout)
    return found


def finished(process, count, **fields):
    """Wait for the summary lines of *count* tasks."""
    return wait_lines(process, count, logger="obskit.summary", message="task finished", **fields)


def normal(text):
    """Return *text* without what differs from run to run."""
    return NUMBER.sub("N", UUID.sub("U", " ".join(text.split())))


def bare_messages(*raw):
    """Count the messages of a bare worker, without their frames of tracebacks."""
    found, inside = Counter(), False
    for stream in raw:
        for text in stream.decode().splitlines():
            match = LINE.match(text)
            if match is None and text.startswith("Traceback "):
                inside = True
            elif match is not None:
                inside = False
            if not inside and text.strip() and not CODE.match(text):
                found[normal(match[1] if match else WARNING.sub("", text))] += 1
    return found


ALL = (
    "app.add.delay(1, 2)", "app.fails.delay()", "app.flaky.delay()", "app.rejects.delay()",
    "app.chord([app.add.s(1, 1), app.add.s(2, 2)])(app.total.s())",
)  # fmt: skip
POOLS = {
    "prefork": ("-c", "2"),
    "threads": ("-P", "threads", "-c", "2"),
    "solo": ("-P", "solo"),
}


@pytest.mark.slow
@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_says_what_it_says_without_us(fleet, pool):
    """Each message once, as a valid line; what belongs to the operation has its ID."""
    outputs = []
    for bare in (True, False):
        worker = fleet.worker(*POOLS[pool], bare=bare)
        fleet.publish(*ALL, bare=bare)
        worker.wait_for(rb"app\.total\[\S+\] succeeded")
        worker.wait_for(rb"app\.flaky\[\S+\] retry")
        worker.wait_for(rb"app\.flaky\[\S+\] succeeded")
        time.sleep(0.3)
        outputs.append(worker.stop())
        # What was received and not begun is put back.
        for left in fleet.folder.joinpath("box").iterdir():
            left.unlink()
    bare, ours = outputs
    said = lines(ours.stdout) + lines(ours.stderr)
    counted = Counter(
        normal(text)
        for line in said
        if line["logger"] not in ("obskit.summary", "obskit")
        for text in line["message"].splitlines()
    )
    wrong = {
        text: (count, counted[text])
        for text, count in bare_messages(bare.stdout, bare.stderr).items()
        if counted[text] != count and not text.startswith(BY_CHANCE)
    }

    assert bare.returncode == ours.returncode == 0
    assert not wrong, counted
    assert any("worker: Warm shutdown" in line["message"] for line in said)
    about = [line for line in said if line["message"].startswith("Task ")]
    assert len(about) >= 12
    assert {line.get("correlation_id") for line in about} == {SENT}
    ended = [line for line in said if line["message"] == "task finished"]
    assert {line["correlation_id"] for line in ended} == {SENT}
    outcomes = Counter((line["task_name"], line["outcome"]) for line in ended)
    assert outcomes["app.add", "ok"] == 3
    assert outcomes["app.fails", "server_error"] == 1
    assert outcomes["app.flaky", "server_error"] == outcomes["app.flaky", "ok"] == 1
    assert outcomes["app.rejects", "rejected"] == 1
    assert outcomes["app.total", "ok"] == 1
    assert "4711" not in "".join(line["message"] for line in about)
    for line in said:
        assert not {"args", "kwargs", "return_value", "data"} & set(line)


@pytest.mark.slow
def test_what_a_child_cannot_end_its_master_does(fleet):
    """Killed, out of time: one line each, with the ID; the next task begins clean."""
    worker = fleet.worker("-c", "1")
    fleet.publish("app.killed.delay()")
    [killed] = finished(worker, 1)
    fleet.publish("app.hard.delay()", sent="hard-1")
    finished(worker, 2)
    fleet.publish("app.soft.delay()", sent="soft-1")
    finished(worker, 3)
    fleet.publish("app.add.delay(1, 2)", sent="next-1")
    ended = finished(worker, 4)
    said = spoken(worker)
    worker.stop()

    assert [line["outcome"] for line in ended] == ["server_error", "timeout", "timeout", "ok"]
    assert [line["correlation_id"] for line in ended] == [SENT, "hard-1", "soft-1", "next-1"]
    assert killed["error_type"].endswith("WorkerLostError")
    assert killed["pid"] == ended[1]["pid"] != ended[2]["pid"]
    assert re.fullmatch("[0-9a-f-]{36}", killed["task_id"])
    for text, sent in (
        ("Task handler raised error: WorkerLostError", SENT),
        ("Hard time limit (1s) exceeded", "hard-1"),
        ("Soft time limit (1s) exceeded", "soft-1"),
        ("about to die", SENT),
    ):
        [line] = [line for line in said if line["message"].startswith(text)]
        assert line["correlation_id"] == sent, text
    of_next = [line for line in said if line["pid"] == ended[-1]["pid"] and "lc" in line]
    assert {line["correlation_id"] for line in of_next} <= {"soft-1", "next-1"}
    assert max(line["lc"] for line in said if line.get("correlation_id") == "next-1") < 10


@pytest.mark.slow
def test_a_revoked_task_is_called_off(rabbits):
    """Before it begins, and while it runs."""
    worker = rabbits.worker("-c", "1")
    rabbits.publish("app.slow.delay()", "app.slow.delay()")
    wait_lines(worker, 1, logger="celery.worker.strategy")
    time.sleep(1)
    first, second = [
        line["task_id"] for line in wait_lines(worker, 2, logger="celery.worker.strategy")
    ]
    revoke = (
        "import app; control = app.app.control; "
        f"control.revoke({second!r}); control.revoke({first!r}, terminate=True)"
    )
    assert rabbits.python("-c", revoke, bare=True).wait().returncode == 0
    ended = finished(worker, 2)
    worker.stop()

    assert {line["outcome"] for line in ended} == {"cancelled"}
    assert {line["correlation_id"] for line in ended} == {SENT}
    assert {line["level"] for line in ended} == {"info"}


@pytest.mark.slow
def test_a_real_broker_that_is_lost_and_back(rabbits, rabbitmq):
    """Down at the start, and in the middle: each task has one end, each line is valid."""
    rabbitmq.stop()
    worker = rabbits.worker("-c", "2", ready=False)
    worker.wait_for(rb"Cannot connect to")
    rabbitmq.start()
    worker.wait_for(rb"celery@\S+ ready", timeout=60)
    sent = rabbits.publish(*ALL[:4])
    finished(worker, 5)
    rabbitmq.restart()
    wait_until(
        lambda: len(re.findall(rb"Connected to amqp", worker.stdout)) >= 2,
        lambda: worker.stdout.decode(),
        60,
    )
    rabbits.publish("app.add.delay(3, 4)", sent="after-1")
    finished(worker, 6)
    time.sleep(0.5)
    ended = finished(worker, 6)
    output = worker.stop()
    said = lines(output.stdout) + lines(output.stderr)

    assert output.returncode == 0
    names = [(line["correlation_id"], line["task_name"], line["outcome"]) for line in ended]
    assert Counter(names) == {
        (SENT, "app.add", "ok"): 1,
        (SENT, "app.fails", "server_error"): 1,
        (SENT, "app.flaky", "server_error"): 1,
        (SENT, "app.flaky", "ok"): 1,
        (SENT, "app.rejects", "rejected"): 1,
        ("after-1", "app.add", "ok"): 1,
    }
    assert any("obskit.internal" in line["message"] for line in said) is False
    [script] = [line for line in sent if line["message"] == "task finished"]
    assert script["calls"] == 4


@pytest.mark.slow
def test_a_sender_without_a_broker_knows_whose_fault_it_is(rabbits, rabbitmq):
    """The error is Celery's own; the line names the broker, and never its password."""
    rabbitmq.stop()
    rabbits.folder.joinpath("publish.py").write_text(
        "import app, obskit\n"
        "app.app.conf.broker_transport_options = {'max_retries': 1, 'interval_start': 0}\n"
        "with obskit.unit_of_work('sell', 'order-4711'):\n"
        "    app.add.apply_async((1, 2), retry=False)\n"
    )
    done = rabbits.python("publish.py").wait()
    [line] = [one for one in lines(done.stdout) if one["message"] == "task finished"]

    assert done.returncode == 1
    assert (line["outcome"], line["dependency"]) == ("dependency", f"127.0.0.1:{rabbitmq.port}")
    assert line["error_type"] == "kombu.exceptions.OperationalError"
    assert b"guest:guest" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_fleet_may_be_half_bare(rabbits):
    """Tasks sent by us run in a bare worker, and those of a bare sender in ours."""
    bare = rabbits.worker("-c", "1", bare=True)
    rabbits.publish("app.add.delay(1, 2)", "app.flaky.delay()")
    bare.wait_for(rb"app\.add\[\S+\] succeeded")
    bare.wait_for(rb"app\.flaky\[\S+\] succeeded")
    bare.stop()
    ours = rabbits.worker("-c", "1")
    rabbits.publish("app.add.delay(1, 2)", "app.flaky.delay()", "app.killed.delay()", bare=True)
    ended = finished(ours, 4)
    said = spoken(ours)
    ours.stop()
    flaky = [line for line in ended if line["task_name"] == "app.flaky"]

    assert [line["correlation_source"] for line in ended[:2]] == ["message", "message"]
    assert len({line["correlation_id"] for line in flaky}) == 1
    assert len({line["correlation_id"] for line in ended}) == 3
    assert not any(line.get("lc_broken") for line in said)
    for line in ended:
        about = [
            one["correlation_id"]
            for one in said
            if one["message"].startswith(f"Task {line['task_name']}[{line['task_id']}]")
        ]
        assert set(about) == {line["correlation_id"]}
    [killed] = [line for line in ended if line["task_name"] == "app.killed"]
    [lost] = [line for line in said if "WorkerLostError" in line["message"]]
    [last_words] = [line for line in said if line["message"] == "about to die"]
    assert killed["correlation_id"] == lost["correlation_id"] == last_words["correlation_id"]


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["embedded", "alone"])
def test_beat_begins_an_operation_each_time(fleet, shape):
    """In a process of its own, or within a worker."""
    if shape == "embedded":
        worker = beat = fleet.worker("-c", "1", "-B")
    else:
        worker = fleet.worker("-c", "1")
        beat = fleet.python("-m", "celery", "-A", "app", "beat", "-l", "info", capture="file")
    ended = finished(worker, 2)
    due = [
        line for line in spoken(beat) if line["message"].startswith("Scheduler: Sending due task")
    ]
    if beat is not worker:
        beat.stop()
    worker.stop()

    assert len({line["correlation_id"] for line in due}) == len(due) >= 2
    assert {line["correlation_source"] for line in due} == {"schedule"}
    assert {line["correlation_id"] for line in ended} <= {line["correlation_id"] for line in due}


@pytest.mark.slow
def test_init_in_the_application_is_enough(fleet):
    """Without `obskit run` too; what is said before belongs to Celery."""
    first = 'import obskit; obskit.init("shop", metrics_port="off")'
    fleet.folder.joinpath("app.py").write_text(APP.format(first=first))
    worker = fleet.worker("-c", "1", bare=True)
    fleet.publish("app.add.delay(1, 2)", "app.fails.delay()", bare=True)
    ended = finished(worker, 2)
    output = worker.stop()

    assert {line["correlation_id"] for line in ended} == {SENT}
    assert {line["service"] for line in ended} == {"shop"}
    assert all(line.startswith(b"{") for line in output.lines)


@pytest.mark.slow
@pytest.mark.parametrize(("level", "lowest"), [("warning", 30), ("error", 40)])
def test_the_level_of_the_worker_stays_its_own(fleet, level, lowest):
    """Only what its `--loglevel` lets through is a line, beside our own summaries."""
    worker = fleet.worker("-P", "solo", level=level, ready=False)
    fleet.publish("app.add.delay(1, 2)")
    finished(worker, 1)
    worker.stop()
    numbers = {"info": 20, "warning": 30, "error": 40}
    said = [
        line
        for line in spoken(worker)
        if line["logger"] not in ("obskit", "obskit.summary", "stdout", "stderr", "py.warnings")
    ]

    assert all(numbers[line["level"]] >= lowest for line in said)
    assert any(line["message"] == "printed" for line in said) is (level == "warning")


@pytest.mark.slow
def test_children_leave_their_spans_and_counts(fleet, zipkin, free_port):
    """Each of them ends after one task, by `os._exit`, and one is killed."""
    port = free_port()
    fleet.env |= {
        "OBSKIT_METRICS_PORT": str(port),
        "OBSKIT_ZIPKIN": zipkin.url,
        "OBSKIT_SERVICE": f"celery-{os.getpid()}",
    }
    worker = fleet.worker("-c", "2", "--max-tasks-per-child", "1")
    fleet.publish(*["app.add.delay(1, 2)"] * 6, "app.killed.delay()")
    ended = finished(worker, 7)
    page = _wait_for_page(port, 'duration_seconds_count{outcome="ok",task_name="app.add"} 6.0')
    trace_id = ended[0]["trace_id"]
    spans = zipkin.trace(trace_id, until=lambda rows: len(rows) >= 15)
    worker.stop()
    kinds = Counter((span.get("kind"), span["name"]) for span in spans)

    assert 'duration_seconds_count{outcome="server_error",task_name="app.killed"} 1.0' in page
    assert kinds["CONSUMER", "app.add"] == 6
    assert kinds["CONSUMER", "app.killed"] == 1
    assert kinds["PRODUCER", "publish tasks"] == 7
    by_id = {span["id"]: span for span in spans}
    for span in spans:
        if span.get("kind") == "CONSUMER":
            assert by_id[span["parentId"]]["kind"] == "PRODUCER"
    assert "obskit_internal_errors_total{" not in page


def _wait_for_page(port, wanted):
    """Ask for the metrics until *wanted* is among them."""
    page = ""

    def there():
        nonlocal page
        try:
            with observation.suppress():
                answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5)
                page = answer.read().decode()
        except OSError:
            return False
        return wanted in page

    wait_until(there, lambda: page, 20)
    return page


@pytest.mark.slow
def test_a_worker_that_is_told_to_go_leaves_no_process(fleet):
    """Cold, while a task runs: as fast as without us."""
    worker = fleet.worker("-c", "1")
    fleet.publish("app.slow.delay()")
    wait_lines(worker, 1, logger="celery.worker.strategy")
    time.sleep(0.5)
    output = worker.stop(signal.SIGQUIT)

    assert json.loads(output.lines[0])["message"] == "process started"
    assert not [line for line in output.lines if not line.startswith(b"{")]
