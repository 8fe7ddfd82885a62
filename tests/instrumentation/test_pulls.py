"""Hooks on calls that fetch messages."""

import asyncio
import sys

import pytest

from obskit import context, conventions, observation
from obskit.instrumentation._drive import Switch
from obskit.instrumentation._pulls import pulls

SOURCE = """
class Consumer:
    def __init__(self, ids):
        self.waiting = [{"x-correlation-id": one} for one in ids]
        self.closed = False
    def poll(self):
        return self.waiting.pop(0) if self.waiting else None
    def __iter__(self):
        return self
    def __next__(self):
        if not self.waiting:
            raise StopIteration
        return self.waiting.pop(0)
    async def getone(self):
        return self.waiting.pop(0) if self.waiting else None
    def close(self):
        self.closed = True
"""


def message(call, record):
    if record.get("ignored"):
        return None
    return conventions.consumer("toy", "orders", carrier=record)


@pytest.fixture
def module(library, observed):
    """Give the toy with its consumer's pulls observed."""
    module = library("obskit_toy_pulls", SOURCE)
    switch = module.switch = Switch("toy")
    switch.on = True
    marked = message
    vars(marked).pop("obskit_targets", None)
    for name in ("poll", "__next__", "getone"):
        close = "Consumer.close" if name == "poll" else ""
        pulls("obskit_toy_pulls", f"Consumer.{name}", close=close)(marked)
    for target in marked.obskit_targets:
        name = target.path.rpartition(".")[2]
        original = vars(module.Consumer)[name]
        setattr(module.Consumer, name, target.make(original, True, marked, switch))
    return module


def test_the_body_of_the_loop_has_the_message_id(module, observed):
    """Each message's lines carry its ID, until the next one comes."""
    consumer = module.Consumer(["a", "b"])
    ids = []
    while consumer.poll() is not None:
        ids.append((context.correlation_id(), len(observed)))

    assert ids == [("a", 0), ("b", 1)]
    assert [work.context.correlation_id for work in observed] == ["a", "b"]
    assert context.get() is None


def test_an_iterator_is_a_pull_too(module, observed):
    """The end of the loop ends the last message."""
    ids = [context.correlation_id() for _ in module.Consumer(["a", "b"])]

    assert ids == ["a", "b"]
    assert len(observed) == 2
    assert context.get() is None


def test_after_a_break_the_last_id_stays_until_close(module, observed):
    """The work on a message goes on after its loop."""
    consumer = module.Consumer(["a", "b"])
    for _ in consumer:
        break
    assert context.correlation_id() == "a"
    consumer.close()

    assert consumer.closed
    assert context.correlation_id() is None
    assert len(observed) == 1


def test_two_consumers_in_one_task_end_their_own_messages(module, observed):
    """The ID is that of the message fetched last, and each ends at its own consumer's next pull."""
    one, two = module.Consumer(["a", "c"]), module.Consumer(["b"])
    one.poll()
    two.poll()
    assert context.correlation_id() == "b"
    one.poll()

    assert context.correlation_id() == "c"
    assert [work.context.correlation_id for work in observed] == ["a"]


def test_a_message_that_is_not_wanted_is_not_observed(module, observed):
    """A hook may decline a message."""
    consumer = module.Consumer([])
    consumer.waiting.append({"ignored": True})

    assert consumer.poll() == {"ignored": True}
    assert context.get() is None
    assert not observed


def test_an_open_message_ends_when_its_row_is_off(module, observed):
    """Switched off in the loop, the message at hand still ends."""
    consumer = module.Consumer(["a", "b"])
    consumer.poll()
    module.switch.on = False
    consumer.poll()

    assert len(observed) == 1
    assert context.get() is None


async def test_async_pulls_hold_too(module, observed):
    """Awaiting the next message in the loop's own task keeps its context."""
    consumer = module.Consumer(["a", "b"])
    ids = []
    while await consumer.getone() is not None:
        ids.append(context.correlation_id())

    assert ids == ["a", "b"]
    assert len(observed) == 2


async def test_wait_for_keeps_the_context_where_the_language_does(module):
    """In a task of its own the pull cannot reach the loop: before Python 3.12 `wait_for` is one."""
    consumer = module.Consumer(["a"])
    await asyncio.wait_for(consumer.getone(), 1)

    assert context.correlation_id() == ("a" if sys.version_info >= (3, 12) else None)


async def test_a_task_for_each_message_keeps_its_id(module):
    """Tasks that are started for a message go on with its ID."""
    consumer = module.Consumer(["a", "b"])
    tasks = []

    async def work():
        await asyncio.sleep(0)
        return context.correlation_id()

    while await consumer.getone() is not None:
        tasks.append(asyncio.create_task(work()))

    assert await asyncio.gather(*tasks) == ["a", "b"]


def test_a_broken_hook_loses_no_message(module, broken, monkeypatch):
    """The message arrives even if nobody can read its headers."""
    monkeypatch.setattr(conventions, "consumer", None)

    assert module.Consumer(["a"]).poll() == {"x-correlation-id": "a"}
    assert broken == {"hook.message": 1}


def test_a_pull_within_a_unit_of_work_gives_it_back(module):
    """After the last message the work around the loop goes on under its own ID."""
    with observation.unit_of_work("batch", correlation_id="outer"):
        consumer = module.Consumer(["a"])
        while consumer.poll() is not None:
            assert context.correlation_id() == "a"
        assert context.correlation_id() == "outer"
