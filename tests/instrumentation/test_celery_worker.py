"""What the main process of a worker says of tasks, and of those that were lost."""

import os
import types
from time import time

import pytest
from billiard.einfo import ExceptionInfo
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery.worker import state

from obskit import clock, context, instrumentation, observation
from obskit.instrumentation import _celery_worker
from obskit.instrumentation._drive import Switch
from obskit.observation import Kind
from tests.instrumentation.celery_site import Site

SENT = "order-4711"


@pytest.fixture
def site(observed):
    """An application with a message from an operation, and what the worker makes of it."""
    site = Site()
    with observation.unit_of_work("sell", SENT):
        site.tell.delay()
    [message] = site.messages()
    site.received = site.request(message)
    observed.clear()
    yield site
    state.revoked.clear()
    state.reset_state()


def information(error):
    """Return an error as the pool hands it over."""
    try:
        raise error
    except type(error):
        return ExceptionInfo()


def listen(monkeypatch, site, heard):
    """Note the ID of each line that the worker writes about a request."""
    for name in ("warn", "error", "info", "debug"):
        monkeypatch.setattr(
            f"celery.worker.request.{name}",
            lambda text, *_, **__: heard.append((text.split()[0], context.correlation_id())),
        )


def test_lines_about_a_task_belong_to_its_operation(site, observed, monkeypatch):
    """Also those of a process that has nothing else to do with it."""
    heard = []
    listen(monkeypatch, site, heard)
    monkeypatch.setattr("celery.worker.request._does_debug", True)
    request = site.received
    request.on_accepted(1, 0.0)
    request.on_timeout(soft=True, timeout=1)
    request.on_failure(information(WorkerLostError("gone")))

    assert heard == [("Task", SENT), ("Soft", SENT), ("Task", SENT)]
    assert context.get() is None
    assert clock.current() is None


def test_a_lost_task_is_seen(site, observed, monkeypatch):
    """With the time that it took, after what was said of it; its process could not end it."""
    request = site.received
    request.on_accepted(1, 0.0)
    request.time_start = time() - 5
    monkeypatch.setattr("celery.worker.request.error", lambda *_, **__: clock.tick())
    request.on_failure(information(WorkerLostError("gone")))
    [work] = observed
    here = _celery_worker.place_of(request.message).context

    assert work.name == "tell"
    assert work.context.correlation_id == SENT
    assert work.outcome == "server_error"
    assert isinstance(work.error, WorkerLostError)
    assert 5e9 <= work.duration_ns < 60e9
    assert f".{here.span_id}-1" in work.carrier["obskit-cause"]
    assert work.attributes == {"task_id": request.id}


def test_a_time_limit_is_seen_once(site, observed):
    """The pool reports it as a failure and as a time that is up."""
    request = site.received
    request.on_accepted(1, 0.0)
    request.on_failure(information(TimeLimitExceeded(1)))
    request.on_timeout(soft=False, timeout=1)

    assert [work.outcome for work in observed] == ["timeout"]


def test_a_time_limit_without_a_failure_is_seen(site, observed):
    """Which of both comes first is the pool's affair."""
    site.received.on_timeout(soft=False, timeout=1)

    assert [work.outcome for work in observed] == ["timeout"]


def test_a_task_that_ended_here_is_not_lost(site, observed):
    """In a thread, or in this very process, it was seen to end."""
    request = site.received
    request.on_accepted(os.getpid(), 0.0)
    request.on_failure(information(WorkerLostError("SystemExit(3)")))
    request.on_failure(information(ValueError("mine")), return_ok=True)

    assert observed == []


def test_a_revoked_task_is_called_off(site, observed, monkeypatch):
    """Before it began, and once."""
    heard = []
    listen(monkeypatch, site, heard)
    request = site.received
    state.revoked.add(request.id)

    assert request.revoked()
    assert request.revoked()
    assert [work.outcome for work in observed] == ["cancelled"]
    assert heard == [("Discarding", SENT)]


def test_a_task_that_nobody_said_anything_about_is_named_by_the_worker(observed):
    """So what is said here and where it runs has one ID."""
    site = Site()
    site.tell.delay()
    [message] = site.messages()
    del message.headers["obskit"]
    heard = []

    def handler(message, *_):
        heard.append(context.current())
        site.request(message).execute()

    switch = Switch("celery")
    switch.on = True
    observed.clear()
    _celery_worker.receiving(handler, switch)(message, None)
    [run], [here] = observed, heard

    assert site.told == [here.correlation_id]
    assert run.context.correlation_source == here.correlation_source == "message"
    assert (run.context.hop, run.context.caller) == (1, None)
    assert not clock.begin("a" * 16)[0].broken
    assert context.get() is None


def test_a_handler_runs_at_the_place_of_its_message(site, observed):
    """The same each time, so that its lines follow each other."""
    seen = []

    def handler(message, *_):
        clock.tick()
        seen.append((context.get(), clock.current()))

    switch = Switch("celery")
    switch.on = True
    receive = _celery_worker.receiving(handler, switch)
    for _ in range(2):
        receive(site.received.message, None)
    (first, one), (second, two) = seen

    assert first is second
    assert first.correlation_id == SENT
    assert one[0] is two[0]
    assert (one[1], two[1]) == (1, 2)
    switch.on = False
    receive(site.received.message, None)
    assert seen[2] == (None, None)


def test_what_is_no_handler_is_left_alone():
    """A strategy may return anything."""
    assert _celery_worker.receiving(None, Switch("celery")) is None


@pytest.mark.parametrize(
    "received",
    [
        None, 7, object(), types.SimpleNamespace(headers=None), types.SimpleNamespace(headers={}),
    ],
)  # fmt: skip
def test_what_has_no_headers_has_no_place(received, broken):
    """As a message of protocol 1: what is said of it belongs to the process."""
    assert _celery_worker.place_of(received) is None
    assert _celery_worker.within(received, max, (1, 2), {}) == 2
    assert broken == {}


def test_what_is_no_task_here_is_refused_in_its_operation(site, observed):
    """Unknown tasks are how lost operations begin."""
    from celery.worker.consumer import consumer

    seen = []

    class Half(consumer.Consumer):
        def __init__(self):
            """Have nothing."""

        def _message_report(self, *_):
            seen.append(context.correlation_id())
            raise LookupError("far enough")

    with pytest.raises(LookupError):
        Half().on_unknown_message(None, site.received.message)

    assert seen == [SENT]
    assert context.get() is None


def test_the_strategy_of_a_task_is_ours(observed):
    """Each worker asks it for its handlers."""
    instrumentation.instrument("celery")
    from celery.worker import strategy

    assert strategy.default.__wrapped__.__module__ == "celery.worker.strategy"


def test_what_fails_in_here_is_contained(site, observed, broken, monkeypatch):
    """The worker goes on as without us."""
    monkeypatch.setattr(_celery_worker, "end", None)
    monkeypatch.setattr(_celery_worker, "place_of", None)
    site.received.on_failure(information(WorkerLostError("gone")))

    assert broken == {"celery.place": 1, "celery.conclude": 1}
    assert [work for work in observed if work.kind is Kind.CONSUMER] == []
