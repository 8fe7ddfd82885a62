"""Look at the processes of a session: where they listen, and which of them are Python (Linux)."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

_LISTEN = "0A"


def listening(leader: int) -> list[int]:
    """Return the TCP ports on which processes of the session of *leader* listen."""
    sockets = dict(_listeners())
    found = {sockets[inode] for inode in _socket_inodes(leader) if inode in sockets}
    return sorted(found)


def pythons(leader: int) -> dict[int, list[str]]:
    """Return process IDs and words of the Python processes in the session of *leader*."""
    found = {}
    for process in session(leader):
        with contextlib.suppress(OSError):
            if os.path.basename(os.readlink(f"/proc/{process}/exe")).startswith("python"):
                words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[:-1]
                found[int(process)] = [word.decode("utf-8", "replace") for word in words]
    return found


def session(leader: int) -> Iterator[str]:
    """Yield the IDs of the processes in the session of *leader*."""
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError, ValueError):
                if name.isdigit() and os.getsid(int(name)) == leader:
                    yield name


def kill(leader: int) -> None:
    """End what is left of the session of *leader*."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
    for process in session(leader):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(int(process), signal.SIGKILL)


def _listeners() -> Iterator[tuple[str, int]]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for row in Path(table).read_text().splitlines()[1:]:
                cells = row.split()
                if cells[3] == _LISTEN:
                    yield cells[9], int(cells[1].rpartition(":")[2], 16)


def _socket_inodes(leader: int) -> Iterator[str]:
    for process in session(leader):
        with contextlib.suppress(OSError):
            for entry in os.scandir(f"/proc/{process}/fd"):
                with contextlib.suppress(OSError):
                    target = os.readlink(entry.path)
                    if target.startswith("socket:["):
                        yield target[8:-1]
