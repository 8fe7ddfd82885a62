"""What a task's message says, and what it is told: identity, destination, broker."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from obskit import conventions, health, propagation
from obskit.context import Context
from obskit.observation import Observation

KEY = "obskit"
"""The one header of a task that holds what the next hop must know."""

NAMED_HERE = "named-here"
"""In there, where the receiving worker has named the operation, since the sender did not."""

DEFAULT_PORTS = {"amqp": 5672, "amqps": 5671, "pyamqp": 5672, "redis": 6379, "rediss": 6379}

UNKNOWN = conventions.steady("")

# The exchanges that hold tasks back until they are due; the key ends in that of the queue.
_DELAYING = "celery_delayed"


sending: ContextVar[Observation | None] = ContextVar("obskit_celery_sending", default=None)
"""The task that is being sent here; it learns where it goes when Celery has found out."""

_brokers: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def address(headers: Any = None, exchange: Any = None, routing_key: Any = None, **_: Any) -> None:
    """Hear that a message is about to leave (the signal ``before_task_publish``)."""
    try:
        work = sending.get()
        if work is not None:
            _name(work, conventions.steady(destination(exchange, routing_key)))
        if isinstance(headers, dict):
            _stamp(headers)
    except Exception as error:
        health.internal_error("celery.address", error)


def _name(work: Observation, destination: str) -> None:
    work.labels["messaging_destination_name"] = destination
    # A span of the application's own provider has taken the labels by now, but not these.
    work.attributes["messaging_destination_name"] = destination
    work.name = f"publish {destination}"


def _stamp(headers: dict[str, Any]) -> None:
    if "task" not in headers:
        # Protocol 1 keeps all in the body, where other consumers may look.
        health.lose("correlation", "celery protocol 1 has no headers")
    else:
        found = propagation.message()
        if found:
            headers[KEY] = found


def told(headers: Any) -> Mapping[str, str] | None:
    """Return what the sender of a task has put into its *headers* for us."""
    found = headers.get(KEY) if isinstance(headers, dict) else None
    return found if isinstance(found, dict) else None


def source(headers: dict[str, Any]) -> str:
    """Return what ``correlation_source`` says of a task whose sender said nothing."""
    return "schedule" if headers.get("celery_beat_task") else "message"


def name(headers: Any, here: Context) -> None:
    """Let the process that will carry out a task use the ID that was given to its message here.

    Else what the worker says of it, and above all of its violent end, would be found under
    another ID than its own lines. The header goes no further than that.
    """
    if isinstance(headers, dict) and "task" in headers and KEY not in headers:
        policy = propagation.policy()
        headers[KEY] = {
            NAMED_HERE: "1",
            policy.correlation_header.lower(): here.unit.correlation_id,
            policy.cause_header.lower(): f"1.0.{here.span_id}",
        }


def to_send(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Observation | None:
    """Return the observation of the task that an application is asked to send by these arguments.

    None where they are none that Celery takes.
    """
    try:
        app, name = args[0], args[1] if len(args) > 1 else kwargs["name"]
        # No carrier: what is said on the way (of a broker that is away) comes before the message.
        work = conventions.producer("celery", "", peer=broker(app), library="celery")
        work.attributes["task_name"] = str(name)
        return work
    except LookupError:
        return None
    except Exception as error:
        health.internal_error("celery.publish", error)
        return None


def destination(exchange: Any, routing_key: Any) -> str:
    """Return the queue that a message goes to, or the exchange where there may be several.

    Keys of exchanges that choose by them are free text, and may hold IDs.
    """
    if type(exchange) is str and type(routing_key) is str:
        return _destination(exchange, routing_key)
    name = str(getattr(exchange, "name", exchange) or "")
    return _destination(name, str(routing_key or ""))


@lru_cache(maxsize=1024)
def _destination(name: str, key: str) -> str:
    if name.startswith(_DELAYING):
        return key.rpartition(".")[2]
    return name or key


def fail(work: Observation, app: Any, options: Mapping[str, Any]) -> None:
    """Name the queue that a caller asked for, if Celery has failed before it knew."""
    try:
        if work.labels["messaging_destination_name"] == UNKNOWN:
            queue = options.get("queue")
            queue = getattr(queue, "name", queue) or app.conf.task_default_queue
            _name(work, conventions.steady(str(queue)))
    except Exception as error:
        health.internal_error("celery.publish", error)


def broker(app: Any) -> str | None:
    """Return host and unusual port of the broker that *app* sends to, None if it has no host."""
    found = _brokers.get(app)
    if found is None:
        found = _brokers[app] = host_of(app.conf.broker_write_url)
    return found or None


def host_of(url: Any) -> str:
    """Return the first host of a broker's URL, with its port if that is unusual."""
    if isinstance(url, (list, tuple)):
        url = url[0] if url else ""
    split = urlsplit(str(url or "").partition(";")[0])
    try:
        host, port = split.hostname, split.port
    except ValueError:
        return ""
    if not host:
        return ""
    shown = f"[{host}]" if ":" in host else host
    return shown if port in (None, DEFAULT_PORTS.get(split.scheme)) else f"{shown}:{port}"
