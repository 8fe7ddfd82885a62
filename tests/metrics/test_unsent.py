"""What waits in a process that is killed is counted by those who are left."""

import json
import os
import struct
import sys

import pytest

from obskit import health
from obskit.metrics import unsent
from obskit.metrics.family import Family, Holder
from tests.metrics.conftest import read
from tests.metrics.test_workers import run

__all__ = ["run"]

KILLED = 'obskit_lost_total{reason="killed",signal="spans"}'


class Known(Family):
    """A family whose holders are as told."""

    def __init__(self, folder, *holders):
        super().__init__("none")
        self.__dict__["folder"] = folder
        self.pids = dict(holders)

    def holders(self):
        """Iterate over those that live."""
        yield from (Holder(slot, pid, True) for slot, pid in self.pids.items())


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    """Begin and end in memory, with nothing that waits."""
    monkeypatch.setattr(health, "unsent", [0.0])


def write(folder, slot, waiting, lost, pid):
    """Write the file of a slot."""
    folder.joinpath(f"s{slot}.unsent").write_bytes(struct.pack("ddd", waiting, lost, pid))


def test_what_waits_in_a_living_process_is_not_lost(tmp_path):
    """What its predecessors have taken along is."""
    write(tmp_path, 0, 5, 2, 100)

    assert unsent.lost(Known(tmp_path, (0, 100))) == 2
    assert unsent.lost(Known(tmp_path)) == 7


def test_the_next_holder_counts_what_the_last_one_had(tmp_path):
    """Before and after it has begun the sum is the same."""
    health.unsent[0] = 3.0
    write(tmp_path, 0, 5, 2, 100)
    family = Known(tmp_path, (0, os.getpid()))
    before = unsent.lost(family)
    unsent.begin(tmp_path, 0)
    health.unsent[0] += 1.0

    assert before == unsent.lost(family) == 7
    assert struct.unpack("ddd", (tmp_path / "s0.unsent").read_bytes()) == (4, 7, os.getpid())
    family.pids.clear()
    assert unsent.lost(family) == 11


def test_who_goes_on_in_another_place_takes_the_number_along(tmp_path):
    """To another slot, or to memory: what was left behind waits for nobody."""
    for slot in (0, 0, 1):
        unsent.begin(tmp_path, slot)
        health.unsent[0] += 1.0
    assert unsent.lost(Known(tmp_path, (1, os.getpid()))) == 0
    unsent.end()

    assert health.unsent == [3.0]
    assert unsent.lost(Known(tmp_path)) == 0


def test_a_slot_that_changes_hands_while_it_is_read_counts_once(tmp_path):
    """Who dies, and who comes, between two looks neither adds nor takes away."""

    class Changing(Known):
        def holders(self):
            write(tmp_path, 0, 4, 7, 200)
            yield Holder(0, 200, True)

    write(tmp_path, 0, 5, 2, 100)

    assert unsent.lost(Changing(tmp_path)) == 7


def test_a_file_that_is_broken_keeps_nothing_else_from_the_page(run):
    """It is counted as an error of ours."""
    told = run("""
os.waitpid(child(serve), 0)
folder = metrics.status()["folder"]
open(os.path.join(folder, "s0.unsent"), "wb").write(b"x")
tell(page=read(page()), errors=list(health.internal_errors))
""")

    assert told["page"]["obskit_workers"] == 0
    assert told["errors"] == ["metrics.unsent"]


SERVICE = """
import json, multiprocessing, os, signal, sys, time
import obskit
from opentelemetry import trace

def work(count):
    for _ in range(count):
        with obskit.observe("pooled"):
            pass
    return count

def stay(count, ready):
    # No metric is counted by these.
    for _ in range(count):
        with trace.get_tracer("mine").start_as_current_span("step"):
            pass
    ready.send(count)
    time.sleep(60)

if __name__ == "__main__":
    from obskit import metrics
    context = multiprocessing.get_context({method!r})
    produced, pages = 0, []
    for way in ("kill", "kill", "terminate", "kill"):
        told, ready = context.Pipe(duplex=False)
        process = context.Process(target=stay, args=(7, ready))
        process.start()
        produced += told.recv()
        getattr(process, way)()
        process.join()
        pages.append(metrics.render()[1].decode())
    with context.Pool(2) as pool:
        produced += sum(pool.map(work, [3] * 10, chunksize=1))
    pages.append(metrics.render()[1].decode())
    obskit.shutdown()
    with open("told.json", "w") as file:
        json.dump([produced, pages], file)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("is_away", [False, True], ids=["there", "away"])
def test_sent_and_counted_is_what_was_made(
    zipkin, start_process, obskit_command, tmp_path, method, is_away
):
    """Killed, terminated, and as workers of a pool: their parent may end them while they send."""
    path = tmp_path / "service.py"
    path.write_text(SERVICE.format(method=method), encoding="utf-8")
    service = f"killed-{method}-{os.getpid()}"
    env = {
        "OBSKIT_METRICS_PORT": "off", "OBSKIT_LOG_STREAM": "/dev/null", "OBSKIT_SERVICE": service,
        "OBSKIT_ZIPKIN": "http://127.0.0.1:9" if is_away else zipkin.url, "TMPDIR": str(tmp_path),
    }  # fmt: skip
    command = (*obskit_command, "run", "--", sys.executable, str(path))
    start_process(*command, env=env, cwd=tmp_path).wait(timeout=30)
    produced, pages = json.loads((tmp_path / "told.json").read_text())
    lost = [
        sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith("obskit_lost"))
        for page in pages
    ]
    sent = [] if is_away else [span["name"] for span in zipkin.spans(service)]

    assert lost == sorted(lost)
    assert read(pages[0])[KILLED] == 7
    assert sent.count("step") + lost[-2] == 4 * 7
    assert produced == 4 * 7 + 30 <= len(sent) + lost[-1]
    assert sent or produced == lost[-1]


def test_a_child_that_counts_nothing_else_counts_its_losses(run):
    """Who is asked for the metrics hears of them."""
    told = run("""
from obskit.metrics import catalogue
os.waitpid(child(lambda: health.lose("spans", "terminated", 3)), 0)
assert not catalogue.is_loaded()
tell(page=read(page()))
""")

    assert told["page"]['obskit_lost_total{reason="terminated",signal="spans"}'] == 3
