"""The record that says which operation a task works for."""

import asyncio
import random
import re
import threading

import pytest

from obskit import context
from obskit.context import DEBUG, PROCESS, RANDOM, SAMPLED, Context, FailedCall, Unit

pytestmark = pytest.mark.usefixtures("floor")

TRACE, SPAN = "a" * 32, "b" * 16


def attach(**named):
    """Attach the context of a new unit and return it."""
    here = Context(Unit.of("c-1", "inherited", TRACE, SPAN, **named), SPAN, None, {})
    context.attach(here)
    return here


def test_an_operation_can_ask_for_its_debug_lines(monkeypatch):
    """Whoever writes them hears of it; outside of a unit of work nothing happens."""
    heard = []
    monkeypatch.setattr(context, "on_debug", lambda: heard.append(1))
    context.debug_operation()
    context.attach(Context(PROCESS, "", None, {}))
    context.debug_operation()
    assert (heard, PROCESS.debug) == ([], False)

    here = attach()
    context.debug_operation()
    assert (heard, here.unit.debug, Unit.debug) == ([1], True, False)


def test_outside_of_a_unit_there_is_nothing():
    """Neither a context nor an ID, and it is no synthetic transaction."""
    assert context.current() is None
    assert context.correlation_id() is None
    assert context.is_synthetic() is False


def test_inside_of_a_unit_it_tells_of_the_operation():
    """The context knows what its unit knows."""
    here = attach(
        parent_span_id="d" * 16, causation_id="e" * 16, hop=3, caller="shop",
        synthetic="probe", baggage="a=1", flags=RANDOM,
    )  # fmt: skip

    assert context.current() is here
    assert context.correlation_id() == here.correlation_id == "c-1"
    assert (here.correlation_source, here.trace_id, here.causation_id) == (
        "inherited", TRACE, "e" * 16,
    )  # fmt: skip
    assert (here.hop, here.caller, here.synthetic, here.baggage) == (3, "shop", "probe", "a=1")
    assert here.sampled is False
    assert context.is_synthetic() is True
    assert repr(here) == f"<Context correlation_id=c-1 trace_id={TRACE} span_id={SPAN} hop=3>"


@pytest.mark.parametrize(
    ("flags", "sampled"), [(0, False), (RANDOM, False), (SAMPLED, True), (SAMPLED | DEBUG, True)]
)
def test_one_flag_says_whether_spans_are_kept(flags, sampled):
    """The others say something else."""
    assert attach(flags=flags).sampled is sampled


def test_the_last_failed_call_stands_first():
    """A unit without any has none."""
    unit = attach().unit
    assert unit.failed_call is None

    first, last = (FailedCall(peer, "timeout", None, None, "") for peer in "ab")
    unit.failed_calls = (last, first)
    assert unit.failed_call is last


def test_a_child_is_a_span_below():
    """It has a span of its own, the fields and the unit of its parent, and is not attached."""
    parent = attach()
    context.bind(order=7)
    parent = context.get()
    child = context.child(parent, exit=True)

    assert context.get() is parent
    assert (child.unit, child.parent_span_id, child.exit) == (parent.unit, SPAN, True)
    assert re.fullmatch("[0-9a-f]{16}", child.span_id)
    assert child.span_id != SPAN
    assert child.fields == {"order": 7}


def test_what_is_bound_stands_on_further_lines_and_on_the_unit():
    """The context that was attached before does not change: others may hold it."""
    before = attach()
    context.bind(order=7, user="ada")
    context.bind(user="bob")

    assert context.get().fields == before.unit.fields == {"order": 7, "user": "bob"}
    assert before.fields == {}
    assert context.get().span_id == SPAN


def test_what_a_thread_binds_reaches_the_unit():
    """A thread has its own context, and the bag is one for all."""
    here = attach()

    def work():
        context.attach(here)
        context.bind(order=7)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert here.unit.fields == {"order": 7}
    assert context.get().fields == {}


async def test_what_a_task_binds_reaches_the_unit():
    """A task has a copy of the context, and the bag is one for all."""
    here = attach()

    async def work():
        context.bind(order=7)

    await asyncio.create_task(work())
    assert here.unit.fields == {"order": 7}
    assert context.get().fields == {}


def test_unbinding_takes_fields_off_further_lines():
    """The summary of the unit keeps what was bound on the way, unknown names are ignored."""
    here = attach()
    context.bind(order=7, user="ada")
    context.unbind("order", "unknown")

    assert context.get().fields == {"user": "ada"}
    assert here.unit.fields == {"order": 7, "user": "ada"}


def test_unbinding_outside_of_everything_does_nothing():
    """It attaches nothing."""
    context.unbind("order")

    assert context.get() is None


def test_what_is_bound_at_start_up_belongs_to_the_process():
    """It is no unit of work, has no ID, and nothing is kept for a summary."""
    context.bind(shard=3)

    assert context.get().fields == {"shard": 3}
    assert context.get().unit is PROCESS
    assert context.current() is None
    assert context.correlation_id() is None
    assert context.get().correlation_id is None
    assert PROCESS.fields == {}


def test_a_copy_with_other_fields_is_the_same_place():
    """Span, parent and exit stay."""
    here = context.child(attach(), exit=True)
    other = context.with_fields(here, {"a": 1})

    assert (other.unit, other.span_id, other.parent_span_id, other.exit) == (
        here.unit, here.span_id, here.parent_span_id, True,
    )  # fmt: skip
    assert (other.fields, here.fields) == ({"a": 1}, {})
    assert other.rendered is None


def test_ids_are_not_repeated_by_a_seed():
    """Applications seed `random`, and replicas would then share their IDs."""
    ids = set()
    for _ in range(3):
        random.seed(1)
        ids |= {context.new_trace_id(), context.new_span_id()}

    assert len(ids) == 6
    assert {len(one) for one in ids} == {16, 32}
    assert all(re.fullmatch("[0-9a-f]+", one) for one in ids)
