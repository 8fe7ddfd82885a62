"""A folder as the broker: kombu's filesystem transport, for several programs at once.

By itself it may read a message that is half written, and a list of queues likewise.
"""

import contextlib
import fcntl
import os
import time
import uuid
from pathlib import Path

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps

TRANSPORT_ALIASES["folder"] = "folder:Transport"


def settings(url):
    """Return the URL without the folder, and the transport's options with it."""
    place = Path(url.removeprefix("folder://"))
    waiting, taken, exchanges = (place / name for name in ("waiting", "taken", "exchanges"))
    for folder in (waiting, taken, exchanges):
        folder.mkdir(parents=True, exist_ok=True)
    return "folder://localhost", {
        "data_folder_in": str(waiting),
        "data_folder_out": str(waiting),
        "processed_folder": str(taken),
        "store_processed": True,
        "control_folder": str(exchanges),
        "polling_interval": 0.1,
    }


class Channel(filesystem.Channel):
    """A channel whose messages and lists are there as a whole, or not at all."""

    def _put(self, queue, payload, **kwargs):
        if payload.get("redelivered"):  # kombu writes this where it does not read it
            payload["properties"]["delivery_info"]["redelivered"] = True
        path = Path(self.data_folder_out, f"{time.time_ns()}_{uuid.uuid4()}.{queue}.msg")
        part = path.with_suffix(".part")
        part.write_text(dumps(payload), encoding="utf-8")
        part.rename(path)

    def get_table(self, exchange):
        with self._alone():
            return super().get_table(exchange)

    def _queue_bind(self, *args, **kwargs):
        with self._alone():
            super()._queue_bind(*args, **kwargs)

    @contextlib.contextmanager
    def _alone(self):
        descriptor = os.open(self.control_folder / "lock", os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


class Transport(filesystem.Transport):
    """The transport that goes by ``folder://PATH`` here."""

    Channel = Channel
