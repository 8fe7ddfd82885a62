"""Several processes that count as one service."""

import json
import sys

import pytest

from tests.metrics.conftest import SET_UP
from tests.source import ROOT

REQUESTS = (
    'http_server_requests_total{caller="",dependency="",http_request_method="GET",'
    'http_response_status_code="200",http_route="/cds/{id}",outcome="ok",synthetic="false"}'
)

CHILDREN = """
from tests.metrics.conftest import read

def child(work, ending=lambda: os._exit(0)):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            ending()
    return pid

def tell(**facts):
    print(json.dumps(facts), flush=True)
"""


@pytest.fixture
def run(script, tmp_path):
    """Give what runs code in a process with children; it returns what that tells at its end."""

    def told(source, env=None):
        path = f"{ROOT / 'src'}:{ROOT}"
        env = {"TMPDIR": str(tmp_path), "PYTHONPATH": path, **(env or {})}
        output = script(CHILDREN + source, env)
        return json.loads(output.stdout.splitlines()[-1])

    return told


def test_a_process_alone_makes_no_file(run, tmp_path):
    """Numbers are kept in memory, nothing is written to the disk."""
    told = run("serve()\ntell(mode=metrics.status()['mode'], page=read(page()))")

    assert told["mode"] == "single"
    assert told["page"][REQUESTS] == 1
    assert "obskit_workers" not in told["page"]
    assert list(tmp_path.iterdir()) == []


def test_forked_children_are_added_up(run, tmp_path):
    """Parent, children and those that have ended count once each; the folder goes at the end."""
    told = run("""
serve()
for _ in range(3):
    os.waitpid(child(lambda: [serve() for _ in range(10)]), 0)
serve()
tell(page=read(page()), status=metrics.status(), errors=health.internal_errors)
""")

    assert told["page"][REQUESTS] == 32
    assert told["page"]["obskit_workers"] == 1
    assert told["status"]["mode"] == "prefork"
    assert told["errors"] == {}
    (base,) = tmp_path.iterdir()
    assert list(base.iterdir()) == []


def test_any_child_answers_for_all(run):
    """Whoever is asked says the same."""
    told = run("""
reader, writer = os.pipe()
serve()
def work():
    serve()
    # The parent puts its numbers where children find them after the fork.
    deadline = time.monotonic() + 10
    name = "http_server_requests_total{"
    while not (said := page().partition(name)[2].splitlines()[0]).endswith(" 2.0"):
        assert time.monotonic() < deadline, said
    os.write(writer, json.dumps(read(page())).encode())
os.waitpid(child(work), 0)
tell(child=json.loads(os.read(reader, 10**6)), parent=read(page()))
""")

    assert told["child"][REQUESTS] == told["parent"][REQUESTS] == 2


def test_who_is_killed_leaves_its_counts_and_nothing_else(run):
    """Killed in the middle of a request a hundred times: counts exact, gauge 0, files few."""
    told = run("""
def work():
    serve()
    observation.start(conventions.http_server("GET", "/", {}))
serve()
for _ in range(100):
    os.waitpid(child(work, lambda: os.kill(os.getpid(), signal.SIGKILL)), 0)
found = read(page())
folder = metrics.status()["folder"]
tell(page=found, files=sorted(os.listdir(folder)))
""")

    assert told["page"][REQUESTS] == 101
    assert told["page"]['http_server_active_requests{http_request_method="GET"}'] == 0
    assert len(told["files"]) <= 10, told["files"]


def test_killed_at_any_moment_nothing_is_torn(run):
    """Between received and sent is what the counter says, and histogram and sum agree."""
    told = run("""
import random
done, started = 0, 0
serve()
for round in range(25):
    reader, writer = os.pipe()
    def work():
        while True:
            os.write(writer, b"s")
            serve()
            os.write(writer, b"d")
    pid = child(work)
    os.close(writer)
    time.sleep(random.uniform(0.0, 0.02))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    said = b""
    while chunk := os.read(reader, 65536):
        said += chunk
    os.close(reader)
    started += said.count(b"s")
    done += said.count(b"d")
tell(page=read(page()), done=done + 1, started=started + 1, errors=health.internal_errors)
""")

    assert told["done"] <= told["page"][REQUESTS] <= told["started"]
    durations = [
        value
        for name, value in told["page"].items()
        if name.startswith("http_server_request_duration_seconds_count")
    ]
    assert told["done"] <= sum(durations) <= told["started"]
    assert told["page"]['http_server_active_requests{http_request_method="GET"}'] == 0
    assert told["errors"] == {}


def test_a_fork_in_the_middle_of_counting_sticks_nowhere(run):
    """Threads that count while the process forks harm neither side."""
    told = run("""
stop = threading.Event()
counts = [0, 0, 0]
def count(which):
    while not stop.is_set():
        serve(route=f"/{which}/{counts[which] % 40}")
        counts[which] += 1
threads = [threading.Thread(target=count, args=(n,)) for n in range(3)]
for thread in threads: thread.start()
for _ in range(30):
    pid = child(lambda: [serve() for _ in range(5)])
    assert os.waitpid(pid, 0)[1] == 0
stop.set()
for thread in threads: thread.join()
found = read(page())
total = sum(v for k, v in found.items() if k.startswith("http_server_requests_total"))
tell(total=total, expected=sum(counts) + 150, page=found)
""")

    assert told["total"] == told["expected"]
    assert told["page"][REQUESTS] == 150


def test_what_a_request_began_before_a_fork_is_the_parents(run):
    """A child that inherits a running request does not count its end."""
    told = run("""
work = conventions.http_server("GET", "/", {})
observation.start(work)
os.waitpid(child(lambda: (observation.end(work), serve())), 0)
observation.end(work)
found = read(page())
tell(total=sum(v for k, v in found.items() if k.startswith("http_server_requests_total")),
     active=found['http_server_active_requests{http_request_method="GET"}'])
""")

    assert told == {"total": 2, "active": 0}


def test_children_that_have_nothing_to_do_are_workers(run):
    """They count from their first moment until they end; a parent that serves nothing does not."""
    told = run("""
reader, writer = os.pipe()
def idle():
    os.close(writer)
    os.read(reader, 1)
children = [child(idle) for _ in range(3)]
first = read(page()).get("obskit_workers")
os.kill(children[0], signal.SIGKILL)
os.waitpid(children[0], 0)
second = read(page()).get("obskit_workers")
serve()
third = read(page())
os.close(writer)
for pid in children[1:]: os.waitpid(pid, 0)
tell(workers=[first, second, third["obskit_workers"], read(page())["obskit_workers"]],
     memory=sum(name.startswith("process_resident_memory_bytes") for name in third),
     errors=health.internal_errors)
""")

    assert told == {"workers": [3, 2, 3, 1], "memory": 3, "errors": {}}


def test_a_child_that_only_answers_scrapes_is_a_worker(run):
    """It has no number of its own, and is counted on its own page as on any other."""
    told = run("""
reader, writer = os.pipe()
def work():
    workers = sys.modules["obskit.metrics.workers"].current
    workers._let_go()  # as where it was started anew, not forked
    os.write(writer, json.dumps(read(page())).encode())
idle = child(lambda: time.sleep(60))
os.waitpid(child(work), 0)
os.kill(idle, signal.SIGKILL)
tell(page=json.loads(os.read(reader, 10**6)))
""")

    assert told["page"]["obskit_workers"] == 2


def test_a_parent_that_only_counts_for_itself_is_no_worker(run):
    """Its own counters, calls and jobs of the start are on the page; it still serves nothing."""
    told = run("""
from prometheus_client import Counter
started = Counter("started", "Starts")
started.inc()
work = conventions.http_client("GET", "http://settings/", carrier={})
observation.start(work)
observation.end(work)
reader, writer = os.pipe()
pid = child(lambda: (os.close(writer), os.read(reader, 1)))
found = read(page())
os.close(writer)
os.waitpid(pid, 0)
tell(workers=found["obskit_workers"], started=found["started_total"],
     called=sum(v for k, v in found.items() if k.startswith("http_client") and "_count" in k))
""")

    assert told == {"workers": 1, "started": 1, "called": 1}


def test_a_process_has_one_slot_whoever_asks_meanwhile(run):
    """A page that is rendered while the first numbers are counted takes no second one."""
    told = run("""
sys.setswitchinterval(1e-5)
workers = sys.modules["obskit.metrics.workers"]
def work():
    barrier = threading.Barrier(4)
    def count():
        barrier.wait()
        for _ in range(10): serve()
    def ask():
        barrier.wait()
        for _ in range(3): page()
    threads = [threading.Thread(target=what) for what in (count, ask, count, ask)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    mine = [one for one in workers.current.family.holders() if one.pid == os.getpid()]
    os._exit(len(mine))
codes = []
for _ in range(15):
    pid = child(work)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
tell(codes=codes, page=read(page()))
""")

    assert set(told["codes"]) == {1}
    assert told["page"][REQUESTS] == 15 * 20


def test_a_daemon_that_closes_all_descriptors_counts_exactly(run):
    """Nothing of its own files is written to or closed, and it finds another slot."""
    told = run("""
serve()
own = os.path.join(os.environ["TMPDIR"], "own")
def daemon():
    os.closerange(3, 100)
    files = [open(own, "w") for _ in range(20)]
    serve()
    os.waitpid(child(serve), 0)
    serve()
    for file in files:
        file.write("kept")
        file.flush()
pid = child(daemon)
assert os.waitpid(pid, 0)[1] == 0
tell(page=read(page()), own=open(own).read())
os.unlink(own)
""")

    assert told["own"] == "kept"
    assert told["page"][REQUESTS] == 4


def test_exemplars_of_all_processes_are_shown(run):
    """The latest that any process has kept is on the page."""
    told = run("""
serve()
os.waitpid(child(lambda: serve(status=500)), 0)
tell(page=page("application/openmetrics-text"))
""")
    named = [line for line in told["page"].splitlines() if " # {" in line]

    assert any('outcome="server_error"' in line for line in named)
    assert any('outcome="ok"' in line for line in named)
    assert all('trace_id="' in line for line in named)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_are_added_up(start_process, tmp_path, method):
    """However they are started, a pool's work is on the page of its parent."""
    path = tmp_path / "service.py"
    body = f"""
import multiprocessing
from tests.metrics.conftest import read
if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    processes = [context.Process(target=serve) for _ in range(3)]
    for process in processes: process.start()
    for process in processes: process.join()
    serve()
    print(json.dumps(read(page())))
"""
    path.write_text(SET_UP + body, encoding="utf-8")
    env = {
        "TMPDIR": str(tmp_path),
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        "OBSKIT_METRICS_PORT": "off",
    }
    output = start_process(sys.executable, str(path), env=env).wait(timeout=60)

    assert output.returncode == 0, output.stderr
    assert json.loads(output.stdout)[REQUESTS] == 4


UNUSABLE = {
    "absent": "import tempfile; tempfile.tempdir = '/proc/nothing'",
    "no locks": (
        "import errno\nfrom obskit.metrics import family\n"
        "def refuse(*_): raise OSError(errno.ENOLCK, 'No locks available')\n"
        "family.fcntl.flock = refuse"
    ),
    "full": (
        "import errno\nfrom obskit.metrics import pages\n"
        "def refuse(*_): raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "pages.os.posix_fallocate = refuse"
    ),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_without_a_folder_each_process_counts_for_itself(run, what):
    """That is said in the status and in the metrics; nothing is lost of this process."""
    told = run(f"""
{UNUSABLE[what]}
serve()
os.waitpid(child(serve), 0)
serve()
tell(page=read(page()), status=metrics.status(), errors=health.internal_errors)
""")

    assert told["page"][REQUESTS] == 2
    assert told["errors"]["metrics.workers"] >= 1
    (trouble,) = told["status"]["trouble"]
    assert trouble.startswith("this process is not added up with its siblings")


def test_a_disk_that_fills_up_later_harms_nothing(run):
    """What has a place already is counted on; what has none is counted in memory, and reported."""
    told = run("""
import errno
from obskit.metrics import pages
serve()
os.waitpid(child(serve), 0)
page()
def refuse(*_): raise OSError(errno.ENOSPC, 'No space left on device')
pages.os.posix_fallocate = refuse
for n in range(400): serve(route=f"/{n:0200}")
serve()
tell(page=read(page()), errors=health.internal_errors)
""")

    assert told["page"][REQUESTS] == 3
    assert told["errors"]["metrics.file"] > 0
    assert set(told["errors"]) <= {"metrics.file", "metrics.exemplar"}


def test_the_users_registry_stays_private(run):
    """A registry of his own says what it always said, and is on nobody else's page."""
    told = run("""
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
def own():
    registry = CollectorRegistry()
    gauge = Gauge("last_run", "Last run", registry=registry)
    gauge.inc(5)
    Counter("cds", "Discs", registry=registry).inc()
    return read(generate_latest(registry).decode())
before = own()
reader, writer = os.pipe()
os.waitpid(child(lambda: (serve(), own(), os.write(writer, json.dumps(own()).encode()))), 0)
tell(before=before, child=json.loads(os.read(reader, 9999)), after=own(), page=read(page()))
""")
    told["before"] = {k: v for k, v in told["before"].items() if "_created" not in k}

    assert told["before"] == {"last_run": 5, "cds_total": 1}
    for where in ("child", "after"):
        assert {k: v for k, v in told[where].items() if "_created" not in k} == told["before"]
    assert not {"last_run", "cds_total"} & set(told["page"])


def test_the_users_metrics_are_added_up(run):
    """Counters of all processes are one number; a gauge says which worker it is of."""
    told = run("""
from prometheus_client import Counter, Gauge
sold, stock = Counter("cds_sold", "Discs", ["genre"]), Gauge("stock", "Stock")
sold.labels("jazz").inc()
def work():
    sold.labels("jazz").inc(2)
    stock.set(7)
os.waitpid(child(work), 0)
tell(page=read(page()))
""")
    page = told["page"]

    assert page['cds_sold_total{genre="jazz"}'] == 3
    assert {name for name in page if name.startswith("stock")} <= {
        'stock{pid="s0"}', 'stock{pid="s1"}'
    }  # fmt: skip


def test_the_users_own_set_up_for_several_processes_keeps_working(script, tmp_path):
    """With PROMETHEUS_MULTIPROC_DIR all numbers, ours too, are where the user wants them."""
    output = script(
        CHILDREN.replace("from tests.metrics.conftest import read", "")
        + """
from prometheus_client import CollectorRegistry, Counter, generate_latest, multiprocess
sold = Counter("cds_sold", "Discs")
sold.inc()
serve()
os.waitpid(child(lambda: (sold.inc(), serve())), 0)
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
print(json.dumps([generate_latest(registry).decode(), page(), metrics.status()]))
""",
        {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
    )
    theirs, ours, status = json.loads(output.stdout)

    for page in (theirs, ours):
        assert "cds_sold_total 2.0" in page
        assert f"{REQUESTS} 2.0" in page
    assert "obskit_build_info" in ours
    assert "prometheus_client's own" in status["mode"]


def test_a_child_with_another_name_counts_for_itself(run):
    """A service that starts another one is not added up with it."""
    told = run("""
import subprocess
serve()
os.waitpid(child(serve), 0)
code = '''
from obskit import settings, metrics
metrics.configure(settings.resolve({"service": %r}))
print(metrics.status()["folder"])
'''
folders = [
    subprocess.check_output([sys.executable, "-c", code % name], text=True).strip()
    for name in ("shop", "warehouse")
]
tell(mine=metrics.status()["folder"], folders=folders)
""")

    assert told["folders"][0] == told["mine"]
    assert told["folders"][1] != told["mine"]
