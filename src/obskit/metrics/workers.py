"""Let any number of worker processes count as one service, without configuration.

Alone, a process keeps its numbers in memory. After a fork, or below a master, each process
takes a slot of its family and keeps them in the slot's files: whoever is asked adds up the
files of all. A process that dies leaves its slot, with its counts, to the next one.
"""

from __future__ import annotations

import os
from typing import Any

from obskit.metrics import catalogue, values
from obskit.metrics.family import SUPPORTED, Family, name_for, owner, take_slot
from obskit.metrics.pages import ExemplarPage, Page
from obskit.metrics.values import Cells, Home, Identity, Memory, Unsettled, Value


class Slot:
    """Keep the numbers of this process in the files of its slot."""

    shared = True

    def __init__(self, era: object, family: Family) -> None:
        self.era = era
        self._folder = family.folder
        self.number, self._descriptor = take_slot(family.folder)
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
            self._exemplars = ExemplarPage(self._folder / f"s{self.number}.exemplars")
        self._exemplars.keep(identity, exemplar)

    def close(self) -> None:
        """Let go of the slot."""
        os.close(self._descriptor)


class Workers:
    """What this process knows of its family; one for the process, see `current`."""

    def __init__(self) -> None:
        self.family: Family | None = None
        self.trouble = ""
        self.slot: Slot | None = None

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
        if owner(name) != os.getpid():
            self._unsettle()

    def _unsettle(self) -> None:
        home = values.home()
        if not home.shared:
            values.use(Unsettled(home.era))

    def settle(self) -> Home:
        """Take a slot; where that fails, count in memory and say so."""
        era = values.home().era
        try:
            if self.family is None:
                raise OSError("no family")
            self.family.enter()
            self.slot = Slot(era, self.family)
        except Exception as error:
            self.trouble = f"this process is not added up with its siblings: {error}"
            values.note("metrics.workers", error)
            return Memory(era)
        self.trouble = ""
        return self.slot

    def settle_early(self) -> None:
        """Take a slot before a number needs one, unless this process may stay alone."""
        if self.family is None or not isinstance(values.home(), Unsettled):
            return
        if owner(self.family.name) != os.getpid():
            values.settle()
            values.move_all()

    def share(self) -> bool:
        """Tell whether siblings keep numbers; if so, keep ours beside them."""
        if self.family is None or not (self.slot or self.family.has_numbers()):
            return False
        self._unsettle()
        values.move_all()
        return not self.trouble

    def parent_after_fork(self) -> None:
        """Put our numbers where children find them: it is not this process that is asked."""
        if self.family is None or self.slot is not None:
            return
        self._unsettle()
        if any(value.number for value in values.all_values()):
            values.move_all()

    def child_after_fork(self) -> None:
        """Leave everything inherited to the parent, and begin anew at the next number."""
        if self.family is None:
            return
        if self.slot is not None:
            self.slot.close()
            self.slot = None
        self.family.forget()
        values.use(Unsettled(object()))

    def leave(self) -> None:
        """Go on in memory, and let go of slot and folder."""
        values.use(Memory(values.home().era))
        if self.slot is not None:
            self.slot.close()
            self.slot = None
        if self.family is not None:
            self.family.leave()
            self.family = None


current = Workers()
