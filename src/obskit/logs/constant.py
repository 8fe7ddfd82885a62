"""Make what is the same on all lines of a context, when the first of them is written."""

from __future__ import annotations

from typing import Any

from obskit.context import Context
from obskit.logs import kinds
from obskit.logs.formats import json
from obskit.logs.line import has_strange_number, is_plain

# The constant part of the lines of the process that it was made in, what follows on those of
# the unit of work, the mark of a synthetic operation, the same with the bound fields, and the
# names of these.
Rendered = tuple[str, str, str, str, Any]

_unit = json.unit
_NO_NAMES: frozenset[str] = frozenset()


class Everything:
    """Stand for the names of bound fields that each line must look at anew."""

    def isdisjoint(self, names: object) -> bool:
        """Return False, whatever the names are."""
        return False


def render(here: Context | None, process: str) -> Rendered:
    """Make the constant part of the lines of *here* in this *process*, and keep it there."""
    if here is None:
        return outside(process)
    rendered: Rendered
    unit, bound = _unit(here), here.fields
    if not bound and here.unit.synthetic is None:
        rendered = here.rendered = process, unit, "", "", _NO_NAMES
        return rendered
    synthetic = ',"synthetic":true' if here.unit.synthetic is not None else ""
    if not bound:
        rendered = process, unit, synthetic, synthetic, _NO_NAMES
    else:
        ready = _ready(bound)
        names = frozenset(bound) if ready is not None else Everything()
        rendered = process, unit, synthetic, synthetic + (ready or ""), names
    here.rendered = rendered
    return rendered


def outside(process: str) -> Rendered:
    """Return the constant part of lines that belong to no unit of work."""
    return process, json.piece({"scope": "process"}), "", "", _NO_NAMES


def _ready(bound: dict[str, Any]) -> str | None:
    """Return bound fields as JSON; None where each line must look at them anew."""
    if not (all(map(is_plain, bound)) and kinds.agree(bound)):
        return None
    try:
        body = json.dumps(bound).decode()
    except Exception:
        return None
    return None if "null" in body and has_strange_number(bound) else "," + body[1:-1]
