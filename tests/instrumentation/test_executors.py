"""Jobs of pools."""

import asyncio
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from obskit import clock, context, observation


def seen():
    """Return what a job sees."""
    current = context.get()
    if current is None:
        return None
    return current.correlation_id, current.trace_id, current.span_id, dict(current.fields)


def tick():
    """Return a line's clock."""
    return clock.tick()


def fail():
    """Raise."""
    raise LookupError("job")


@pytest.fixture
def threads(observed):
    """Give a pool of one thread."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


def test_a_job_belongs_to_its_submitter(threads):
    """Each job has the ID of its own request."""
    ids = []
    for name in ("a", "b"):
        with observation.unit_of_work("outer", correlation_id=name):
            ids.append(threads.submit(context.correlation_id).result())

    assert ids == ["a", "b"]


def test_the_worker_is_clean_after_a_job(threads):
    """Also after one that fails: the next job without a request has no ID."""
    with observation.unit_of_work("outer", correlation_id="abc"):
        with pytest.raises(LookupError, match="job"):
            threads.submit(fail).result()

    assert threads.submit(seen).result() is None
    assert threads.submit(tick).result() == ""


def test_map_carries_too(threads):
    """It submits."""
    with observation.unit_of_work("outer", correlation_id="abc"):
        assert list(threads.map(lambda _: context.correlation_id(), range(3))) == ["abc"] * 3


def test_arguments_and_results_are_unchanged(threads):
    """By place and by name."""

    def add(a, b, *, c):
        return a + b + c

    with observation.unit_of_work("outer"):
        assert threads.submit(add, 1, 2, c=3).result() == 6


async def test_run_in_executor_carries(observed):
    """The language loses the context here."""
    loop = asyncio.get_running_loop()
    with observation.unit_of_work("outer", correlation_id="abc"):
        assert await loop.run_in_executor(None, context.correlation_id) == "abc"
    assert await loop.run_in_executor(None, context.correlation_id) is None


async def test_to_thread_carries(observed):
    """The language does this by itself, and we do not disturb it."""
    with observation.unit_of_work("outer", correlation_id="abc"):
        assert await asyncio.to_thread(context.correlation_id) == "abc"
    assert await asyncio.to_thread(context.correlation_id) is None


async def test_tasks_inherit(observed):
    """The language does this, too; a task that outlives its request keeps the ID."""
    with observation.unit_of_work("outer", correlation_id="abc"):
        task = asyncio.create_task(asyncio.sleep(0.01, result=None))
        ids = asyncio.create_task(_later())
    await task

    assert await ids == "abc"


async def _later():
    await asyncio.sleep(0.01)
    return context.correlation_id()


@pytest.fixture(params=["fork", "spawn"])
def processes(observed, request):
    """Give a pool of one process, which starts with its first job."""
    methods = multiprocessing.get_context(request.param)
    with ProcessPoolExecutor(1, mp_context=methods) as pool:
        yield pool


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_worker_process_shows_no_stale_id(processes):
    """The worker is forked in one request and works for the next ones."""
    facts = []
    for name in ("a", "b"):
        with observation.unit_of_work("outer", correlation_id=name):
            context.bind(order=name, socket=object())
            mine = context.get()
            facts.append((processes.submit(seen).result(), mine))
    alone = processes.submit(seen).result()

    for (correlation_id, trace_id, span_id, fields), mine in facts:
        assert (correlation_id, trace_id, span_id) == (
            mine.correlation_id,
            mine.trace_id,
            mine.span_id,
        )
        assert fields == {"order": mine.correlation_id}
    assert alone is None


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_worker_process_knows_what_came_before(observed):
    """Its lines come after those that were written when the job was submitted."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        with observation.unit_of_work("outer"):
            before = clock.tick()
            line = pool.submit(tick).result()
            with pytest.raises(LookupError, match="job"):
                pool.submit(fail).result()

    place = before.split('"lc_at":"')[1].split('"')[0]
    assert '"lc":2' in line
    assert f'"lc_after":["{place}"]' in line


def test_jobs_of_two_hundred_requests_do_not_mix(observed):
    """A busy pool keeps them apart."""
    with ThreadPoolExecutor(8) as pool:
        futures = []
        for number in range(200):
            with observation.unit_of_work("outer", correlation_id=f"id-{number}"):
                futures.append(pool.submit(_slow))

        assert [future.result() for future in futures] == [f"id-{n}" for n in range(200)]


def _slow():
    time.sleep(0.001)
    return context.correlation_id()
