"""Observing blocks, and beginning operations that no request began."""

import asyncio
import contextvars
import threading

import pytest

from obskit import clock, context, health, observation, propagation
from obskit.observation import Kind, message_context, observe, unit_of_work

pytestmark = pytest.mark.usefixtures("floor")

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADERS = {"X-Correlation-ID": "c-1", "traceparent": f"00-{TRACE}-{SPAN}-01"}


def test_a_block_is_observed(ended):
    """Name, attributes and what is noted inside."""
    with unit_of_work("job"):
        with observe("charge card", amount=7) as work:
            work.attributes["card"] = "visa"
            assert context.get() is work.context

    first = ended[0]
    assert first is work
    assert (first.name, first.kind, first.protocol) == ("charge card", Kind.INTERNAL, "")
    assert first.attributes == {"amount": 7, "card": "visa"}
    assert (first.outcome, first.error) == ("ok", None)
    assert first.context.parent_span_id == ended[1].context.span_id


def test_an_error_goes_through_a_block(ended):
    """The same object, and the block knows it."""
    error = ValueError("x")
    with pytest.raises(ValueError) as caught, observe("charge card"):
        raise error

    assert caught.value is error
    assert (ended[0].error, ended[0].outcome) == (error, "server_error")
    assert context.get() is None


async def test_a_block_is_observed_in_coroutines(ended):
    """Across what is awaited inside."""
    async with observe("outer") as outer:
        await asyncio.sleep(0)
        async with observe("inner") as inner:
            await asyncio.sleep(0)
            assert context.get() is inner.context
        assert context.get() is outer.context
    with pytest.raises(ValueError):
        async with observe("failing"):
            raise ValueError

    assert [(one.name, one.outcome) for one in ended] == [
        ("inner", "ok"), ("outer", "ok"), ("failing", "server_error"),
    ]  # fmt: skip


def test_a_block_outside_of_a_unit_is_an_operation(ended):
    """A script's first block has an ID of its own."""
    with observe("import catalog"):
        first = context.correlation_id()
    with observe("import catalog"):
        assert context.correlation_id() not in (None, first)

    assert context.get() is None


def test_one_block_may_be_entered_again(ended):
    """Within itself and afterwards; attributes are not shared."""
    block = observe("step", a=1)
    with block as outer:
        with block as inner:
            inner.attributes["b"] = 2
            assert inner.context.parent_span_id == outer.context.span_id
        assert context.get() is outer.context
    with block as again:
        pass

    assert ended == [inner, outer, again]
    assert (outer.attributes, again.attributes) == ({"a": 1}, {"a": 1})


async def test_one_block_may_be_shared_by_tasks(ended):
    """Each leaves what it has entered itself."""
    block = observe("step")

    async def work(turns):
        with unit_of_work("job") as job, block as step:
            for _ in range(turns):
                await asyncio.sleep(0)
            assert context.get() is step.context
        return step.context.unit is job.context.unit and context.get() is None

    assert all(await asyncio.gather(*(work(5 - number) for number in range(5))))
    assert len({one.context.span_id for one in ended}) == 10
    assert {one.outcome for one in ended} == {"ok"}


def test_one_block_may_be_shared_by_threads(ended):
    """Each leaves what it has entered itself."""
    block, both = observe("step"), threading.Barrier(2)
    found = []

    def work():
        with block as step:
            both.wait(10)
            found.append(context.get() is step.context)
            both.wait(10)
        found.append(context.get())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found, key=str) == [None, None, True, True]
    assert len(ended) == 2


def test_a_block_may_be_left_elsewhere(ended):
    """The end of a test's fixture runs in a copy of the context of its beginning."""
    block = observe("fixture")
    contextvars.copy_context().run(block.__enter__)
    contextvars.copy_context().run(block.__exit__, None, None, None)

    assert [one.name for one in ended] == ["fixture"]
    assert not health.internal_errors


def test_blocks_may_be_left_out_of_order(ended):
    """Each ends what it has begun."""
    one, two = observe("one"), observe("two")
    with unit_of_work("job") as job:
        one.__enter__()
        two.__enter__()
        one.__exit__(None, None, None)
        two.__exit__(None, None, None)
        assert context.get().span_id == job.context.span_id

    assert [work.name for work in ended] == ["one", "two", "job"]


def test_leaving_what_was_not_entered_is_contained(ended):
    """It is counted and harms nobody."""
    observe("step").__exit__(None, None, None)

    assert health.internal_errors == {"observation.exit": 1}
    assert ended == []


def test_suppressed_blocks_run_unobserved(ended):
    """What is entered while suppressed is left as such."""
    with observation.suppress(), observe("step") as step, unit_of_work("job"):
        step.attributes["a"] = 1
        assert context.get() is None
    block = observe("step")
    with observation.suppress():
        block.__enter__()
    block.__exit__(None, None, None)

    assert ended == []
    assert not health.internal_errors


def test_a_unit_of_work_begins_an_operation(ended):
    """Also within another one: it is a task with a name."""
    with unit_of_work("outer"):
        outer = context.get()
        with unit_of_work("nightly billing", shop=7) as job:
            assert context.correlation_id() != outer.correlation_id
            assert context.get().parent_span_id is None
        assert context.get() is outer

    assert (job.kind, job.entry, job.protocol) == (Kind.INTERNAL, True, "task")
    assert job.labels == {"task_name": "nightly billing"}
    assert job.attributes == {"shop": 7}
    assert job.context.correlation_source == "generated"


def test_a_unit_of_work_takes_the_id_that_it_is_given():
    """The source says that somebody chose it."""
    with unit_of_work("job", "order-7"):
        assert context.correlation_id() == "order-7"
        assert context.current().correlation_source == "given"
        assert context.current().trace_id != "order-7"


@pytest.mark.parametrize(
    ("given", "reason"),
    [("", "empty"), ("a b", "characters"), ("x" * 129, "too_long"), ("a\nb", "characters")],
)
def test_an_unfit_id_that_is_given_is_replaced(given, reason):
    """The program's own ID is held to the same rules, and counted by reason."""
    with unit_of_work("job", given) as job:
        assert context.correlation_id() not in (None, given)
        assert context.current().correlation_source == "invalid"
        assert job.invalid_id == reason


def test_a_given_id_has_lost_no_clock():
    """Nobody has sent it, so there is no hop that is broken."""
    with unit_of_work("job", "order-1"):
        assert "lc_broken" not in clock.tick()


def test_a_given_id_of_another_type_is_taken_as_text():
    """People number their jobs."""
    with unit_of_work("job", correlation_id=7):
        assert context.correlation_id() == "7"


def test_a_unit_of_work_continues_a_carrier():
    """With the ID that is given in place of the carrier's."""
    with unit_of_work("job", carrier=HEADERS):
        assert context.correlation_id() == "c-1"
        assert context.current().correlation_source == "inherited"
        assert context.current().trace_id == TRACE
    with unit_of_work("job", "mine", carrier=HEADERS):
        assert context.correlation_id() == "mine"
        assert context.current().correlation_source == "given"
        assert context.current().trace_id == TRACE
    assert HEADERS["X-Correlation-ID"] == "c-1"


def test_a_given_id_counts_under_any_name_of_the_header():
    """And where no ID is sent on at all."""
    propagation.configure(propagation.Policy(correlation_header="X-Trace-Me"))
    with unit_of_work("job", "mine"):
        assert context.correlation_id() == "mine"
    propagation.configure(propagation.Policy(propagate=frozenset({"b3"}), trust="edge"))
    with unit_of_work("job", "mine"):
        assert context.correlation_id() == "mine"


@pytest.mark.parametrize("name", [None, "", " ", 7, b"job", ["job"], object()])
def test_a_block_whose_name_is_unusable_is_unnamed(ended, name):
    """The program works, and is told once that it has named nothing."""
    reports = []
    health.on_first_error(lambda *report: reports.append(report))
    blocks = [unit_of_work(name), observe(name), message_context({}, name)]
    for block in blocks:
        with block:
            assert block(lambda: 7)() == 7

    assert {one.name for one in ended} == {"unnamed"}
    tasks = [one.labels for one in ended if one.protocol == "task"]
    assert tasks == [{"task_name": "unnamed"}] * 4
    assert [place for place, _ in reports] == ["observation.name"]
    assert health.internal_errors == {"observation.name": len(blocks)}


def test_a_unit_of_work_as_a_decorator(ended):
    """Each call begins an operation of its own."""

    @unit_of_work("job")
    def job():
        return context.correlation_id()

    ids = {job(), job()}
    assert len(ids) == 2
    assert None not in ids
    assert [one.labels for one in ended] == [{"task_name": "job"}] * 2


class Message:
    """What a library hands over."""

    def __init__(self, headers):
        self.headers = headers


@pytest.mark.parametrize(
    "message",
    [
        HEADERS,
        list(HEADERS.items()),
        Message(HEADERS),
        Message([(name, value.encode()) for name, value in HEADERS.items()]),
    ],
    ids=["mapping", "pairs", "message", "bytes"],
)
def test_the_operation_of_a_message_is_continued(message, ended):
    """Afterwards the consumer's own is back."""
    with unit_of_work("consume"):
        outer = context.get()
        with message_context(message, "order placed") as work:
            assert (context.correlation_id(), context.current().trace_id) == ("c-1", TRACE)
        assert context.get() is outer

    assert (work.kind, work.name, work.labels) == (
        Kind.CONSUMER, "order placed", {"task_name": "order placed"},
    )  # fmt: skip


def test_a_message_that_says_nothing_begins_an_operation():
    """Its source is the message."""
    with message_context({}):
        assert context.current().correlation_source == "message"
    with message_context(object()):
        assert context.current().correlation_source == "message"


def test_each_message_of_a_batch_has_its_own_context(ended):
    """And none has that of the one before."""
    ids = []
    for number in range(3):
        with message_context({"x-correlation-id": f"c-{number}"}):
            ids.append(context.correlation_id())
        assert context.get() is None

    assert ids == ["c-0", "c-1", "c-2"]


def test_a_failing_message_is_its_own_failure(ended):
    """The error goes through to the consumer."""
    with pytest.raises(ValueError), message_context(HEADERS):
        raise ValueError

    assert [one.outcome for one in ended] == ["server_error"]
    assert context.get() is None


def test_what_is_bound_in_a_block_is_on_the_units_summary(ended):
    """However deep."""
    with unit_of_work("job") as job:
        with observe("a"), observe("b"):
            context.bind(order=7)
        assert context.get().fields == {"order": 7}

    assert job.context.unit.fields == {"order": 7}
