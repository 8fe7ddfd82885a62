"""Let any number of worker processes count as one service, without configuration.

Alone, a process keeps its numbers in memory. After a fork, or below a master, each process
takes a slot of its family and keeps them in the slot's files: whoever is asked adds up the
files of all. A process that dies leaves its slot, with its counts, to the next one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obskit import health
from obskit.metrics import catalogue, values
from obskit.metrics.family import SUPPORTED, Family, name_for, owner, take_slot
from obskit.metrics.locks import Lock
from obskit.metrics.values import Cells, Home, Identity, Memory, Unsettled, Value

if TYPE_CHECKING:
    from obskit.metrics.pages import ExemplarPage, Page


class Slot:
    """Keep the numbers of this process in the files of its slot."""

    shared = True

    def __init__(self, era: object, folder: Path, taken: tuple[int, Lock]) -> None:
        self.era = era
        self._folder = folder
        self.number, self.lock = taken
        self._pages: dict[str, Page] = {}
        self._exemplars: ExemplarPage | None = None
        try:
            self._page("counter")
        except BaseException:
            self.close()
            raise

    def _page(self, prefix: str) -> Page:
        page = self._pages.get(prefix)
        if page is None:
            from obskit.metrics.pages import Page

            page = self._pages[prefix] = Page(self._folder / f"{prefix}_s{self.number}.db")
        return page

    def place(self, value: Value) -> tuple[Cells | None, int]:
        """Return the cells of the right file and the index of the number among them."""
        from prometheus_client.mmap_dict import mmap_key

        if not catalogue.is_shown(value):
            return None, 0
        identity = value.identity
        prefix = f"{identity.kind}_{identity.mode}" if identity.kind == "gauge" else identity.kind
        page = self._page(prefix)
        names, label_values = list(identity.label_names), list(identity.label_values)
        key = mmap_key(identity.metric, identity.sample, names, label_values, identity.help)
        index = page.index(key)
        return page.cells, index

    def keep_exemplar(self, identity: Identity, exemplar: Any) -> None:
        """Write *exemplar* to the slot's file of exemplars."""
        if self._exemplars is None:
            from obskit.metrics.pages import ExemplarPage

            self._exemplars = ExemplarPage(self._folder / f"s{self.number}.exemplars")
        self._exemplars.keep(identity, exemplar)

    def close(self) -> None:
        """Let go of the slot."""
        self.lock.close()


class Workers:
    """What this process knows of its family; one for the process, see `current`.

    A forked child finds its slot taken already, so that it is known as a worker while it has
    nothing to do. The head is one of the workers only if it serves something itself.
    """

    def __init__(self) -> None:
        self.family: Family | None = None
        self.trouble = ""
        self.slot: Slot | None = None
        self._taken: tuple[int, Lock] | None = None
        self._serves = False
        self._keeps_unsent = False

    def join(self, service: str, inherited: str) -> None:
        """Find this process's family; take a slot only when a number needs one."""
        if not SUPPORTED:
            self.trouble = "several processes are not added up on this platform"
            return
        if self.family is not None:
            return
        name = name_for(service, inherited)
        self.family = Family(name)
        values.settle_by(self.settle)
        if not self._is_head():
            values.unsettle()

    def _is_head(self) -> bool:
        return self.family is not None and owner(self.family.name) == os.getpid()

    def settle(self) -> Home:
        """Take a slot; where that fails, count in memory and say so."""
        era = values.home().era
        try:
            if self.family is None:
                raise OSError("no family")
            self.family.enter()
            folder = self.family.folder
            taken, self._taken = self._taken, None
            if taken is None or not taken[1].is_ours():
                taken = take_slot(folder, idle=self._is_head() and not self._serves)
            self.slot = Slot(era, folder, taken)
            if self._serves:  # perhaps from this moment on
                self.slot.lock.sign()
            self._begin_unsent(self.slot.number)
        except Exception as error:
            self.trouble = f"this process is not added up with its siblings: {error}"
            values.note("metrics.workers", error)
            return Memory(era)
        self.trouble = ""
        return self.slot

    def serve(self) -> None:
        """Note that this process serves something itself."""
        if not self._serves:
            self._serves = True
            if self.slot is not None:
                self.slot.lock.sign()

    def keep_unsent(self) -> None:
        """Keep how many spans wait where siblings find it, since this process sends some."""
        self._keeps_unsent = True
        if self.slot is not None:
            self._begin_unsent(self.slot.number)

    def _begin_unsent(self, slot: int) -> None:
        if not self._keeps_unsent or self.family is None:
            return
        try:
            from obskit.metrics import unsent

            unsent.begin(self.family.folder, slot)
        except Exception as error:
            values.note("metrics.unsent", error)

    def settle_early(self) -> None:
        """Take a slot before a number needs one, unless this process may stay alone."""
        if isinstance(values.home(), Unsettled) and not self._is_head():
            values.settle()
            values.move_all()

    def share(self) -> bool:
        """Tell whether this process has siblings; if so, keep its numbers beside theirs."""
        if self.family is None or not (self.slot or self.family.has_slots()):
            return False
        values.unsettle()
        if not self._is_head():
            values.settle()
        values.move_all()
        return not self.trouble

    def slot_for_child(self) -> tuple[int, Lock] | None:
        """Take a slot for a child that is about to be born: it is one of us while it idles, too.

        Without one it takes its own when it counts, or says then why it cannot.
        """
        if self.family is None:
            return None
        try:
            self.family.enter()
            return take_slot(self.family.folder)
        except OSError:
            return None

    def parent_after_fork(self) -> None:
        """Put our numbers where children find them: it is not this process that is asked."""
        if self.family is None or self.slot is not None:
            return
        values.unsettle()
        if any(value.number for value in values.all_values()):
            values.move_all()

    def child_after_fork(self, taken: tuple[int, Lock] | None) -> None:
        """Leave everything inherited to the parent but the slot that was *taken* for us."""
        if self.family is None:
            return
        self._let_go()
        self._taken = taken
        if taken is None:
            self.family.forget()
        else:  # and the folder, which is held by what we have inherited
            taken[1].sign()
        values.use(Unsettled(object()))

    def leave(self) -> None:
        """Go on in memory, and let go of slot and folder."""
        values.use(Memory(values.home().era))
        health.keep_unsent([0.0])
        self._let_go()
        if self.family is not None:
            self.family.leave()
            self.family = None

    def _let_go(self) -> None:
        if self.slot is not None:
            self.slot.close()
            self.slot = None
        if self._taken is not None:
            self._taken[1].close()
            self._taken = None


current = Workers()
