"""A RabbitMQ of one connection within the process: what pika sends goes through its own frames.

It knows queues of the default exchange, which it makes when they are named. What it answers comes
when it is pumped, as a blocking connection does whenever it waits.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from pika import ConnectionParameters, frame, spec
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.callback import CallbackManager
from pika.channel import Channel


class Wire:
    """What a `Channel` has for a connection; its other end is the broker."""

    def __init__(self) -> None:
        self.callbacks = CallbackManager()
        self.params = ConnectionParameters("broker")
        self.is_open, self.is_closed = True, False
        self._channels: dict[int, Channel] = {}
        self._queues: dict[str, deque[tuple[bytes, bytes, bool]]] = {}
        self._consumers: dict[str, str] = {}
        self._unacked: dict[int, tuple[str, bytes, bytes]] = {}
        self._tag = 0
        self._pending: deque[tuple[int, list[Any]]] = deque()

    def pump(self) -> None:
        """Let all that the broker has sent arrive."""
        while self._pending:
            number, frames = self._pending.popleft()
            for one in frames:
                arrived = frame.decode_frame(one)[1]
                if not self._process(number, arrived):
                    self._channels[number]._handle_content_frame(arrived)

    def _process(self, number: int, arrived: Any) -> bool:
        method = getattr(arrived, "method", None)
        if method is None or not self.callbacks.pending(number, method):
            return False
        self.callbacks.process(number, method, self, arrived)
        return True

    def open(self, kind: type[Channel] = Channel) -> Channel:
        """Return a new channel that is open."""
        number = len(self._channels) + 1
        channel = self._channels[number] = kind(self, number, lambda opened: None)
        channel._add_callbacks()
        channel._set_state(Channel.OPEN)
        return channel

    def _send_method(self, number: int, method: Any, content: Any = None) -> None:
        sent = frame.decode_frame(frame.Method(number, method).marshal())[1].method
        answer = getattr(self, f"_on_{type(sent).__name__.lower()}", None)
        if answer is not None:
            answer(number, sent, content)

    def _on_publish(self, number: int, method: Any, content: Any) -> None:
        properties, body = content
        header = frame.Header(number, len(body), properties).marshal()
        self._queue(method.routing_key).append((header, body, False))
        self._deliver(number)

    def _on_close(self, number: int, method: Any, _: Any) -> None:
        self._answer(number, spec.Channel.CloseOk())

    def _on_consume(self, number: int, method: Any, _: Any) -> None:
        self._consumers[method.consumer_tag] = method.queue
        self._answer(number, spec.Basic.ConsumeOk(method.consumer_tag))
        self._deliver(number)

    def _on_cancel(self, number: int, method: Any, _: Any) -> None:
        self._consumers.pop(method.consumer_tag, None)
        self._answer(number, spec.Basic.CancelOk(method.consumer_tag))

    def _on_get(self, number: int, method: Any, _: Any) -> None:
        if not self._queue(method.queue):
            self._answer(number, spec.Basic.GetEmpty())
            return
        tag, redelivered, message = self._take(method.queue)
        self._content(number, spec.Basic.GetOk(tag, redelivered, "", method.queue, 0), *message)

    def _adapter_call_later(self, delay: float, callback: Callable[[], None]) -> object:
        callback()
        return callback

    def _adapter_remove_timeout(self, timer: object) -> None:
        """Forget a timer, which has gone off already."""

    def _adapter_add_callback_threadsafe(self, callback: Callable[[], None]) -> None:
        callback()

    def _on_channel_cleanup(self, channel: Channel) -> None:
        """Keep the channel: what it has sent may be looked at."""

    def _on_ack(self, number: int, method: Any, _: Any) -> None:
        self._unacked.pop(method.delivery_tag, None)

    def _on_nack(self, number: int, method: Any, _: Any) -> None:
        last = method.delivery_tag
        below = [tag for tag in self._unacked if tag <= last or not last]
        for tag in below if getattr(method, "multiple", False) else [last]:
            queue, header, body = self._unacked.pop(tag)
            if method.requeue:
                self._queue(queue).appendleft((header, body, True))
        self._deliver(number)

    _on_reject = _on_nack

    def _queue(self, name: str) -> deque[tuple[bytes, bytes, bool]]:
        return self._queues.setdefault(name, deque())

    def _take(self, queue: str) -> tuple[int, bool, tuple[bytes, bytes]]:
        header, body, redelivered = self._queue(queue).popleft()
        self._tag += 1
        self._unacked[self._tag] = (queue, header, body)
        return self._tag, redelivered, (header, body)

    def _deliver(self, number: int) -> None:
        for consumer, queue in list(self._consumers.items()):
            while self._queue(queue):
                tag, redelivered, message = self._take(queue)
                method = spec.Basic.Deliver(consumer, tag, redelivered, "", queue)
                self._content(number, method, *message)

    def _content(self, number: int, method: Any, header: bytes, body: bytes) -> None:
        frames = [frame.Method(number, method).marshal(), header]
        if body:
            frames.append(frame.Body(number, body).marshal())
        self._pending.append((number, frames))

    def _answer(self, number: int, method: Any) -> None:
        self._pending.append((number, [frame.Method(number, method).marshal()]))


def blocking(kind: type[BlockingChannel] = BlockingChannel) -> BlockingChannel:
    """Return a channel of a blocking connection that never blocks."""
    wire = Wire()
    connection = object.__new__(BlockingConnection)
    connection._impl = wire
    connection._ready_events = deque()
    connection._channels_pending_dispatch = set()
    connection._event_dispatch_suspend_depth = 0
    connection._cleanup_mutex = threading.Lock()
    connection._flush_output = lambda *waiters: wire.pump()
    below = wire.open()
    channel = kind(below, connection)
    below._set_cookie(channel)
    return channel
