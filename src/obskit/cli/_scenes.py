"""What goes wrong in the example shop, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from obskit.cli import _shop
from obskit.cli._shop import Order

if TYPE_CHECKING:
    from obskit.story import Hops, Story
    from obskit.story.hops import Edge

Line = Mapping[str, Any]
ROWS = 16
TROUBLE = ("warning", "error", "critical")
TOLD_TO_NEWCOMERS = ("Broken hops", "After the caller had left", "Lost lines")


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing that goes wrong.

    Args:
        name: What it is chosen by.
        title: What it is called.
        asks: What people ask who see it; a text of several lines.
        orders: What makes it happen; the first order is the one to look at.
        without: A service that is stopped meanwhile.
    """

    name: str
    title: str
    asks: str
    orders: tuple[Order, ...]
    without: str = ""


COUNTRY = Scene("country", "An unknown country code", "", _shop.ORDERS)
OUTAGE = Scene(
    "outage",
    "An outage",
    "Inventory is stopped, and Olga orders. She gets a 502 from Shop. Is Shop broken?",
    (Order("olga"),),
    without="inventory",
)
TIMEOUT = Scene(
    "timeout",
    "A timeout",
    "Theo's CD is in the cellar. Shop waits for 3 s and tells him to come back later.\n"
    "Has nothing happened, then?",
    (Order("theo", "Songs of the Humpback Whale"),),
)
FORGOTTEN = Scene(
    "forgotten",
    "A header that is forgotten",
    "Nina's CD is a gift: her mail goes by way of the mail room. Where is it in her story?",
    (Order("nina", gift=True),),
)
REDELIVERED = Scene(
    "redelivered",
    "A message that is delivered twice",
    "Raul's invoice is so long that the process that writes it is killed (SIGKILL).\n"
    "Does he ever get it? Or twice?",
    (Order("raul", "Bach: the complete works"),),
)
# In this order they are played. Who stops a service comes last; who kills a process comes after
# the timeout: meanwhile the process has sent its traces.
SCENES = (COUNTRY, TIMEOUT, REDELIVERED, FORGOTTEN, OUTAGE)


def id_of(lines: Iterable[Line], customer: str) -> str:
    """Return the correlation ID of a customer's order.

    Raises:
        RuntimeError: No line says that the order has ended.
    """
    for line in lines:
        if line.get("url_path") == f"/orders/{customer}" and "outcome" in line:
            return str(line.get("correlation_id"))
    raise RuntimeError(f"the lines do not say what became of {customer}'s order")


def culprit_of(told: Story, names: Mapping[str, str]) -> str:
    """Return in one line who is to blame in a story.

    Args:
        told: The story.
        names: Services by their addresses.
    """
    if told.culprit is not None:
        name = told.culprit.name
        who = f"{names[name]} at {name}" if name in names else name
        return f"{who}: {told.culprit.fault}"
    if told.verdict.recovered:
        unit = told.verdict.recovered[0]
        work = unit.said("task_name") or unit.name
        error = str(unit.said("error_type") or unit.outcome).rpartition(".")[2]
        again = any(one.said("redelivered") is True for one in told.units)
        how = "its message was delivered again" if again else "it was done all the same"
        return f"nobody: {work} ended in {error}, and {how}"
    return "nobody"


def lost(found: Hops) -> list[Edge]:
    """Return the edges on which something gets lost."""
    return [edge for edge in found.edges if edge.lost]


def described(edge: Edge) -> str:
    """Return an edge and what it loses in one line."""
    what = "the ID" if edge.lost_id else "the clock"
    where = f"{edge.kind} {edge.place}".strip()
    return f"{edge.caller} -> {edge.callee} ({where}): {what} gets lost"


def folded(text: str, told: Story, most: int = ROWS) -> str:
    """Return the text of a story without what newcomers can do without.

    Left out are legend, clocks and what ran at the same time; where the picture is long, also
    the lines of services that had no trouble.
    """
    blocks = text.rstrip("\n").split("\n\n")
    # Its heading, its verdict, its picture.
    kept = blocks[:3] + [one for one in blocks[3:] if one.startswith(TOLD_TO_NEWCOMERS)]
    rows = kept[2].splitlines() if len(kept) > 2 else []
    loud = {event.line.get("service") for event in told.events if _is_trouble(event.line)}
    if len(rows) > most and len(rows) == len(told.events) and loud:
        near = [event.line.get("service") in loud for event in told.events]
        kept[2] = "\n".join(_without(rows, [True, *near[1:]]))
    return "\n\n".join(kept) + "\n"


def _is_trouble(line: Line) -> bool:
    return str(line.get("level")) in TROUBLE


def _without(rows: Sequence[str], kept: Sequence[bool]) -> Iterator[str]:
    """Yield the rows that are kept, and how many are not."""
    for is_kept, group in groupby(zip(kept, rows, strict=True), lambda pair: pair[0]):
        found = [row for _, row in group]
        yield from found if is_kept else [f"      ⋮  {len(found)} more"]


def around(lines: Sequence[Line], customer: str) -> list[Line]:
    """Return the lines on the way of a customer's mail through the mail room, by time.

    The last ones have another ID, and those of the mail room have none.
    """
    own = id_of(lines, customer)
    other = {
        line.get("correlation_id")
        for line in lines
        if line.get("messaging_destination_name") == "mails" and line.get("task_name")
    }
    said = [
        line
        for line in lines
        if line.get("logger") == line.get("service")
        and (
            (line.get("service") == "shop" and line.get("correlation_id") == own)
            or (line.get("service") == "mailroom" and line.get("message") != "Open")
            or (line.get("service") == "email" and line.get("correlation_id") in other)
        )
    ]
    return sorted(said, key=lambda line: str(line["timestamp"]))
