"""Hooks around calls that return streams."""

import asyncio
import gc

import pytest

from obskit import clock, context, observation
from obskit.instrumentation._drive import Switch
from obskit.instrumentation._stream import stream
from obskit.observation import Kind, Observation

SOURCE = """
from obskit import context
seen = []

def chunks(n, fail=False):
    for i in range(n):
        seen.append(context.get())
        yield i
    if fail:
        raise LookupError("broken")

class Reply:
    extra = "kept"
    def __init__(self, items):
        self.items = items
        self.closed = False
    def __iter__(self):
        return iter(self.items)
    def close(self):
        self.closed = True

def reply(n):
    return Reply(list(range(n)))

async def opened(n):
    return achunks(n)

async def achunks(n, fail=False):
    for i in range(n):
        seen.append(context.get())
        yield i
    if fail:
        raise LookupError("broken")

def refused(n):
    raise LookupError("refused")
"""


def hook(call):
    work = Observation("ask", Kind.CLIENT)
    work.attributes["type"] = type((yield work)).__name__


@pytest.fixture
def module(library, observed):
    """Give the toy with every function streaming."""
    module = library("obskit_toy_stream", SOURCE)
    switch = Switch("toy")
    switch.on = True
    for name in ("chunks", "reply", "opened", "achunks", "refused"):
        target = vars(stream("obskit_toy_stream", name)(lambda call: hook(call)))
        made = target["obskit_targets"][0]
        setattr(module, name, made.make(getattr(module, name), False, hook, switch))
    return module


def test_the_observation_ends_with_the_stream(module, observed):
    """It lasts until the last item was taken."""
    stream = module.chunks(3)
    first = next(stream)

    assert not observed
    assert [first, *stream] == [0, 1, 2]
    assert [work.outcome for work in observed] == ["ok"]
    assert observed[0].attributes == {"type": "generator"}


def test_each_step_runs_in_the_context_of_the_call(module, observed):
    """The stream's code has the span of the call, the code between the steps its own."""
    with observation.unit_of_work("outer"):
        outer, position = context.get(), clock.current()
        for _ in module.chunks(2):
            assert context.get() is outer
            assert clock.current() == position

    spans = {seen.span_id for seen in module.seen}
    assert spans == {observed[0].context.span_id}
    assert observed[0].context.parent_span_id == outer.span_id


def test_closing_early_ends_it(module, observed):
    """Who has enough closes, and that is no error."""
    stream = module.chunks(3)
    next(stream)
    stream.close()

    assert [work.outcome for work in observed] == ["ok"]


def test_an_error_ends_it(module, observed):
    """The stream's error arrives unchanged and is noted."""
    with pytest.raises(LookupError, match="broken"):
        list(module.chunks(1, fail=True))

    assert isinstance(observed[0].error, LookupError)


def test_a_call_that_fails_ends_at_once(module, observed):
    """No stream, no waiting."""
    with pytest.raises(LookupError, match="refused"):
        module.refused(1)

    assert isinstance(observed[0].error, LookupError)
    assert context.get() is None


def test_a_forgotten_stream_ends_when_it_is_collected(module, observed):
    """Nobody has to close: the garbage collector tells."""
    next(module.chunks(3))
    gc.collect()

    assert len(observed) == 1


def test_the_reply_keeps_what_it_has(module, observed):
    """An iterable reply object keeps its attributes, type and methods."""
    reply = module.reply(2)

    assert reply.extra == "kept"
    assert isinstance(reply, module.Reply)
    assert list(reply) == [0, 1]
    assert len(observed) == 1
    reply.close()
    assert reply.closed
    assert len(observed) == 1


async def test_async_streams_end_likewise(module, observed):
    """Async generators are observed from call to exhaustion."""
    items = []
    async for item in module.achunks(3):
        items.append(item)
        assert context.get() is None

    assert items == [0, 1, 2]
    assert len(observed) == 1
    assert {seen.span_id for seen in module.seen} == {observed[0].context.span_id}


async def test_a_stream_that_is_awaited_first(module, observed):
    """A coroutine that returns an async stream is observed until its end."""
    stream = await module.opened(2)

    assert not observed
    assert [item async for item in stream] == [0, 1]
    assert observed[0].attributes == {"type": "async_generator"}


async def test_async_streams_may_be_closed_early(module, observed):
    """Closing an async stream ends its observation."""
    stream = module.achunks(3)
    await anext(stream)
    await stream.aclose()

    assert [work.outcome for work in observed] == ["ok"]


async def test_an_async_error_ends_it(module, observed):
    """The error arrives unchanged."""
    with pytest.raises(LookupError, match="broken"):
        async for _ in module.achunks(1, fail=True):
            pass

    assert isinstance(observed[0].error, LookupError)


async def test_a_stream_may_be_finished_by_another_task(module, observed, broken):
    """A stream that is opened here and read there raises nothing about contexts."""
    stream = module.achunks(2)
    await anext(stream)

    async def rest():
        return [item async for item in stream]

    assert await asyncio.create_task(rest()) == [1]
    assert len(observed) == 1
    assert not broken
