"""Hooks on calls that fetch messages."""

import asyncio
import contextlib
import inspect
import sys

import pytest

from obskit import context, conventions, observation
from obskit.instrumentation import _pulls
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
    def loop(self):
        try:
            while self.waiting:
                self.given = yield self.waiting.pop(0)
        except KeyError:
            yield {"x-correlation-id": "thrown"}
        finally:
            self.closed = True
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
    for name in ("poll", "__next__", "loop", "getone"):
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


def test_each_item_of_a_generator_is_a_message(module, observed):
    """The body of the loop has the ID of its item, and the end of the loop ends the last one."""
    consumer = module.Consumer(["a", "b"])
    ids = [context.correlation_id() for _ in consumer.loop()]

    assert ids == ["a", "b"]
    assert [work.outcome for work in observed] == ["ok", "ok"]
    assert context.get() is None
    assert inspect.isgenerator(consumer.loop())
    assert inspect.isgeneratorfunction(module.Consumer.loop)
    with pytest.raises(TypeError, match="loop"):
        consumer.loop(1)


def test_a_loop_that_is_left_is_over(module, observed):
    """By break or return: the last message has gone well, and nothing of it stays."""
    consumer = module.Consumer(["a", "b"])
    for _ in consumer.loop():
        break

    assert consumer.closed
    assert [work.outcome for work in observed] == ["ok"]
    assert context.get() is None


def test_a_loop_that_an_error_leaves_has_failed(module, observed):
    """The generator is not told the error; it is looked for, and what has failed is not well."""
    with contextlib.suppress(ValueError):
        for _ in module.Consumer(["a"]).loop():
            int("x")

    found = ValueError if sys.version_info >= (3, 12) else type(None)
    assert [(work.outcome, type(work.error)) for work in observed] == [("server_error", found)]
    assert context.get() is None


def test_an_error_after_a_failed_call_is_the_dependencys(module, observed):
    """Whose fault it was is known with the error and without it."""
    error = OSError()
    with contextlib.suppress(ValueError):
        for _ in module.Consumer(["a"]).loop():
            call = conventions.http_client("GET", "http://shop/")
            observation.start(call)
            observation.end(call, error)
            raise ValueError from error

    assert [work.outcome for work in observed] == ["dependency", "dependency"]


def test_an_error_that_closes_a_loop_is_known(module, observed):
    """Closed while it is handled, as `contextlib.closing` does."""
    with contextlib.suppress(ValueError):
        with contextlib.closing(module.Consumer(["a"]).loop()) as messages:
            for _ in messages:
                int("x")

    assert [(work.outcome, type(work.error)) for work in observed] == [("server_error", ValueError)]


def test_what_is_sent_or_thrown_into_a_generator_arrives(module, observed):
    """An error ends the work on the message at hand; the generator may go on."""
    consumer = module.Consumer(["a", "b"])
    messages = consumer.loop()
    next(messages)
    messages.send("given")
    assert consumer.given == "given"
    messages.throw(KeyError("mine"))
    assert context.correlation_id() == "thrown"

    assert [type(work.error) for work in observed] == [type(None), KeyError]
    with pytest.raises(ValueError):
        messages.throw(ValueError("mine"))
    assert context.get() is None


def test_a_generator_that_is_made_for_one_message_holds_it(module, observed):
    """``next(consumer.loop())`` leaves no loop: the work goes on until the next one."""
    consumer = module.Consumer(["a", "b"])
    ids = []
    for _ in range(2):
        next(consumer.loop())
        ids.append(context.correlation_id())

    assert ids == ["a", "b"]
    assert len(observed) == 1
    consumer.close()
    assert context.get() is None


def test_a_message_that_is_fetched_within_a_loop_ends_there(module, observed):
    """The loop's own message goes on beneath it, and after it."""
    consumer = module.Consumer(["a", "b"])
    ids = []
    for _ in consumer.loop():
        consumer.poll()
        ids.append(context.correlation_id())
        consumer.poll()
        ids.append(context.correlation_id())

    assert ids == ["b", "a"]
    assert [work.context.correlation_id for work in observed] == ["b", "a"]
    assert context.get() is None


def test_a_message_that_was_fetched_within_a_loop_ends_before_the_loops_own(module, observed):
    """Whatever lies above a message is over first."""
    consumer = module.Consumer(["a", "b"])
    for _ in consumer.loop():
        consumer.poll()

    assert [work.context.correlation_id for work in observed] == ["b", "a"]
    assert context.get() is None


def test_an_error_that_closes_the_consumer_is_known(module, observed):
    """``finally: consumer.close()`` while an error passes."""
    consumer = module.Consumer(["a"])
    with pytest.raises(ValueError):
        try:
            consumer.poll()
            int("x")
        finally:
            consumer.close()

    assert [type(work.error) for work in observed] == [ValueError]


def test_an_error_from_before_is_not_the_messages(module, observed):
    """A program may begin again while it handles what has ended its first connection."""
    consumer = module.Consumer(["a", "b"])
    try:
        int("x")
    except ValueError:
        consumer.poll()
        consumer.close()

    assert [(work.outcome, work.error) for work in observed] == [("ok", None)]


def test_a_lost_consumer_holds_nothing_for_ever(module, observed):
    """The next one in its place begins without the message that nobody will end."""
    lost, other = module.Consumer(["a"]), module.Consumer(["b"])
    other.poll()
    lost.poll()
    assert context.correlation_id() == "a"
    _pulls.let_go_of_lost(lambda consumer: consumer is lost)

    assert context.correlation_id() == "b"
    assert [work.context.correlation_id for work in observed] == ["a"]
    _pulls.let_go_of_lost(lambda consumer: consumer is lost)
    assert len(observed) == 1
    with observation.unit_of_work("elsewhere"):
        _pulls.let_go_of_lost(lambda consumer: True)
    assert context.correlation_id() == "b"
    other.close()
