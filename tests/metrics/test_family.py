"""Who belongs together, and who holds which slot."""

import os
import subprocess
import sys
import tempfile

import pytest

from obskit.metrics import family, locks
from obskit.metrics.family import Family, Holder, name_for, owner, take_slot


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Keep folders of families in a place of the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def mine():
    """Give a family whose head is this process, entered."""
    made = Family(name_for("shop", ""))
    made.enter()
    yield made
    made.forget()


def dead_name(service="shop"):
    """Return the name of a family whose head has ended."""
    child = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    parts = name_for(service, "").split("-")
    return "-".join([parts[0], child.stdout.decode().strip(), "1", *parts[3:]])


def test_a_process_alone_is_its_own_head():
    """Nobody knows its family's name but those it tells; services are told apart."""
    name = name_for("shop", "")

    assert family.NAME.fullmatch(name)
    assert owner(name) == os.getpid()
    assert name.split("-")[0] != name_for("other", "").split("-")[0]


def test_a_child_of_the_same_service_shares_the_work():
    """Another service that is started by this one counts for itself."""
    parent = name_for("shop", "")

    assert name_for("shop", parent) == parent
    assert name_for("warehouse", parent) != parent


def test_the_dead_bequeath_nothing():
    """A name in the environment whose head is gone is not joined."""
    assert name_for("shop", dead_name()) != dead_name()
    for nonsense in ("", "x", "../../etc", "0" * 300, "deadbeef-1-2-3/../.."):
        assert owner(nonsense) is None
        assert owner(name_for("shop", nonsense)) == os.getpid()


def test_nothing_is_made_before_it_is_needed(temporary):
    """A process that stays alone leaves no trace."""
    made = Family(name_for("shop", ""))

    assert list(made.workers()) == []
    assert made.files() == made.exemplar_files() == []
    assert not made.has_slots()
    assert list(temporary.iterdir()) == []


def test_the_lowest_free_slot_is_taken(mine):
    """Who ends makes room for the next, so there are never more than lived at once."""
    first, second = take_slot(mine.folder), take_slot(mine.folder)
    assert (first[0], second[0]) == (0, 1)
    assert list(mine.workers()) == [(0, os.getpid()), (1, os.getpid())]
    assert mine.has_slots()
    first[1].close()
    assert [slot for slot, _ in mine.workers()] == [1]
    third = take_slot(mine.folder)
    assert third[0] == 0
    second[1].close()
    third[1].close()


def test_who_only_looks_after_workers_is_none(mine):
    """A head that serves nothing holds its slot, and its numbers count, until it signs anew."""
    number, lock = take_slot(mine.folder, idle=True)
    mine.folder.joinpath("gauge_livesum_s0.db").touch()
    assert list(mine.holders()) == [Holder(number, os.getpid(), works=False)]
    assert list(mine.workers()) == []
    assert len(mine.files()) == 1
    lock.sign()
    assert list(mine.workers()) == [(number, os.getpid())]
    lock.close()


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("counter_s0.db", True),
        ("gauge_sum_s0.db", True),
        ("gauge_mostrecent_s0.db", True),
        ("gauge_livesum_s0.db", False),
        ("gauge_liveall_s0.db", False),
        ("gauge_all_s0.db", False),
        ("gauge_livesum_s01.db", True),
    ],
)
def test_what_was_true_of_a_dead_process_alone_goes_with_it(mine, name, stays):
    """The next holder goes on with counts, and begins anew with what was running."""
    path = mine.folder / name
    path.touch()
    number, lock = take_slot(mine.folder)
    lock.close()

    assert number == 0
    assert path.exists() is stays


def test_live_numbers_of_slots_without_holder_do_not_count(mine):
    """Whoever was killed serves no request any more."""
    number, lock = take_slot(mine.folder)
    names = {"counter_s0.db", "gauge_livesum_s0.db", "gauge_livesum_s1.db", "counter_s1.db"}
    for name in names:
        mine.folder.joinpath(name).touch()

    assert {path.name for path in mine.files()} == names - {"gauge_livesum_s1.db"}
    lock.close()
    assert {path.name for path in mine.files()} == {"counter_s0.db", "counter_s1.db"}
    assert number == 0


def test_the_last_one_out_takes_the_folder_away(mine):
    """As long as anybody holds it, it stays."""
    other = Family(mine.name)
    other.enter()
    mine.leave()
    assert mine.folder.exists()
    other.leave()
    assert not mine.folder.exists()


def test_those_that_died_out_are_swept_away(mine, temporary):
    """Folders of dead families go, of living ones stay, and nothing else is touched."""
    base = mine.folder.parent
    dead, held = base / dead_name(), base / dead_name("other")
    for folder in (dead, held):
        folder.mkdir()
        folder.joinpath("counter_s0.db").touch()
    base.joinpath("a file").touch()
    holder = locks.hold(held)
    mine.wipe_strangers()
    holder.close()

    assert not dead.exists()
    assert held.exists()
    assert mine.folder.exists()
    assert base.joinpath("a file").exists()


def test_a_folder_of_somebody_else_is_not_used(temporary):
    """Nobody can prepare a folder for us, or a link to one."""
    made = Family(name_for("shop", ""))
    base = made.folder.parent
    base.mkdir()
    base.chmod(0o777)
    made_private = made.is_open
    if not made_private:
        with pytest.raises(PermissionError, match="not a folder of this user alone"):
            made.enter()
    base.rmdir()
    temporary.joinpath("elsewhere").mkdir()
    base.symlink_to(temporary / "elsewhere")
    with pytest.raises(OSError):
        made.enter()
    assert list(temporary.joinpath("elsewhere").iterdir()) == []


def test_a_read_only_system_is_met_with_memory(monkeypatch):
    """Where there is no folder for temporary files, shared memory does."""

    def refuse():
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr(tempfile, "gettempdir", refuse)

    assert str(Family(name_for("shop", "")).folder).startswith("/dev/shm/obskit-")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_process_of_multiprocessing_is_a_worker(start_process, method):
    """However it was started, it knows that it shares the work of its parent."""
    source = f"""
import multiprocessing
from obskit.metrics import family

def tell(queue):
    queue.put(family.is_worker())

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    queue = context.SimpleQueue()
    process = context.Process(target=tell, args=(queue,))
    process.start()
    print(family.is_worker(), queue.get())
    process.join()
"""
    process = start_process(sys.executable, "-", stdin=source.encode())
    if method != "fork":
        path = os.path.join(tempfile.gettempdir(), "tell.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(source)
        process = start_process(sys.executable, path)

    assert process.wait().stdout == b"False True\n"


def test_a_plain_fork_is_a_worker(start_process):
    """Parent and child run the same command."""
    source = (
        "import os\nfrom obskit.metrics import family\nchild = os.fork()\n"
        "if child: os.waitpid(child, 0)\n"
        "else: print(family.is_worker(), flush=True); os._exit(0)\n"
    )

    assert start_process(sys.executable, "-c", source).wait().stdout == b"True\n"
