"""Show how the spools of services stand, and send again what servers have refused."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from obskit.cli import _output

if TYPE_CHECKING:
    from obskit.settings import Settings
    from obskit.shipping.spool import Ledger, Standing
    from obskit.shipping.target import Target

HEAD = ("SERVICE", "DESTINATION", "LOGGED", "TAKEN", "DEAD", "DROPPED", "WAITING")
SECONDS = 30.0


class NoSpool(Exception):
    """There is no spool to look at; the text says where it was looked for."""


def show(settings: Settings, service: str | None, *, as_json: bool) -> int:
    """Write how each destination of each service stands; return 1 where anything is lost."""
    from obskit._bootstrap.lines import folder_name
    from obskit.shipping.spool import ledger

    root = _root(settings)
    wanted = None if service is None else folder_name(service)
    ledgers: dict[str, Ledger] = {}
    hidden = []
    for name in sorted(os.listdir(root)):
        place = os.path.join(root, name)
        if wanted in (None, name) and os.path.isdir(place):
            try:
                ledgers[name] = ledger(place)
            except PermissionError:
                if wanted is not None:
                    raise
                hidden.append(place)
    if wanted is not None and wanted not in ledgers:
        raise NoSpool(f"service {service} has no spool in {root}")
    if as_json:
        told = {name: _as_data(one) for name, one in ledgers.items()}
        _output.write(json.dumps(told, indent=2) + "\n")
    else:
        _output.write(_as_text(ledgers))
    for place in hidden:
        sys.stderr.write(f"obskit ship: {place} is another user's, and left out\n")
    standings = [one for found in ledgers.values() for one in found.standings]
    return int(bool(hidden) or any(one.dead or one.dropped for one in standings))


def _root(settings: Settings) -> str:
    from obskit._bootstrap.lines import spool_root

    root = spool_root(settings)
    if not os.path.isdir(root):
        raise NoSpool(f"there is no spool: {root} is no folder")
    return root


def _as_data(found: Ledger) -> dict[str, Any]:
    return {
        "segments": found.segments,
        "bytes": found.bytes,
        "destinations": {one.destination: one._asdict() for one in found.standings},
        "unknown": list(found.unknown),
    }


def _as_text(ledgers: dict[str, Ledger]) -> str:
    from obskit.cli.ship import as_table

    rows = [
        (name, one.destination, one.logged, one.taken, one.dead, _total(one), one.waiting)
        for name, found in ledgers.items()
        for one in found.standings
    ]
    text = as_table([HEAD, *rows]) if rows else "nothing was ever shipped from here\n"
    for name, found in ledgers.items():
        if found.segments and not found.standings:
            text += f"{name}: {found.bytes} bytes wait, and nobody has begun to send them\n"
        for one in found.standings:
            for reason, count in sorted(one.dropped.items()):
                text += f"{name}: {count} dropped for {one.destination}: {reason}\n"
        for path in found.unknown:
            text += f"{name}: {path} is of a newer version of obskit, and left alone\n"
    return text


def _total(one: Standing) -> int:
    return sum(one.dropped.values())


def retry(settings: Settings, chosen: dict[str, Target], *, as_json: bool) -> int:
    """Send the dead letters of *chosen* destinations again; return 1 where some are left."""
    from functools import partial

    from obskit._bootstrap.lines import facts, folder
    from obskit.observation import suppress
    from obskit.shipping import backends
    from obskit.shipping.dead import DeadLetters

    place = folder(settings)
    if place is None or not os.path.isdir(place):
        raise NoSpool(f"service {settings.service} has no spool")
    told: dict[str, Any] = {}
    for name, target in chosen.items():
        backend = backends.open(target, facts(settings))
        try:
            with suppress():
                send = partial(backend.send, seconds=SECONDS)
                found = DeadLetters(place, name).retry(backend.url, send)
        except BlockingIOError:
            raise NoSpool(f"another process sends the dead letters of {target.url}") from None
        finally:
            backend.close()
        told[target.url] = found._asdict()
    if as_json:
        _output.write(json.dumps(told, indent=2) + "\n")
    else:
        for url, one in told.items():
            _output.write(f"{url}: {one['taken']} taken, {one['refused']} refused again")
            _output.write(f", {one['left']} not answered\n" if one["left"] else "\n")
    return int(any(one["refused"] or one["left"] for one in told.values()))
