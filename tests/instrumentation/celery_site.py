"""A Celery application in memory, whose tasks are carried out one by one, in the test's thread."""

import itertools
from typing import Any

from celery import Celery
from celery.app import trace
from celery.worker.request import Request
from kombu import Connection

from obskit import context

# Give up at once where no broker is.
AT_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}

_numbers = itertools.count()


class Site:
    """An application with a queue of its own.

    ``task(...)`` declares tasks, ``tell`` is one; ``work()`` carries out what waits, until
    nothing does.
    """

    def __init__(self, kind: type = Celery, queue: str = "", **settings: Any) -> None:
        self.queue = queue or f"queue-{next(_numbers)}"
        self.app = kind(self.queue, broker="memory://", set_as_current=False)
        self.app.conf.update(
            task_default_queue=self.queue,
            broker_connection_retry_on_startup=True,
            result_backend="cache+memory://",
            **settings,
        )
        self.requests: list[Request] = []
        told: list[str | None] = []
        self.told = told

        def tell(*_: Any) -> int:
            """Remember the correlation ID of where this is called."""
            told.append(context.correlation_id())
            return len(told)

        self.tell = self.task(name="tell")(tell)

    def task(self, **options: Any) -> Any:
        """Declare a task of this application alone."""
        return self.app.task(shared=False, **options)

    def messages(self) -> list[Any]:
        """Take what waits in the queue."""
        found = []
        with self.app.connection_for_read() as connection:
            box = connection.SimpleQueue(self.queue)
            while box.qsize():
                found.append(box.get(block=False))
                found[-1].ack()
            box.close()
        return found

    def request(self, message: Any, **more: Any) -> Request:
        """Return what a worker makes of a message."""
        message.headers.update(more)
        return Request(message, app=self.app, on_ack=lambda *_: None, on_reject=lambda *_: None)

    def work(self, most: int = 30) -> None:
        """Carry out what waits, and what that sends."""
        for _ in range(most):
            waiting = self.messages()
            if not waiting:
                return
            for message in waiting:
                request = self.request(message)
                self.requests.append(request)
                prepare(self.app, request.task)
                request.execute()
        raise AssertionError(f"there is no end of tasks in {self.queue}")


def prepare(app: Celery, task: Any) -> None:
    """Make the function around each run of *task*, as a worker does when it starts."""
    if task.__trace__ is None:
        task.__trace__ = trace.build_tracer(task.name, task, app=app)


def refused() -> Connection:
    """Return a connection to where no broker is."""
    return Connection("amqp://guest:guest@127.0.0.1:9//", transport_options=AT_ONCE)
