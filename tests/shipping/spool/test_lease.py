"""One process at most has the lease, and nobody keeps it beyond its life."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from obskit.shipping.spool import Lease
from obskit.shipping.spool import lease as room

# Python warns of it since 3.12; that it does no harm here is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

HOLD = (
    "import sys; from obskit.shipping.spool import Lease; one = Lease(sys.argv[1]);"
    "print(one.acquire(), flush=True); sys.stdin.read()"
)


def test_there_is_one_holder(folder):
    """The second one gets it when the first one lets go."""
    first, second = Lease(folder), Lease(folder)

    assert (first.acquire(), second.acquire()) == (True, False)
    assert (first.held, second.held, second.trouble) == (True, False, "")
    assert first.acquire()
    first.release()
    assert (second.acquire(), first.held) == (True, False)
    second.release()


def test_a_killed_holder_has_it_no_longer(folder):
    """Death by SIGKILL frees it."""
    command = [sys.executable, "-c", HOLD, folder]
    with subprocess.Popen(command, stdin=-1, stdout=-1) as other:
        assert other.stdout.readline() == b"True\n"
        one = Lease(folder)
        assert not one.acquire()
        other.send_signal(signal.SIGKILL)
        other.wait(5)

    assert one.acquire()
    one.release()


def test_a_child_has_none(folder):
    """A fork does not double it, and a child that lives longer does not keep it."""
    lease = Lease(folder)
    assert lease.acquire()
    hold, go = os.pipe()
    child = os.fork()
    if child == 0:
        bad = lease.held or lease.acquire() or Lease(folder).acquire()
        lease.release()
        os.close(go)
        os.read(hold, 1)
        os._exit(bad)
    os.close(hold)
    assert lease.held
    lease.release()
    assert lease.acquire()
    os.close(go)
    assert os.waitpid(child, 0)[1] == 0
    assert lease.held
    lease.release()


def test_it_is_lost_with_its_folder(folder):
    """Who holds a file that is not there any more holds nothing."""
    first, second = Lease(folder), Lease(folder)
    first.acquire()
    shutil.rmtree(folder)

    assert second.acquire()
    assert not first.held
    assert not first.acquire()
    second.release()


def test_where_there_are_no_locks_it_says_so(folder, monkeypatch):
    """Nobody can hold it there."""
    monkeypatch.setattr(room, "fcntl", None)
    one = Lease(folder)

    assert not one.acquire()
    assert one.trouble == "no file locks on this system"


def test_a_folder_that_cannot_be_used(tmp_path):
    """It is said why there is no lease."""
    (tmp_path / "file").write_text("")
    one = Lease(tmp_path / "file" / "spool")

    assert not one.acquire()
    assert one.trouble in {"Not a directory", "File exists"}


@pytest.mark.parametrize("name", ["ftruncate", "pwrite"])
def test_a_full_disk_does_not_hinder_it(folder, monkeypatch, name):
    """The note of who has it is for people only."""
    monkeypatch.setattr(os, name, lambda *_: (_ for _ in ()).throw(OSError("full")))
    one = Lease(folder)

    assert one.acquire()
    one.release()
