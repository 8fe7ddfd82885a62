"""How rooms are entered and left, and what becomes of one that fails."""

import multiprocessing
import sys
from types import ModuleType, SimpleNamespace

import pytest

import obskit
from obskit import health, observation
from obskit._bootstrap import rooms
from tests.logs.torture import strict


@pytest.mark.parametrize(
    ("room", "name"),
    [
        ("propagation", "_propagation"), ("observers", "_observers"), ("capture", "_capture"),
        ("instrumentation", "_instrumentation"), ("metrics", "_metrics"), ("traces", "_traces"),
    ],
)  # fmt: skip
def test_a_room_that_fails_is_named_and_the_rest_goes_on(started, monkeypatch, room, name):
    """The service runs on without it, and the first line says so."""

    def fail(*_):
        raise OSError("a fault")

    monkeypatch.setattr(rooms, name, fail)
    started()

    assert rooms.states[room] == "failed: OSError: a fault"
    assert started.lines[-1]["obskit_failed"] == [room]
    assert health.internal_errors[f"bootstrap.{room}"] == 1
    with obskit.unit_of_work("job"):
        obskit.get_logger("x").info("hello")
    assert "hello" in started.messages


def test_a_scrape_tells_of_a_storm_that_is_over(started, monkeypatch):
    """A service that has nothing to say any more has no other moment for it."""
    from obskit import metrics
    from obskit.logs import storm

    started(storm="1/100")
    for _ in range(5):
        obskit.get_logger("x").error("no connection")
    monkeypatch.setattr(storm, "SILENT_SECONDS", -10.0)
    metrics.render("")

    told = started.lines[-1]
    assert (told["message"], told["obskit_suppressed"]) == ("lines were suppressed", 4)
    assert health.lost == {("logs", "storm"): 4}


def test_without_a_log_the_reason_is_on_stderr(started, monkeypatch, capsys):
    """Where there is no log, one plain line says what is off."""

    def fail(*_):
        raise OSError("a fault")

    monkeypatch.setattr(rooms, "_logs", fail)
    started()

    assert "obskit: logs is off: OSError: a fault" in capsys.readouterr().err
    assert started.lines == []


def test_what_failed_before_there_was_a_log_is_said_once_there_is(started):
    """A log that cannot go to its file says so where it goes instead."""
    health.internal_error("logs.writer", FileNotFoundError("no such folder"))
    started()

    assert started.lines[0]["obskit_where"] == "logs.writer"
    assert started.lines[0]["obskit_error"] == "FileNotFoundError: no such folder"


def test_without_stderr_nothing_is_said(started, monkeypatch):
    """A program may have closed all it had."""
    monkeypatch.setattr(sys, "stderr", None)
    rooms._say_plainly("nothing")

    assert "bootstrap.stderr" in health.internal_errors


@pytest.mark.parametrize(
    ("observer", "name"), [("metrics", "_red"), ("traces", "_recorder"), ("summary", "_summary")]
)
def test_an_observer_that_fails_does_not_take_the_others_along(
    started, monkeypatch, observer, name
):
    """Each is made by itself."""

    def fail(*_):
        raise OSError("a fault")

    monkeypatch.setattr(rooms, name, fail)
    started()

    states = {name: state for name, state in rooms.states.items() if name.startswith("observer ")}
    assert states.pop(f"observer {observer}") == "failed: OSError: a fault"
    assert set(states.values()) == {"on"}
    assert len(states) == 2


def test_the_summary_comes_before_anything_slower(started):
    """Observers hear a start in their order and an end in the reverse one."""
    started()

    assert [name for name, _ in observation.lifecycle._ends][:1] == ["summary.end"]
    assert [name for name, _ in observation.lifecycle._starts][:1] == ["metrics.start"]


def test_no_summary_where_none_is_wanted(started):
    """The setting takes the observer out."""
    started(request_log=False)
    with obskit.unit_of_work("job"):
        pass

    assert started.messages == ["process started"]


def test_further_observers_are_heard(started, monkeypatch):
    """Those who are listed listen with the others."""
    heard = []
    listener = SimpleNamespace(start=heard.append, end=lambda _: None)
    monkeypatch.setattr(rooms, "listeners", [("mine", listener)])
    started()
    with obskit.unit_of_work("job"):
        pass

    assert [work.name for work in heard] == ["job"]


def test_flushing_shares_the_time(started, monkeypatch):
    """All rooms together get no more seconds than were given."""
    started()
    given = []
    logs = sys.modules["obskit.logs"]
    monkeypatch.setattr(logs, "shutdown", given.append)
    rooms.flush(2.0)
    rooms.flush(-1.0)

    assert 1.0 < given[0] <= 2.0
    assert given[1] == 0.0


def test_at_the_end_the_log_is_given_up_after_all_is_flushed(started, monkeypatch):
    """Nothing is flushed where there is no time for it; `shutdown` gives nothing up."""
    from obskit import _bootstrap

    started()
    called = []
    monkeypatch.setattr(rooms, "flush", called.append)
    monkeypatch.setattr(sys.modules["obskit.logs"], "give_up", lambda: called.append("given up"))
    _bootstrap.end(2.0)
    _bootstrap.end(0.0)
    obskit.shutdown(1.0)

    assert called == [2.0, "given up", "given up", 1.0]


def test_a_room_that_cannot_be_left_is_counted(started, monkeypatch):
    """The other rooms are left all the same."""
    started()

    def fail(*_):
        raise OSError("a fault")

    monkeypatch.setattr(sys.modules["obskit.logs.capture"], "undo", fail)
    rooms.leave()
    monkeypatch.undo()

    assert health.internal_errors == {"obskit.logs.capture.undo": 1}
    assert rooms.states == {}
    sys.modules["obskit.logs.capture"].undo()


CHILDREN = """
import multiprocessing, obskit
def work():
    print("half a line", end="")
    obskit.get_logger("child").info("from the child")
if __name__ == "__main__":
    obskit.init("shop", metrics_port="off")
    context = multiprocessing.get_context("fork")
    process = context.Process(target=work)
    process.start()
    process.join()
"""


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_children_of_multiprocessing_leave_their_last_words(start_process):
    """They end without running what is registered at exit."""
    output = start_process(sys.executable, "-c", CHILDREN).wait()
    messages = [strict(line)["message"] for line in output.stdout.splitlines(keepends=True)]

    assert sorted(messages) == ["from the child", "half a line", "process started"]


def test_the_end_of_children_is_prepared_once_multiprocessing_is_there():
    """The hook takes what the library offers for it."""
    calls = []
    util = ModuleType("util")
    util.register_after_fork = lambda owner, function: calls.append((owner, function))
    util.Finalize = lambda *args, **options: calls.append((args, options))
    at_end = object()
    rooms._end_with_children(at_end)(util)
    [(owner, after_fork)] = calls
    after_fork(None)

    assert owner is at_end
    assert calls[1] == ((None, at_end), {"exitpriority": -100})


def test_spans_go_to_zipkin(started, zipkin):
    """The room opens with the setting, and is left with the others."""
    started(zipkin=zipkin.url, service="rooms-to-zipkin")
    with obskit.unit_of_work("job"):
        trace_id = obskit.current().trace_id
    obskit.shutdown()

    assert [span["name"] for span in zipkin.trace(trace_id)] == ["job"]
    assert obskit.status()["spans"]["zipkin"]["sent"] == 1
    started(zipkin="", service="rooms-to-zipkin")
    with obskit.unit_of_work("job"):
        pass
    assert obskit.status()["spans"] == {}


def test_without_a_server_nothing_is_sent(started):
    """Nor is the room entered."""
    started()

    assert "shipping" not in rooms.states
    assert "spans" not in obskit.status()
