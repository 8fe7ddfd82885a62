"""Choose where lines are shipped to, and hand them over."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from obskit import settings as settings_
from obskit import shipping
from obskit._bootstrap import destinations
from obskit.settings import Settings
from obskit.shipping import backends, target
from obskit.shipping.road import Road
from obskit.shipping.target import Target
from obskit.traces import finished, zipkin

problems: list[str] = []
"""What of ``OBSKIT_SHIP`` is not understood; it is left out."""

_listening: list[Any] = []


def connect(settings: Settings) -> None:
    """Ship the lines that are written from now on to where *settings* say."""
    disconnect()
    chosen = targets(settings.ship)
    if not chosen:
        return
    road = open_road(settings, chosen)
    if any(one.backend.kind == "line" for one in road.shippers.values()):
        from obskit.logs import pipeline
        from obskit.logs.tap import tap

        pipeline.tap(tap(road.take, road.take_durably, settings.durable))
    if any(one.backend.kind == "span" for one in road.shippers.values()):
        _send_spans(settings, road)


def open_road(settings: Settings, chosen: Mapping[str, Target], spares: bool = False) -> Road:
    """Return the road of this process to *chosen*.

    With *spares*, what these have got stays in the spool for the destinations of others.
    """
    who = facts(settings)
    return shipping.send_lines(
        {name: backends.open(one, who) for name, one in chosen.items()},
        folder(settings),
        most=settings.spool_size,
        queue=settings.log_queue or settings_.FIELDS["log_queue"].default,
        fsync=settings.spool_fsync,
        say=destinations.say,
        spares=spares,
    )


def _send_spans(settings: Settings, road: Road) -> None:
    from obskit.logs import redaction

    encoder = zipkin.Encoder(
        settings.service, settings.version, settings.env, redaction.is_secret
    ).encode

    def take(span: Any) -> None:
        road.take_span(encoder(span))

    finished.listen(take)
    _listening.append(take)


def tell_metrics() -> None:
    """Let each scrape say how the spool stands."""
    from obskit.metrics import runtime

    runtime.ask("shipping", shipping.counts)


def disconnect() -> None:
    """Ship no further lines."""
    from obskit.logs import pipeline

    pipeline.tap(None)
    while _listening:
        finished.unlisten(_listening.pop())
    shipping.stop_lines()


def targets(text: str) -> dict[str, Target]:
    """Return where *text* says that lines go, by name; what is not understood is a problem."""
    problems.clear()
    found: dict[str, Target] = {}
    for url in filter(None, target.split(text)):
        try:
            one = target.parse(url)
        except ValueError as error:
            problems.append(f"{settings_.environment_name('ship')} {error}")
        else:
            found[one.name] = one
    return found


def facts(settings: Settings) -> dict[str, str]:
    """Return who sends."""
    return {
        "service": settings.service,
        "version": settings.version,
        "env": settings.env,
        "host": os.uname().nodename,
    }


def folder(settings: Settings) -> str | None:
    """Return the folder of the service's spool; None where lines wait in memory."""
    if settings.spool.lower() in ("off", "none"):
        return None
    return os.path.join(spool_root(settings), folder_name(settings.service))


def spool_root(settings: Settings) -> str:
    """Return the folder of the spools of all services, which stays where the process goes."""
    return os.path.abspath(os.path.expanduser(settings.spool or settings_.state_folder()))


def folder_name(service: str) -> str:
    """Return the name of *service* as each file system takes it, and no other service has it."""
    fit = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in service)
    fit = fit.strip(".")[:100]
    if fit == service and fit:
        return fit
    from zlib import crc32

    return f"{fit[:90]}-{crc32(service.encode('utf-8', 'surrogateescape')):08x}"
