"""Observing each call of a function."""

import asyncio
import functools
import inspect
import pickle

import pytest

from obskit import clock, context, observation
from obskit.observation import observe, unit_of_work
from obskit.observation.decorate import decorate

pytestmark = pytest.mark.usefixtures("floor")


def span():
    """Return the span that this runs in."""
    return None if context.get() is None else context.get().span_id


@observe("plain")
def plain(a, b=2):
    """Add."""
    return a + b, span()


@observe("coroutine")
async def coroutine(a):
    """Wait."""
    await asyncio.sleep(0)
    return a, span()


@observe("generator")
def generator(count):
    """Count, and say what was sent."""
    got = []
    for number in range(count):
        sent = yield number, span()
        got.append(sent)
    return got


@observe("async generator")
async def async_generator(count):
    """Count."""
    for number in range(count):
        await asyncio.sleep(0)
        yield number, span()


async def test_each_kind_of_function_stays_what_it_is():
    """Frameworks ask by inspect what to do with one."""
    assert inspect.isfunction(plain)
    assert not inspect.iscoroutinefunction(plain)
    assert inspect.iscoroutinefunction(coroutine)
    assert inspect.isgeneratorfunction(generator)
    assert inspect.isasyncgenfunction(async_generator)
    assert (plain.__name__, plain.__doc__) == ("plain", "Add.")
    assert str(inspect.signature(plain)) == "(a, b=2)"
    assert pickle.loads(pickle.dumps(plain)) is plain


def test_a_call_is_observed(ended):
    """It has a span of its own, and its arguments and result go through."""
    with unit_of_work("job") as job:
        assert plain(1, b=4) == (5, ended[0].context.span_id)
        assert span() == job.context.span_id

    assert [one.name for one in ended] == ["plain", "job"]


async def test_a_call_of_a_coroutine_is_observed(ended):
    """From the first step to the last."""
    assert await coroutine(7) == (7, ended[0].context.span_id)
    assert span() is None


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), StopIteration()])
def test_an_error_goes_through(ended, error):
    """The same object; the frames end in the user's function."""

    @observe("failing")
    def failing():
        raise error

    with pytest.raises(type(error)) as caught:
        failing()
    assert caught.value is error
    assert caught.traceback[-1].name == "failing"
    assert ended[0].error is error
    assert span() is None


async def test_an_error_of_a_coroutine_goes_through(ended):
    """A cancellation too, and it says that nobody waits."""

    @observe("failing")
    async def failing():
        await asyncio.sleep(10)

    task = asyncio.create_task(failing())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended[0].outcome == "cancelled"


def test_a_generator_is_observed_until_its_end(ended):
    """Each step runs in its span, what runs between the steps does not."""
    with unit_of_work("job") as job:
        steps = generator(2)
        assert span() == job.context.span_id
        first = next(steps)
        assert first[1] not in (None, job.context.span_id)
        assert span() == job.context.span_id
        assert ended == []
        assert steps.send("a") == (1, first[1])
        with pytest.raises(StopIteration) as stop:
            steps.send("b")

    assert stop.value.value == ["a", "b"]
    assert [(one.name, one.outcome) for one in ended] == [("generator", "ok"), ("job", "ok")]


def test_a_generator_that_is_closed_early_is_fine(ended):
    """It has done what was wanted; its own clean-up runs in its span."""
    cleaned = []

    @observe("steps")
    def steps():
        try:
            yield 1
            yield 2
        finally:
            cleaned.append(span())

    running = steps()
    next(running)
    running.close()

    assert cleaned == [ended[0].context.span_id]
    assert (ended[0].outcome, ended[0].error) == ("ok", None)
    assert span() is None


def test_a_generator_that_was_never_begun_is_not_observed(ended):
    """Nothing was done."""
    generator(1).close()

    assert ended == []


def test_an_error_thrown_into_a_generator_arrives(ended):
    """It may handle it and go on, or let it through."""

    @observe("steps")
    def steps():
        try:
            yield 1
        except ValueError:
            yield "handled"

    running = steps()
    next(running)
    assert running.throw(ValueError()) == "handled"
    error = KeyError()
    with pytest.raises(KeyError) as caught:
        running.throw(error)
    assert caught.value is error
    assert ended[0].error is error


def test_yield_from_works_through_it(ended):
    """Values, results and errors go both ways."""

    def outer():
        return (yield from generator(2))

    running = outer()
    next(running)
    running.send("a")
    with pytest.raises(StopIteration) as stop:
        running.send("b")
    assert stop.value.value == ["a", "b"]


def test_generators_open_across_each_other_do_not_mix(ended):
    """Each step has its own span, and the caller keeps his."""
    with unit_of_work("job") as job:
        one, two = generator(3), generator(3)
        spans = [(next(one)[1], next(two)[1]) for _ in range(3)]
        assert span() == job.context.span_id
        one.close()
        two.close()

    assert len(set(spans)) == 1
    assert len(set(spans[0])) == 2


def test_a_generator_outside_of_a_unit_has_one_of_its_own(ended):
    """Its clock goes on from step to step, and the caller has none."""
    lines = []

    @observe("steps")
    def steps():
        for _ in range(2):
            lines.append(clock.tick())
            yield context.correlation_id()

    ids = set(steps())
    assert len(ids) == 1
    assert None not in ids
    assert [line[:7] for line in lines] == ['"lc":1,', '"lc":2,']
    assert clock.current() is None


def test_lines_within_and_between_steps_of_one_unit_are_one_chain(ended):
    """The steps surely follow what the caller did before."""
    lines = []

    @observe("steps")
    def steps():
        for _ in range(2):
            lines.append(clock.tick())
            yield

    with unit_of_work("job"):
        lines.extend(clock.tick() for _ in steps())

    numbers = [int(line.split('"lc":')[1].split(",")[0]) for line in lines]
    assert numbers == [1, 2, 3, 4]
    assert all("lc_after" not in line for line in lines)


async def test_an_async_generator_is_observed_until_its_end(ended):
    """Each step runs in its span, what runs between the steps does not."""
    async with unit_of_work("job") as job:
        spans = []
        async for _, inside in async_generator(3):
            assert span() == job.context.span_id
            spans.append(inside)

    assert len(set(spans)) == 1
    assert spans[0] == ended[0].context.span_id
    assert [(one.name, one.outcome) for one in ended] == [("async generator", "ok"), ("job", "ok")]


async def test_an_async_generator_that_is_closed_early_is_fine(ended):
    """It has done what was wanted; it may await while it is closed."""
    cleaned = []

    @observe("steps")
    async def steps():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            cleaned.append(span())

    running = steps()
    await anext(running)
    await running.aclose()

    assert cleaned == [ended[0].context.span_id]
    assert ended[0].outcome == "ok"


async def test_an_async_generator_is_sent_values_and_errors(ended):
    """Both arrive inside."""

    @observe("steps")
    async def steps():
        got = yield "first"
        try:
            yield got
        except ValueError:
            yield "handled"

    running = steps()
    assert await anext(running) == "first"
    assert await running.asend("sent") == "sent"
    assert await running.athrow(ValueError()) == "handled"
    with pytest.raises(StopAsyncIteration):
        await anext(running)
    assert ended[0].outcome == "ok"


async def test_an_async_generator_that_fails_is_a_failure(ended):
    """The error goes through."""

    @observe("steps")
    async def steps():
        yield 1
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        async for _ in steps():
            pass
    assert ended[0].outcome == "server_error"
    assert span() is None


class Callable:
    """An object that is called."""

    async def __call__(self):
        """Wait."""
        return span()


async def test_methods_partials_and_callable_objects_are_functions(ended):
    """Static and class methods stay what they are, and a coroutine is found behind an object."""

    class Shop:
        @observe("method")
        def method(self):
            return span()

        @observe("static")
        @staticmethod
        def static(a):
            return a

        @observe("class")
        @classmethod
        def of_class(cls):
            return cls

    made = Shop()
    assert made.method() == ended[0].context.span_id
    assert (made.static(7), Shop.static(8)) == (7, 8)
    assert (made.of_class(), Shop.of_class()) == (Shop, Shop)
    assert isinstance(vars(Shop)["static"], staticmethod)
    assert observe("partial")(functools.partial(plain, 1))()[0] == 3
    wrapped = observe("object")(Callable())
    assert inspect.iscoroutinefunction(wrapped)
    assert await wrapped() == ended[-1].context.span_id
    partial = observe("partial")(functools.partial(coroutine, 1))
    assert inspect.iscoroutinefunction(partial)


@pytest.mark.parametrize("thing", [7, "text", None, Callable])
def test_only_functions_can_be_observed(thing):
    """A class would stop being one."""
    with pytest.raises(TypeError, match="only functions can be observed"):
        decorate(thing, lambda: None)


async def test_suppressed_calls_are_not_observed(ended):
    """All four kinds give what they give."""
    with observation.suppress():
        assert plain(1) == (3, None)
        assert await coroutine(7) == (7, None)
        assert list(generator(2)) == [(0, None), (1, None)]
        assert [item async for item in async_generator(2)] == [(0, None), (1, None)]

    assert ended == []
