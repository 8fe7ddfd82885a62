"""How a task is begun and ended, whatever it raises and whatever its message says."""

import datetime
import sys
import types

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from celery.exceptions import Ignore, Reject

from obskit import context, instrumentation, observation
from obskit.instrumentation import _celery_run
from obskit.instrumentation._drive import Switch
from obskit.observation import Kind
from tests.instrumentation.celery_site import Site


def runs(observed):
    """Return the tasks that were carried out."""
    return [work for work in observed if work.kind is Kind.CONSUMER]


ENDS = {
    "error": (ValueError("mine"), "server_error", False, True),
    "timeout": (SoftTimeLimitExceeded(), "timeout", False, True),
    "expected": (KeyError("mine"), "ok", False, False),
    "ignored": (Ignore(), "ok", False, False),
    "rejected": (Reject("no"), "rejected", False, False),
    "put back": (Reject(ValueError("later"), requeue=True), "rejected", True, True),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_outcome_says_what_the_task_has_said(observed, broken, end):
    """Celery's own words for an end, and errors of the application."""
    raised, outcome, retried, has_error = ENDS[end]
    site = Site()

    @site.task(name="end", throws=(KeyError,))
    def finish():
        raise raised

    finish.delay()
    for message in site.messages():
        request = site.request(message)
        try:
            request.execute()
        except Reject:
            pytest.fail("Celery keeps that to itself")
    [work] = runs(observed)

    assert (work.outcome, work.retried) == (outcome, retried)
    assert work.dead_lettered is (end == "rejected")
    assert (work.error is not None) is has_error
    assert broken == {}
    assert context.get() is None


def test_a_retry_without_a_cause_is_no_failure(observed):
    """A task that asks again and again whether something is done."""
    site = Site()

    @site.task(name="poll", bind=True)
    def poll(self):
        if not self.request.retries:
            self.retry(countdown=0)

    poll.delay()
    site.work()

    assert [(work.outcome, work.retried) for work in runs(observed)] == [
        ("ok", True),
        ("ok", False),
    ]


def test_the_stack_is_that_of_the_task(observed):
    """Celery has emptied its frames by then, but they are there."""
    site = Site()

    @site.task(name="fail")
    def fail():
        raise ValueError("mine")

    fail.delay()
    site.work()
    [work] = runs(observed)
    names, trace = [], work.error.__traceback__
    while trace is not None:
        names.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next

    assert names[-1] == "fail"


@pytest.mark.parametrize(
    "word",
    [
        "text", 7, [], {}, {"x-correlation-id": 7}, {"traceparent": b"x"}, {"baggage": None},
        {"x-correlation-id": "no good\n"}, {7: 7},
    ],
)  # fmt: skip
def test_a_word_of_others_never_keeps_a_task_from_running(observed, word):
    """Whoever can send a task can write into its headers."""
    site = Site()
    site.tell.delay()
    for message in site.messages():
        site.request(message, obskit=word).execute()
    [work] = runs(observed)

    assert work.outcome == "ok"
    assert site.told == [work.context.correlation_id]
    assert work.context.correlation_source in ("message", "invalid")


def test_an_age_begins_when_a_task_is_due(observed):
    """It was told to wait until then."""
    site = Site()
    now = datetime.datetime.now(datetime.UTC)
    site.tell.apply_async(eta=now + datetime.timedelta(hours=1))
    site.tell.apply_async(eta=now - datetime.timedelta(hours=1))
    site.work()
    early, late = runs(observed)

    assert early.age == 0
    assert 3600 <= late.age < 3700


@pytest.mark.parametrize("eta", ["soon", "2026-01-01T00:00:00", 7, None])
def test_an_eta_that_says_nothing_is_none(eta):
    """Of what zone it is, for one."""
    assert _celery_run._due(eta) is None


def test_what_the_transport_says_is_kept(observed):
    """How often, and whether it was handed out before."""
    site = Site()
    site.tell.delay()
    for message in site.messages():
        message.delivery_info["redelivered"] = True
        site.request(message, retries=2).execute()
    [work] = runs(observed)

    assert (work.redelivered, work.attempt) == (True, 3)


def test_a_tracer_is_observed_once(observed):
    """However often it is handed over."""
    switch = Switch("celery")
    once = _celery_run.observed(lambda *_: None, types.SimpleNamespace(name="t"), switch)

    assert _celery_run.observed(once, None, switch) is once


def test_a_task_that_was_prepared_before_us_is_observed(observed):
    """As in a worker whose handler of a late signal calls `init`."""
    site = Site()
    from celery.app import trace

    bare = trace.build_tracer
    while hasattr(bare, "__wrapped__"):
        bare = bare.__wrapped__
    site.tell.delay()
    site.tell.__trace__ = bare("tell", site.tell, app=site.app)
    _celery_run.catch_up(trace)
    site.work()

    assert [work.name for work in runs(observed)] == ["tell"]


def test_a_process_that_is_sent_away_ends_nothing(observed, monkeypatch):
    """The master knows why: a time limit, a revoked task, an end of the worker."""
    site = Site()

    @site.task(name="long")
    def long():
        raise SystemExit(-241)

    long.delay()
    for message in site.messages():
        with monkeypatch.context() as patched, pytest.raises(SystemExit):
            patched.setattr("billiard.common._should_have_exited", [True])
            site.request(message).execute()

    assert runs(observed) == []
    assert context.get() is None


def test_a_task_that_ends_its_process_has_failed(observed):
    """Nobody else knows."""
    site = Site()

    @site.task(name="leave")
    def leave():
        sys.exit(3)

    leave.delay()
    for message in site.messages():
        with pytest.raises(SystemExit):
            site.request(message).execute()

    assert [work.outcome for work in runs(observed)] == ["server_error"]


def test_what_fails_in_here_never_reaches_the_task(observed, broken, monkeypatch):
    """It is counted, and the task runs unobserved."""
    site = Site()
    monkeypatch.setattr(_celery_run, "of", None)
    site.tell.delay()
    site.work()

    assert site.told == [None]
    assert broken == {"celery.begin": 1}


def test_an_end_that_cannot_be_judged_is_an_end(observed, broken, monkeypatch):
    """The observation never stays open."""
    site = Site()

    @site.task(name="fail")
    def fail():
        raise ValueError("mine")

    monkeypatch.setattr(_celery_run, "_judged", None)
    fail.delay()
    site.work()

    assert [work.outcome for work in runs(observed)] == ["server_error"]
    assert broken == {"celery.end": 1}


def test_suppressed_a_task_runs_unobserved(observed):
    """As all that is no part of the service's work."""
    site = Site()
    site.tell.delay()
    instrumentation.instrument()
    with observation.suppress():
        site.work()

    assert runs(observed) == []
