"""How one line is made: its order, its names, its clock, and that nothing gets out of it."""

import datetime
import json
import os
import threading
import time

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import obskit
from obskit import clock, context, fields, health, logs, observation
from obskit.logs import exceptions, get_logger, pipeline
from obskit.logs.line import RESERVED
from tests.logs.torture import CASES, strict

ORDER = [field.name for field in fields.LINE]


@pytest.fixture
def log(logged):
    """Give a logger."""
    return get_logger("shop.cart")


def test_a_line_begins_with_who_spoke(logged, log):
    """Time, level, message, logger and process come first, in this order."""
    log.info("order placed", order_id=7)

    assert list(logged.line) == [
        "timestamp", "level", "message", "logger", "service", "host", "pid", "scope", "order_id",
    ]  # fmt: skip
    assert logged.line | {"timestamp": "", "host": ""} == {
        "timestamp": "", "level": "info", "message": "order placed", "logger": "shop.cart",
        "service": "shop", "host": "", "pid": os.getpid(), "scope": "process", "order_id": 7,
    }  # fmt: skip


def test_a_line_of_a_unit_of_work_says_which(logged, log):
    """Everything about the operation stands between the process and the user's fields."""
    logged.configure(version="1.2", env="test")
    headers = {
        "x-correlation-id": "abc", "traceparent": f"00-{'1' * 32}-{'2' * 16}-01",
        "baggage": "obskit.caller=web,obskit.synthetic=probe",
    }  # fmt: skip
    with obskit.unit_of_work("job", carrier=headers):
        log.info("one", order_id=7)
        try:
            raise ValueError("no such order")
        except ValueError:
            log.exception("two", order_id=7)

    one, two = logged.lines
    for line in (one, two):
        known = [name for name in line if name in ORDER]
        assert known == sorted(known, key=ORDER.index)
        assert line["correlation_id"] == "abc"
        assert line["lc_at"].startswith(line["span_id"])
        assert "scope" not in line
    assert (one["version"], one["env"]) == ("1.2", "test")
    assert two["lc"] == one["lc"] + 1
    assert list(two)[-5:] == [
        "order_id",
        "error_type",
        "error_message",
        "error_fingerprint",
        "error_stack",
    ]


def test_time_is_utc_with_microseconds(logged, log):
    """The timestamp is RFC 3339 and says when the call was made."""
    before = datetime.datetime.now(datetime.UTC)
    log.info("now")
    after = datetime.datetime.now(datetime.UTC)

    text = logged.line["timestamp"]
    assert len(text) == len("2026-01-01T00:00:00.000000Z")
    assert before.replace(tzinfo=None).isoformat("T", "microseconds") <= text[:-1]
    assert text[:-1] <= after.replace(tzinfo=None).isoformat("T", "microseconds")


@given(st.integers(0, 4_000_000_000_000_000_000))
def test_any_time_is_written_right(when):
    """A record made elsewhere keeps its time to the microsecond."""
    written = pipeline._prefix(when // 10**8) + f"{when // 1000 % 10**5:05d}"
    expected = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=when // 1000)  # noqa: DTZ001

    assert written == '{"timestamp":"' + expected.isoformat("T", "microseconds")


def test_a_wrong_clock_can_be_played(logged):
    """The offset for demonstrations counts for all doors."""
    logged.configure(demo_clock_offset=-3600)
    pipeline.emit(20, "x", "then", {}, when_ns=3_600_000_001_000)

    assert logged.line["timestamp"] == "1970-01-01T00:00:00.000001Z"


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_name_that_is_taken_is_moved_and_kept(logged, log, name):
    """No user's field is lost, and none stands in for one of ours."""
    log.info("hello", **{name: "mine", f"field_{name}": "also"})

    line = logged.line
    kept = {key for key, value in line.items() if value in ("mine", "also")}
    assert kept == {f"field_{name}", f"field_field_{name}"}


def test_reserved_names_are_in_the_dictionary():
    """What the pipeline writes by itself is documented."""
    assert set(ORDER) >= RESERVED


def test_bound_fields_are_on_each_line_and_can_be_outdone(logged, log):
    """The nearest value wins; a name stands once."""
    with obskit.unit_of_work("job"):
        obskit.bind(order_id=1, customer="ada")
        log.info("a")
        log.info("b", order_id=2)
        obskit.bind(order_id=3)
        log.info("c", level="mine")
        obskit.unbind("order_id")
        log.info("d")

    assert [line.get("order_id") for line in logged.lines] == [1, 2, 3, None]
    assert {line["customer"] for line in logged.lines} == {"ada"}


@pytest.mark.parametrize("value", [float("nan"), {"password": "hunter2"}, [1], "\ud800", 2**70])
def test_bound_values_are_written_with_the_same_care(logged, log, value):
    """What cannot be made ready once is looked at for each line."""
    with obskit.unit_of_work("job"):
        obskit.bind(value=value, token="hunter2")
        log.info("a")
        log.info("b", x=1)

    assert len(logged.lines) == 2
    assert b"hunter2" not in logged.raw
    assert all("value" in line for line in logged.lines)


def test_a_bound_list_may_change(logged, log):
    """A value that can change is written as it is when the line is made."""
    items = [1]
    with obskit.unit_of_work("job"):
        obskit.bind(items=items)
        log.info("a")
        items.append(2)
        log.info("b")

    assert [line["items"] for line in logged.lines] == [[1], [1, 2]]


def test_what_is_bound_at_start_is_on_lines_of_the_process(logged, log):
    """Outside of a unit of work bound fields belong to the process."""
    obskit.bind(region="eu")
    log.info("hello")

    assert logged.line["scope"] == "process"
    assert logged.line["region"] == "eu"


def test_the_clock_counts_written_lines_only(logged, log):
    """A line below the level takes no number, so numbers have no holes."""
    with obskit.unit_of_work("job"):
        for _ in range(3):
            log.debug("no")
            log.info("yes")

    assert [int(line["lc_at"].partition("-")[2]) for line in logged.lines] == [1, 2, 3]


def test_a_number_without_line_is_a_counted_loss(logged, log):
    """What the stream did not take is a hole that the counts explain."""
    with obskit.unit_of_work("job"):
        log.info("a")
        pipeline._writer._sink.descriptor, kept = -1, pipeline._writer._sink.descriptor
        pipeline._writer._look()
        log.info("b")
        os.close(kept)
    assert health.lost == {("logs", "stream closed"): 1}
    assert [line["lc"] for line in logged.lines] == [1]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("bound", [False, True], ids=["", "bound"])
def test_hostile_values_give_one_valid_line(logged, capfd, case, bound):
    """Whatever is logged, one valid line comes out, and nothing is raised or printed."""
    log = get_logger("torture", **(case.make() if bound and "self" not in case.make() else {}))
    log.info(case.message, *case.args, **({} if bound else case.make()))

    mine = [line for line in logged.lines if line["logger"] == "torture"]
    assert len(mine) == 1
    assert case.shows.encode() in logged.raw
    assert b"hunter2" not in logged.raw
    assert max(map(len, logged.raw.splitlines())) <= 16_000
    assert health.lost == {}
    assert capfd.readouterr() == ("", "")


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=20)
    | st.datetimes() | st.decimals() | st.uuids() | st.complex_numbers(),
    lambda inner: st.lists(inner, max_size=5)
    | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=5)
    | st.tuples(inner),
    max_leaves=20,
)  # fmt: skip
_surrogates = st.text(st.characters(exclude_categories=[]), max_size=50)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(_surrogates, _values, max_size=8), _surrogates, st.integers(0, 60))
def test_any_value_gives_one_valid_line(logged, given, message, level):
    """No combination of names and values escapes."""
    before = len(logged.raw)
    pipeline.emit(level, "any", message, given)

    strict(logged.raw[before:])
    assert health.lost == {}


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_who_ends_the_program_ends_it(logged, log, stop):
    """A signal handler that raises in the middle of a log call is heard, and the line counted."""

    class Interrupted:
        def __repr__(self):
            raise stop

    with pytest.raises(stop):
        log.info("hello", value=Interrupted())
    assert health.lost == {("logs", "interrupted"): 1}
    assert logged.lines == []


def test_at_the_end_of_the_stack_a_line_is_written_or_counted(logged, log):
    """A function that recurses too far may log on its way."""
    calls = 0

    def deeper():
        nonlocal calls
        log.info("deep", value={"a": [1]})
        calls += 1
        deeper()

    with pytest.raises(RecursionError):
        deeper()
    lost = health.lost.get(("logs", "internal error"), 0)
    assert calls <= len([x for x in logged.lines if x["message"] == "deep"]) + lost <= calls + 1


def test_an_error_of_the_pipeline_is_counted(logged, log, monkeypatch):
    """A fault of our own costs the line and nothing else."""

    def fault():
        raise OSError("a fault")

    monkeypatch.setattr(pipeline, "_tick", fault)
    log.info("hello")

    assert health.lost == {("logs", "internal error"): 1}
    assert health.last_errors["logs.pipeline"] == "OSError: a fault"


def test_a_described_error_is_as_good_as_an_error(logged):
    """Those who have only the text of an error give its description; empty parts are left out."""
    described = exceptions.Description("ValueError", "no", "", "")
    pipeline.emit(40, "x", "failed", {"a": 1}, error=described)
    pipeline.emit(40, "x", "failed", {"a": [1]}, error=described)

    for line in logged.lines:
        assert line["error_type"] == "ValueError"
        assert line["error_message"] == "no"
        assert "error_stack" not in line


def test_an_error_that_cannot_be_encoded_is_written_all_the_same(logged, log):
    """File names in errors may be anything."""
    log.error("failed", exc_info=ValueError("\ud800"))

    assert logged.line["error_message"] == "\\ud800"
    assert logged.line["obskit_degraded"] >= 1


def test_degraded_values_are_counted(logged, log):
    """The line says how many values could not be kept."""
    log.info("hello", a=float("nan"), b=[2**64, "\ud800"], c="fine")

    assert logged.line["obskit_degraded"] == 3
    assert logged.line["a"] == "nan"


def test_null_alone_is_not_strange(logged, log):
    """None is null, and a finite number beside it stays one."""
    log.info("hello", a=None, b=1.5, c="null")

    assert (logged.line["a"], logged.line["b"]) == (None, 1.5)
    assert "obskit_degraded" not in logged.line


def test_a_long_line_is_shortened_and_keeps_its_ids(logged, log):
    """Values give way, the operation's identity does not."""
    logged.configure(log_line=2000)
    with obskit.unit_of_work("job", correlation_id="c" * 128):
        obskit.bind(story="s" * 3000)
        log.info("m" * 3000, text="x" * 3000, order_id=7)
        try:
            raise ValueError("e" * 5000)
        except ValueError:
            log.exception("failed")

    for raw, line in zip(logged.raw.splitlines(keepends=True), logged.lines, strict=True):
        assert 1500 < len(raw) <= 2000
        assert line["correlation_id"] == "c" * 128
        assert line["obskit_truncated"] > 3000
    assert logged.lines[0]["order_id"] == 7
    assert logged.lines[1]["error_fingerprint"]


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(st.text(max_size=30), st.text(max_size=3000) | st.lists(st.text(max_size=300))),
    st.text(max_size=3000),
)
def test_no_line_exceeds_its_budget(logged, given, message):
    """Any fields fit into the budget, and what was taken off is said exactly."""
    logged.configure(log_line=1000)
    before = len(logged.raw)
    pipeline.emit(20, "any", message, given)
    raw = logged.raw[before:]
    line = strict(raw)
    logged.configure(log_line=10**6)
    before = len(logged.raw)
    pipeline.emit(20, "any", message, given)
    whole = len(logged.raw) - before

    assert len(raw) <= 1000
    assert ("obskit_truncated" in line) == (whole > 1000)
    if whole > 1000:
        added = len(f',"obskit_truncated":{line["obskit_truncated"]}')
        assert whole - (len(raw) - added) == pytest.approx(line["obskit_truncated"], abs=1)


def test_a_forked_child_says_its_own_pid(logged, log):
    """The constant part of the line is made anew in a child."""
    with obskit.unit_of_work("job"):
        log.info("parent")
        pid = os.fork()
        if pid == 0:
            try:
                log.info("child")
            finally:
                os._exit(0)
        os.waitpid(pid, 0)

    parent, child = logged.lines
    assert (parent["pid"], child["pid"]) == (os.getpid(), pid)
    assert parent["correlation_id"] == child["correlation_id"]
    assert parent["lc_at"][:16] != child["lc_at"][:16]


def test_the_pod_is_named(logged, log, monkeypatch):
    """What the downward API puts into the environment stands on each line."""
    monkeypatch.setenv("POD_NAME", "shop-1")
    monkeypatch.setenv("POD_NAMESPACE", "prod")
    monkeypatch.setenv("NODE_NAME", "n1")
    logged.configure(version="2")
    log.info("hello", namespace="mine")

    assert list(logged.line)[4:11] == [
        "service",
        "version",
        "host",
        "pid",
        "pod",
        "namespace",
        "node",
    ]
    assert logged.line["field_namespace"] == "mine"


def test_settings_can_change_while_threads_log(logged, log):
    """No line is lost or doubled when the stream and the format of the process change."""
    stop = threading.Event()
    counts = []

    def write():
        count = 0
        while not stop.is_set():
            log.info("x")
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for version in range(5):
        logged.configure(version=str(version))
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join()

    assert len(logged.lines) == sum(counts)


def test_levels_that_are_custom_have_their_name(logged):
    """A level of somebody's own is written as it was named, else by its number."""
    import logging

    logging.addLevelName(25, "NOTICE")
    pipeline.emit(25, "x", "a", {})
    pipeline.emit(26, "x", "b", {})

    assert [line["level"] for line in logged.lines] == ["notice", "level 26"]


def test_without_a_log_lines_go_to_logging(floor, caplog):
    """Before init, and where the switch is off, loggers print as before."""
    assert not pipeline.is_on()
    assert not pipeline.is_json()
    pipeline.emit(30, "shop", "hello", {"a": 1})

    assert caplog.messages == ["hello a=1"]


def test_undo_gives_everything_back(logged, log, caplog):
    """After undo no line is written, and loggers go on through logging."""
    assert pipeline.is_on()
    assert pipeline.is_json()
    logs.undo()
    log.warning("hello")

    assert logged.lines == []
    assert caplog.messages == ["hello"]


def test_lines_for_people_hold_the_same(logged, log):
    """The console shows what the line would hold."""
    logged.configure(log_format="console")
    log.info("order placed", order_id=4711, password="hunter2")
    text = logged.raw.decode()

    assert not pipeline.is_json()
    assert "order placed" in text
    assert "4711" in text
    assert "hunter2" not in text
    assert text.endswith("\n")


def test_the_context_keeps_the_constant_part(logged, log):
    """What is the same for a unit of work is made once."""
    work = observation.Observation("GET /", observation.Kind.SERVER)
    observation.start(work)
    log.info("a")
    rendered = context.get().rendered
    log.info("b")
    assert context.get().rendered is rendered
    logged.configure(version="2")
    log.info("c")
    assert context.get().rendered is not rendered
    observation.end(work)
    assert clock.current() is None


def test_the_message_may_be_any_object(logged):
    """Text is made of what is no text."""
    pipeline.emit(20, "x", {"a": 1}, {})

    assert json.loads(logged.line["message"].replace("'", '"')) == {"a": 1}


@pytest.mark.parametrize("soon", [True, False])
def test_lines_that_found_the_queue_full_are_told_of(logged, log, soon):
    """By one line, when the stream takes lines again, or else at the end; the numbers add up."""
    read_end, write_end = os.pipe()
    logged.configure(log_stream=f"fd:{write_end}", log_queue=4096)
    count = 2000
    with obskit.unit_of_work("job"):
        for number in range(count):
            log.info("x", number=number)
    lost = health.lost["logs", "queue full"]
    raw = bytearray()
    reader = threading.Thread(target=lambda: raw.extend(all_of(read_end)))
    reader.start()
    deadline = time.monotonic() + 20
    while soon and (pipeline._writer.waiting or pipeline._writer._losses.waiting):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    logs.undo()
    os.close(write_end)
    reader.join(20)
    found = [strict(line) for line in bytes(raw).splitlines(keepends=True)]
    told = [line for line in found if line["message"] == "lines were lost"]

    assert lost > 0
    assert [(line["obskit_lost"], line["obskit_reason"]) for line in told] == [(lost, "queue full")]
    assert len([line for line in found if line["message"] == "x"]) == count - lost
    assert told == found[-1:]
    assert told[0]["scope"] == "process"


def all_of(descriptor):
    """Return what comes until the other end is closed."""
    raw = b""
    while piece := os.read(descriptor, 1 << 16):
        raw += piece
    os.close(descriptor)
    return raw


def test_a_file_that_was_removed_is_made_anew_soon(logged, log):
    """What is written after a tenth of a second is in the new one."""
    log.info("before")
    logged.path.unlink()
    time.sleep(0.11)
    log.info("after")

    assert logged.line["message"] == "after"
