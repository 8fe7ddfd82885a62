"""What is seen of the processes of a session."""

import os
import sys

from obskit.cli import _processes
from tests.services.ports import reserve_port, wait_until

LISTENS = """
import socket, sys, time
s = socket.socket(); s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen()
print('up', flush=True); time.sleep(60)
"""


def test_ports_and_pythons_of_a_session_are_found(start_process):
    """A server in a grandchild counts, other sessions do not."""
    port = reserve_port()
    shell = f'{sys.executable} -c "$0" {port} & wait'
    process = start_process("sh", "-c", shell, LISTENS)
    process.wait_for(b"up")

    assert _processes.listening(process.pid) == [port]
    ((pid, words),) = _processes.pythons(process.pid).items()
    assert pid != process.pid
    assert words[-1] == str(port)
    assert os.getpid() not in _processes.pythons(process.pid)


def test_nothing_is_found_of_a_session_that_is_over(start_process):
    """Who is gone listens nowhere."""
    process = start_process(sys.executable, "-c", "")
    process.wait()

    assert _processes.listening(process.pid) == []
    assert _processes.pythons(process.pid) == {}


def test_kill_ends_groups_of_their_own_too(start_process):
    """A worker that made itself leader of a group does not stay behind."""
    script = "import os, time; os.setpgid(0, 0); print('up', flush=True); time.sleep(60)"
    process = start_process("sh", "-c", f'{sys.executable} -c "$0" & wait', script)
    process.wait_for(b"up")

    _processes.kill(process.pid)

    wait_until(
        lambda: not _processes.pythons(process.pid),
        lambda: str(list(_processes.session(process.pid))),
        10,
    )
    _processes.kill(process.pid)
