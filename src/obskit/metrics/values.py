"""Keep the numbers behind metrics: in memory, or in a file shared with sibling processes.

prometheus_client asks its ``values.ValueClass`` for every number it keeps, and decides at
import time whether that is one process or many. `Value` can stand there instead: where it
keeps its number is the process's *home*, which may change at any time, as after a fork.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeAlias

from obskit import health
from obskit.record import Record

Cells: TypeAlias = "memoryview[float]"


class Identity(Record):
    """Say which number of which metric a value is, in prometheus_client's words."""

    kind: str
    metric: str
    sample: str
    label_names: tuple[str, ...]
    label_values: tuple[str, ...]
    help: str
    mode: str


class Home(Protocol):
    """A place where numbers are kept. *era* is the same for all homes of one process."""

    era: object
    shared: bool

    def place(self, value: Value) -> tuple[Cells | None, int]:
        """Return the doubles to write to, if any, and the index of the number among them."""

    def keep_exemplar(self, identity: Identity, exemplar: Any) -> None:
        """Remember an exemplar where siblings can read it."""


class Memory:
    """Keep numbers in this process alone."""

    shared = False

    def __init__(self, era: object) -> None:
        self.era = era

    def place(self, value: Value) -> tuple[Cells | None, int]:
        """Return nothing: the value's own attribute is all there is."""
        return None, 0

    def keep_exemplar(self, identity: Identity, exemplar: Any) -> None:
        """Do nothing: the value itself holds its exemplar."""


class Unsettled(Memory):
    """Stand for the home of a process that has not needed one yet."""


# With its global lock CPython 3.10 and later lets no other thread, and no signal handler, go on
# in the middle of code without calls and loops: there one number may be read, and changed
# in place, without the lock. What moves a number to another home takes it all the same.
ATOMIC: bool = getattr(sys, "_is_gil_enabled", lambda: True)()

# Reentrant, because a signal handler or a finalizer may count while its thread is in here.
_lock = threading.RLock()
_home: Home = Memory(object())
_settle: Callable[[], Home] | None = None
_values: weakref.WeakSet[Value] = weakref.WeakSet()
# What went wrong under the lock; whoever is told may count, or log, and wait for other locks.
_troubles: list[tuple[str, Exception]] = []


class Value:
    """Hold one number, in the form that prometheus_client expects of a value class."""

    __slots__ = (
        "__weakref__", "_cells", "_exemplar", "_home", "_index", "_number", "identity",
    )  # fmt: skip

    _multiprocess = False

    def __init__(
        self,
        typ: str,
        metric_name: str,
        name: str,
        labelnames: Iterable[str],
        labelvalues: Iterable[str],
        help_text: str,
        multiprocess_mode: str = "",
        **_: Any,
    ) -> None:
        self.identity = Identity(
            typ, metric_name, name, tuple(labelnames), tuple(labelvalues), help_text,
            multiprocess_mode,
        )  # fmt: skip
        self._number = 0.0
        self._exemplar: Any = None
        self._home: Home | None = None
        self._cells: Cells | None = None
        self._index = 0
        with _lock:
            _values.add(self)

    def inc(self, amount: float) -> None:
        """Add *amount*."""
        with _lock:
            if self._home is not _home:
                self._move()
            if self._cells is None:
                self._number += amount
            else:
                self._cells[self._index] += amount
        if _troubles:
            report()

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Replace the number; *timestamp* decides which of several processes was last."""
        with _lock:
            if self._home is not _home:
                self._move()
            if self._cells is None:
                self._number = value
            else:
                self._cells[self._index] = value
                self._cells[self._index + 1] = timestamp or 0.0
        if _troubles:
            report()

    def get(self) -> float:
        """Return the number that this process (and its predecessors in the slot) have made."""
        with _lock:
            if self._home is not _home:
                self._move()
            number = self.number
        if _troubles:
            report()
        return number

    def set_exemplar(self, exemplar: Any) -> None:
        """Keep *exemplar* in place of the last one."""
        self._exemplar = exemplar
        if self._cells is not None:
            with _lock:
                self._keep_exemplar()
        if _troubles:
            report()

    def _keep_exemplar(self) -> None:
        try:
            if self._home is not None:
                self._home.keep_exemplar(self.identity, self._exemplar)
        except Exception as error:
            note("metrics.exemplar", error)

    def get_exemplar(self) -> Any:
        """Return the last exemplar of this process."""
        return self._exemplar

    def ask_again(self) -> None:
        """Look for a place once more, where siblings have one but this value has not."""
        with _lock:
            if self._cells is None and self._home is _home and _home.shared:
                self._move()
        if _troubles:
            report()

    @property
    def number(self) -> float:
        """The number as it stands, without moving."""
        return self._number if self._cells is None else self._cells[self._index]

    def _move(self) -> None:
        """Take the number along to the process's home; one inherited by a fork stays behind."""
        home = _settled()
        kept = self._home is not None and self._home.era is home.era
        cells = self._cells
        if not kept:
            self._number = 0.0
        elif cells is not None:
            self._number = cells[self._index]
        self._home, self._cells = home, None
        if not kept:
            self._exemplar = None
        try:
            cells, self._index = home.place(self)
        except Exception as error:
            note("metrics.file", error)
            return
        if cells is not None:
            self._join(cells)
            if kept and self._exemplar is not None:
                self._keep_exemplar()

    def _join(self, cells: Cells) -> None:
        """Go on where the last process in this slot has stopped.

        Without a call behind the first line, as others may count without the lock.
        """
        index, adds = self._index, self.identity.kind != "gauge"
        if adds:
            cells[index] += self._number
        elif self._number:
            cells[index] = self._number
        self._cells = cells


def bring(several: Iterable[Value]) -> Home:
    """Bring *several* values to the home of this process, and return it."""
    with _lock:
        for value in several:
            if value._home is not _home:
                value._move()
        home = _home
    if _troubles:
        report()
    return home


def _settled() -> Home:
    global _home
    if isinstance(_home, Unsettled):
        home = _settle() if _settle is not None else Memory(_home.era)
        _home = home
    return _home


def note(where: str, error: Exception) -> None:
    """Keep an error that has happened under the lock until the lock is free."""
    _troubles.append((where, error))


def report() -> None:
    """Report what has gone wrong under the lock."""
    while _troubles:
        try:
            where, error = _troubles.pop()
        except IndexError:  # another thread was faster
            return
        health.internal_error(where, error)


def home() -> Home:
    """Return the home of this process, as it stands."""
    return _home


def use(home: Home) -> None:
    """Make *home* the place where all numbers are kept from their next change on."""
    global _home
    with _lock:
        _home = home


def unsettle() -> None:
    """Let a process that counts in memory look for a shared home at its next number.

    A home that is shared stays: another thread may have found it a moment ago.
    """
    global _home
    with _lock:
        if not _home.shared and not isinstance(_home, Unsettled):
            _home = Unsettled(_home.era)


def settle_by(settle: Callable[[], Home]) -> None:
    """Let *settle* find the home of a process that needs one; it must not raise."""
    global _settle
    _settle = settle


def settle() -> None:
    """Find the home of this process now, if it has none yet."""
    with _lock:
        _settled()
    report()


def all_values() -> Iterator[Value]:
    """Iterate over the values that are in use."""
    with _lock:
        known = list(_values)
    return iter(known)


def move_all() -> None:
    """Bring every number to the home of this process now.

    One that had no place there is asked again: its metric may be registered by now.
    """
    for value in all_values():
        value.get()
        value.ask_again()


def before_fork(longest_wait: float) -> bool:
    """Wait until no other thread is changing a number; tell whether that came true."""
    return _lock.acquire(timeout=longest_wait)


def parent_after_fork() -> None:
    """Let the other threads go on."""
    _lock.release()


def child_after_fork() -> None:
    """Replace the lock, whose holder may not exist in this process."""
    global _lock
    _lock = threading.RLock()
    _troubles.clear()
