"""Find out which processes belong together, and give them a folder and numbered slots.

A family is the processes of one service below one master: gunicorn's or uvicorn's workers,
forked children, pools. Who holds what is decided by ``flock`` alone: the kernel lets go of
a lock on any death, and no process needs a hook at its end.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
import threading
from binascii import crc32
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from obskit.metrics.locks import IDLE, Lock, hold, is_held, take
from obskit.pattern import Pattern
from obskit.record import Record

if sys.platform == "linux":
    import fcntl

MOST_SLOTS = 1024
MOST_WIPED = 100
# Mark of the service, process ID and start of the head, mark of the boot; secret.
PARTS = 4
NAME = Pattern(r"[0-9a-f]{8}-[0-9]+-[0-9]*-[0-9a-z]+(-[0-9a-f]{16})?", re.ASCII)

# Beginnings of files whose numbers are true of one process alone.
_OF_ONE = ("gauge_live", "gauge_all_")

# Elsewhere every process stays alone.
SUPPORTED = sys.platform == "linux"


class Holder(Record):
    """A process that has a slot."""

    slot: int
    pid: int
    works: bool


class Family:
    """The folder of one family; nothing is made before `enter`.

    Where the head is root, its workers may become somebody else after the fork: then the
    folder is open to all who know its name, which ends in a secret and cannot be listed.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_open = len(name.split("-")) == PARTS + 1
        self._owner = 0 if self.is_open else os.geteuid()
        self._hold: Lock | None = None

    @cached_property
    def _base(self) -> Path:
        return Path(_temporary(), f"obskit-{self._owner}")

    @cached_property
    def folder(self) -> Path:
        """The folder of this family, whether it is there or not."""
        return self._base / self.name

    def enter(self) -> None:
        """Make the folder and hold it, so that it is neither wiped nor cleaned away.

        Raises:
            OSError: There is no folder that is ours alone.
        """
        if self._hold is not None and self._hold.is_ours():
            return
        self._hold = None
        self._make(self._base, 0o711 if self.is_open else 0o700)
        _check_private(self._base, self._owner)
        while self._hold is None:
            self._make(self.folder, 0o777 if self.is_open else 0o700)
            self._hold = hold(self.folder)

    def _make(self, folder: Path, mode: int) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        if self.is_open and os.geteuid() == self._owner:
            folder.chmod(mode)

    def leave(self) -> None:
        """Let go of the folder, and take it away if nobody is left."""
        if self._hold is None:
            return
        self.forget()
        if owner(self.name) in (None, os.getpid()):
            _wipe(self.folder)

    def forget(self) -> None:
        """Close what a fork has inherited; the parent goes on holding it."""
        if self._hold is not None:
            self._hold.close()
            self._hold = None

    def wipe_strangers(self) -> None:
        """Take away the folders of families that have died out."""
        with contextlib.suppress(OSError):
            for folder in list(self._base.iterdir())[:MOST_WIPED]:
                if folder.name != self.name and owner(folder.name) is None:
                    _wipe(folder)

    def files(self) -> list[Path]:
        """Return the files of numbers that count: all but live ones of slots without holder."""
        with contextlib.suppress(OSError):
            names = [path for path in self.folder.iterdir() if path.suffix == ".db"]
            held = {f"s{holder.slot}" for holder in self.holders()}
            return sorted(path for path in names if not is_live(path) or _slot(path) in held)
        return []

    def exemplar_files(self) -> list[Path]:
        """Return the files of exemplars."""
        with contextlib.suppress(OSError):
            return [path for path in self.folder.iterdir() if path.suffix == ".exemplars"]
        return []

    def has_slots(self) -> bool:
        """Tell whether any other process has, or had, a slot in the folder."""
        with contextlib.suppress(OSError), os.scandir(self.folder) as entries:
            return any(entry.name.startswith("slot") for entry in entries)
        return False

    def workers(self) -> Iterator[tuple[int, int]]:
        """Iterate over slot and process ID of the living processes that share the work."""
        for holder in self.holders():
            if holder.works:
                yield holder.slot, holder.pid

    def holders(self) -> Iterator[Holder]:
        """Iterate over the living processes that have a slot."""
        for path in sorted(self.folder.glob("slot*.lock")):
            number = path.stem.removeprefix("slot")
            if number.isdigit() and is_held(path):
                with contextlib.suppress(OSError, ValueError):
                    pid, _, note = path.read_text().partition(" ")
                    yield Holder(int(number), int(pid), note.strip() != IDLE)


def _temporary() -> str:
    """Return the folder for temporary files; memory, where the file system is read-only."""
    import tempfile

    try:
        return tempfile.gettempdir()
    except OSError:
        return "/dev/shm"


def is_live(path: Path) -> bool:
    """Tell whether the numbers in *path* die with their process."""
    return path.name.startswith("gauge_live")


def _slot(path: Path) -> str:
    return path.stem.rpartition("_")[2]


def take_slot(folder: Path, *, idle: bool = False) -> tuple[int, Lock]:
    """Take the lowest free slot and return its number and the lock that holds it.

    What said something of the last holder alone is removed, all else is gone on with. Who is
    *idle* looks after workers and is none of them.

    Raises:
        OSError: There are too many processes, or the folder cannot be written.
    """
    for number in range(MOST_SLOTS):
        try:
            lock = take(folder / f"slot{number}.lock", idle=idle)
        except PermissionError:  # the slot of another user
            continue
        if lock is not None:
            for name in os.listdir(folder):
                if name.endswith(f"_s{number}.db") and name.startswith(_OF_ONE):
                    folder.joinpath(name).unlink(missing_ok=True)
            return number, lock
    raise OSError(f"more than {MOST_SLOTS} processes share their metrics")


def _check_private(folder: Path, owner: int) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o066:
        raise PermissionError(f"{folder} is not a folder of this user alone")


def _wipe(folder: Path) -> None:
    """Remove *folder* unless somebody holds it."""
    import shutil

    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)


def name_for(service: str, inherited: str) -> str:
    """Return the name of this process's family.

    It is the one *inherited* from an ancestor that still lives, if that is the same service or
    has started this process to share its work; else the one below a master who knows nothing
    of obskit; else a new one, of which this process is the head.
    """
    service_mark = f"{crc32(service.encode()):08x}"
    shares_work = is_worker()
    if (shares_work or inherited.startswith(service_mark + "-")) and is_alive(inherited):
        return inherited
    head = os.getppid() if shares_work else os.getpid()
    secret = f"-{os.urandom(8).hex()}" if head == os.getpid() and os.geteuid() == 0 else ""
    return f"{service_mark}-{head}-{_started(head)}-{_boot()}{secret}"


def owner(name: str) -> int | None:
    """Return the process ID of the living head of the family called *name*."""
    if NAME.fullmatch(name) is None:
        return None
    parts = name.split("-")
    if parts[3] != _boot():
        return None
    pid = int(parts[1])
    return pid if _started(pid) == parts[2] else None


def is_alive(name: str) -> bool:
    """Tell whether the head or any other process of the family called *name* lives."""
    if owner(name) is not None:
        return True
    return NAME.fullmatch(name) is not None and is_held(Family(name).folder)


def is_worker() -> bool:
    """Tell whether a master that knows nothing of obskit has started this process to share work."""
    return _is_multiprocessing_child() or _is_gunicorn_worker() or _runs_what_its_parent_runs()


def _is_multiprocessing_child() -> bool:
    if "--multiprocessing-fork" in sys.argv or "--multiprocessing-fork" in sys.orig_argv:
        return True
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def _is_gunicorn_worker() -> bool:
    """Tell whether the main thread runs below the place where gunicorn starts a worker."""
    if "gunicorn.arbiter" not in sys.modules:
        return False
    main = threading.main_thread().ident
    frame = sys._current_frames().get(main) if main is not None else None
    while frame is not None:
        if frame.f_code.co_name == "spawn_worker":
            return frame.f_globals.get("__name__") == "gunicorn.arbiter"
        frame = frame.f_back
    return False


def _runs_what_its_parent_runs() -> bool:
    """Tell whether parent and child have the same command line, as after a plain fork."""
    try:
        mine = Path("/proc/self/cmdline").read_bytes()
        return bool(mine) and Path(f"/proc/{os.getppid()}/cmdline").read_bytes() == mine
    except OSError:
        return False


def _started(pid: int) -> str:
    """Return when a process was started, in ticks since the boot; empty if there is none."""
    try:
        stat_line = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ""
    fields = stat_line.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    except OSError:
        return "unknown"
