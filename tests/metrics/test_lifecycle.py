"""Metrics begin and end, and go through forks."""

import json

import pytest

from obskit import settings
from obskit.metrics import lifecycle, workers
from tests.services.ports import accepts, wait_until


def test_nothing_is_opened_where_it_is_off(configured):
    """No port, no thread, no file."""
    configured(metrics_port="off")
    lifecycle.serve(settings.resolve({"metrics_port": "off"}))
    found = lifecycle.status()

    assert found["address"] is None
    assert found["slot"] is None
    assert found["mode"] == "single"
    assert found["trouble"] == []


def test_the_family_is_left_to_children_until_the_end(configured):
    """Processes that we start know whom to join; after shutdown they do not."""
    configured()
    assert settings.inherited_family() == workers.current.family.name
    lifecycle.shutdown()

    assert settings.inherited_family() == ""


def test_a_port_that_is_switched_off_is_closed(configured, free_port, get):
    """Settings may change while the process runs."""
    port = free_port()
    configured()
    lifecycle.serve(settings.resolve({"metrics_port": str(port)}))
    wait_until(lambda: accepts(port), lambda: f"{lifecycle.status()}", 30)
    assert get(port).status == 200
    lifecycle.serve(settings.resolve({"metrics_port": "off"}))

    assert not accepts(port)


FORKS = """
import urllib.request

def scrape():
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=10) as answer:
        return answer.read().decode()

def scraped(condition, timeout=30):
    deadline = time.monotonic() + timeout
    while True:
        try:
            found = scrape()
            if condition(found):
                return found
        except OSError:
            found = ""
        assert time.monotonic() < deadline, found
        time.sleep(0.02)

PORT = int(os.environ["OBSKIT_METRICS_PORT"])
"""


@pytest.fixture
def run(script, free_port, tmp_path):
    """Give what runs code with a port; it returns what that prints last."""

    def told(source):
        env = {"OBSKIT_METRICS_PORT": str(free_port()), "TMPDIR": str(tmp_path)}
        return json.loads(script(FORKS + source, env).stdout.splitlines()[-1])

    return told


def test_a_process_that_forks_goes_on_serving(run, tmp_path):
    """The parent has the port, its children's counts are on its page, and the folder goes."""
    told = run("""
serve()
scraped(lambda page: "http_server_requests_total" in page)
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        serve()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
page = scraped(lambda page: True)
print(json.dumps([one for one in page.splitlines() if one.startswith("http_server_requests")]))
""")

    assert told[0].endswith(" 21.0")
    assert [list(base.iterdir()) for base in tmp_path.iterdir()] == [[]]


def test_threads_may_fork_at_the_same_time(run):
    """Each gives back the locks that it took, so nobody waits for them for ever."""
    told = run("""
import threading, warnings
from obskit import health
from obskit.metrics import catalogue, values
warnings.simplefilter("ignore")
def fork():
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
threads = [threading.Thread(target=fork) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
free = [catalogue.before_fork(5.0), values.before_fork(5.0)]
print(json.dumps([free, health.internal_errors]))
""")

    assert told == [[True, True], {}]


def test_another_takes_over_when_the_holder_is_killed(run):
    """Two children of a process that serves nothing: the port moves from one to the other."""
    told = run("""
lifecycle = sys.modules["obskit.metrics.lifecycle"]
def work():
    serve()
    while True:
        time.sleep(0.05)
        serve()
children = []
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        work()
    children.append(pid)
lifecycle.server.stop()
scraped(lambda page: "obskit_workers 2.0" in page)
from pathlib import Path
lock = Path(metrics.status()["folder"], "port.lock")
holder = int(lock.read_text())
assert holder in children, (holder, children, os.getpid())
os.kill(holder, signal.SIGKILL)
os.waitpid(holder, 0)
page = scraped(lambda page: "http_server_requests_total{" in page)
other = int(lock.read_text())
for pid in children:
    if pid != holder:
        os.kill(pid, signal.SIGKILL)
print(json.dumps([holder != other, other in children]))
""")

    assert told == [True, True]


def test_a_service_without_traffic_is_scraped(start_process, free_port, get):
    """About a second after its start, without a single unit of work."""
    import sys

    from tests.metrics.conftest import SET_UP

    port = free_port()
    source = SET_UP + "print('ready', flush=True)\ntime.sleep(60)"
    env = {"OBSKIT_METRICS_PORT": str(port)}
    service = start_process(sys.executable, "-c", source, env=env)
    service.wait_for(b"ready")
    wait_until(lambda: accepts(port), lambda: service.stderr.decode(), 30)

    assert get(port).status == 200


def test_the_port_is_left_to_an_application_that_opens_it_at_its_start(script, free_port):
    """One warning names the setting, nothing counts as an error, and the page has another way."""
    port = free_port()
    output = script(
        """
import logging, socket, time
logging.basicConfig(format="%(levelname)s %(name)s %(message)s")
time.sleep(0.3)
listener = socket.create_server(("127.0.0.1", int(os.environ["OBSKIT_METRICS_PORT"])))
serve()
lifecycle = sys.modules["obskit.metrics.lifecycle"]
deadline = time.monotonic() + 30
while not lifecycle.server.trouble:
    assert time.monotonic() < deadline
    time.sleep(0.01)
time.sleep(1.2)
print(json.dumps([health.internal_errors, "http_server_requests_total{" in page()]))
""",
        {"OBSKIT_METRICS_PORT": str(port)},
    )
    said = [line for line in output.stderr.decode().splitlines() if "obskit.metrics" in line]

    assert json.loads(output.stdout) == [{}, True]
    why = f"metrics are not served on 127.0.0.1:{port}: Address already in use"
    advice = "set OBSKIT_METRICS_PORT to a port of this service's own, or to off"
    assert said == [f"WARNING obskit.metrics {why}; {advice}"]


def test_two_services_of_the_same_name_do_not_mix(start_process, free_port, tmp_path):
    """On one host, started by one user: each has a folder and a port of its own."""
    import sys

    from tests.metrics.conftest import SET_UP

    source = (
        SET_UP
        + FORKS
        + """
for _ in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        serve()
        os._exit(0)
    os.waitpid(pid, 0)
page = scraped(lambda page: "http_server_requests_total{" in page)
print("ready", page.partition("http_server_requests_total{")[2].splitlines()[0], flush=True)
sys.stdin.read()
time.sleep(30)
"""
    )
    services = [
        start_process(
            sys.executable,
            "-c",
            source,
            str(count),
            env={"OBSKIT_METRICS_PORT": str(free_port()), "TMPDIR": str(tmp_path)},
        )
        for count in (3, 5)
    ]

    for service, count in zip(services, (3, 5), strict=True):
        assert service.wait_for(rb"ready .* ([0-9.]+)\n", 30)[1] == b"%d.0" % count


def test_old_folders_do_not_pile_up(start_process, tmp_path):
    """A service that is killed leaves a folder; its next start counts anew and takes it away."""
    import sys

    from tests.metrics.conftest import SET_UP

    source = (
        SET_UP
        + """
pid = os.fork()
if pid == 0:
    serve()
    os._exit(0)
os.waitpid(pid, 0)
line = [line for line in page().splitlines() if line.startswith("http_server_requests_total{")]
print("told", line[0], flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    env = {"OBSKIT_METRICS_PORT": "off", "TMPDIR": str(tmp_path)}
    for ending in ("killed", "killed", "killed", "well"):
        output = start_process(sys.executable, "-c", source, ending, env=env).wait()
        assert output.stdout.splitlines()[-1].endswith(b" 1.0")

    (base,) = tmp_path.iterdir()
    assert list(base.iterdir()) == []
