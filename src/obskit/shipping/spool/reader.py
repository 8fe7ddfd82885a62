"""Read a spool for one destination: entries in batches, and account for what became of them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from time import monotonic

from obskit import health
from obskit.shipping.entry import Entry
from obskit.shipping.spool import account, segments
from obskit.shipping.spool.account import DONE, START, State
from obskit.shipping.spool.records import Harvest
from obskit.shipping.spool.room import FULL
from obskit.shipping.spool.segments import Segment

DAMAGED = "damaged"
# So often is looked whether the writers of segments without news are alive.
LOOK_SECONDS = 1.0
# Cursors of segments that are not there are kept, for these may be moved back.
MOST_CURSORS = 1000


class Reader:
    """What one destination has yet to get; for one thread of the process that holds the lease.

    A destination that is new begins at what is there. A ledger that is damaged is as good as
    none: all of the spool is sent again then. Where there is no room for a new one, `trouble`
    says so, and it is written later.

    Args:
        folder: That of the service.
        destination: The name of the destination, the same each time.
        kind: ``line`` or ``span``: what it wants of what is there.
        known: The names of all destinations that are to get what is there, of any kind: what
            these have behind them is deleted. Only this one if there are none.

    Raises:
        OSError: Its ledger cannot be read.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        destination: str,
        kind: str = "line",
        known: Collection[str] = (),
    ) -> None:
        self.destination = destination
        self.kind = kind
        self.unknown: tuple[str, ...] = ()
        self._folder = os.fspath(folder)
        self._known = {destination, *known}
        self._process = os.getpid()
        self.trouble = ""
        self._look_at = 0.0
        self._files: list[Segment] = []
        self._odd: list[str] = []
        self._unsaved = False
        self._forget()
        state = account.load(self._folder, destination)
        self._state = state if state is not None and state.kind == kind else self._begin()
        account.sweep(self._folder, self._known)

    def _begin(self) -> State:
        state = State(self.kind)
        for one in segments.listing(self._folder):
            if one.gone:
                state.cursors[one.id] = (DONE, 0)
        try:
            account.save(self._folder, self.destination, state)
        except OSError as error:
            # A full disk is no reason to send nothing: that alone may empty it.
            self._unsaved = True
            self._note(error)
        return state

    def _forget(self) -> None:
        self._moves: dict[str, tuple[int, int]] = {}
        self._lost: dict[str, int] = {}
        self._logged = 0
        self._taken = self._dead = self._undecided = 0

    def batch(self, most_entries: int, most_bytes: int) -> list[Entry]:
        """Return the next entries, the oldest first; the same ones again if they are not decided.

        Args:
            most_entries: How many, at least 1.
            most_bytes: Bytes of all bodies, unless the first one alone has more.

        What cannot be read now is left for later, and `trouble` says why.
        """
        self._forget()
        if os.getpid() != self._process:
            return []
        self.trouble = ""
        try:
            self._files = segments.listing(self._folder)
        except OSError as error:
            self._note(error)
            return []
        harvest = Harvest(most_entries, most_bytes)
        looks = monotonic() >= self._look_at
        self._odd = []
        for one in self._in_turn():
            if harvest.is_full:
                break
            if one.kind == self.kind:
                self._try_to_gather(one, harvest, looks)
        else:
            self._look_at = monotonic() + LOOK_SECONDS if looks else self._look_at
            self.unknown = tuple(self._odd)
        for reason, count in harvest.dropped.items():
            self._lose(reason, count)
        self._undecided = len(harvest.entries)
        if not harvest.entries and (self._moves or self._unsaved):
            self._commit()
        return harvest.entries

    def _in_turn(self) -> list[Segment]:
        """Return what is to be read: what is given up, then durable, then the rest, by age."""
        return sorted(self._files, key=lambda one: (not one.gone, not one.durable))

    def _note(self, error: OSError) -> None:
        self.trouble = error.strerror or type(error).__name__
        health.internal_error("shipping.spool.reader", error)

    def _try_to_gather(self, segment: Segment, harvest: Harvest, looks: bool) -> None:
        entries, dropped = len(harvest.entries), dict(harvest.dropped)
        try:
            whole = self._gather(segment, harvest, looks)
        except OSError as error:
            self._note(error)
            whole = False
        if not whole:
            del harvest.entries[entries:]
            harvest.dropped = dropped

    def _gather(self, segment: Segment, harvest: Harvest, looks: bool) -> bool:
        """Read on in one segment; tell whether what was found counts."""
        place, number = self._state.cursors.get(segment.id, START)
        if place == DONE or (segment.size <= place and not looks):
            return True
        if segment.gone:
            count = segments.total(segment, place, number)
            if count is not None:
                self._move(segment, DONE, max(count, number))
                self._lose(FULL, max(0, count - number))
            return True
        found = segments.read(segment, place, number, harvest)
        if found is None:
            self._odd += [segment.path] if os.path.exists(segment.path) else []
        elif found.lost and not os.path.exists(segment.path):
            # It was given up while we read it: it counts as that when its turn comes.
            return False
        else:
            self._move(segment, DONE if found.done else found.offset, found.number)
            self._lose(DAMAGED, found.lost)
        return True

    def _move(self, segment: Segment, place: int, number: int) -> None:
        before = self._state.cursors.get(segment.id, START)
        if before != (place, number):
            self._moves[segment.id] = (place, number)
            self._logged += number - before[1]

    def _lose(self, reason: str, count: int) -> None:
        if count:
            self._lost[reason] = self._lost.get(reason, 0) + count

    def decide(
        self, taken: int = 0, dead: int = 0, dropped: Mapping[str, int] | None = None
    ) -> None:
        """Say what became of entries of the batch; with the last of them move behind it.

        Args:
            taken: How many more the destination has.
            dead: How many more are dead letters.
            dropped: How many more are lost, by reason.

        Raises:
            ValueError: There are not so many; nothing is counted.

        Where the ledger cannot be written `trouble` says why. This reader has moved nevertheless,
        and the next ledger that can be written has it.
        """
        dropped = dropped or {}
        count = taken + dead + sum(dropped.values())
        if os.getpid() != self._process or not count:
            return
        if count > self._undecided:
            raise ValueError(f"{count} decided of {self._undecided} entries")
        self._undecided -= count
        self._taken += taken
        self._dead += dead
        for reason, number in dropped.items():
            self._lose(reason, number)
        if not self._undecided:
            self._commit()

    def _commit(self) -> None:
        state = self._state
        state.cursors.update(self._moves)
        state.logged += self._logged
        state.taken += self._taken
        state.dead += self._dead
        for reason, count in self._lost.items():
            state.drop(reason, count)
        is_done = any(place == DONE for place, _ in self._moves.values())
        self._forget()
        self._save(is_done)

    def _save(self, is_done: bool) -> None:
        self._unsaved = True
        self._forget_cursors()
        try:
            account.save(self._folder, self.destination, self._state)
            self._unsaved = False
            if is_done:
                account.sweep(self._folder, self._known)
        except OSError as error:
            self._note(error)

    def _forget_cursors(self) -> None:
        """Forget the cursors of segments that were deleted."""
        there = {one.id for one in self._files}
        cursors = self._state.cursors
        away = [name for name in cursors if name not in there]
        for index, name in enumerate(away):
            if cursors[name][0] == DONE or index < len(away) - MOST_CURSORS:
                del cursors[name]
