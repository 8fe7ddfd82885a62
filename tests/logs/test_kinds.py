"""One type a field: values of another one go elsewhere, and it costs nothing to know."""

import json
import os
import sys
import threading
from decimal import Decimal

import pytest

from obskit import context, health
from obskit.logs import get_logger, kinds, pipeline


@pytest.fixture
def log(logged):
    """Give a logger."""
    return get_logger("shop")


def own(line):
    """Return the application's fields of a line."""
    names = [name for name in line if name != "obskit_degraded"]
    return {name: line[name] for name in names[names.index("pid") + 2 :]}


@pytest.mark.parametrize(
    ("first", "second", "word"),
    [
        ("CD-7", 7, "number"),
        (7, "CD-7", "string"),
        (7, True, "boolean"),
        (True, 1, "number"),
        (1.5, [1], "array"),
        ("x", {"a": 1}, "object"),
        ({"a": 1}, "x", "string"),
        ([1], {"a": 1}, "object"),
        (1, Decimal("1.5"), "string"),
        (1.5, float("nan"), "string"),
    ],
)
def test_another_type_goes_to_another_field(logged, log, first, second, word):
    """Nothing is lost, and no index refuses a line."""
    for _ in range(3):
        log.info("a", value=first, other=1)
        log.info("b", value=second, other=1)
    shown = {Decimal: "1.5"}.get(type(second), "nan" if second != second else second)

    assert [own(line) for line in logged.lines] == [
        {"value": first, "other": 1}, {f"value_{word}": shown, "other": 1},
    ] * 3  # fmt: skip
    assert health.lost == {}


def test_whole_numbers_and_fractions_are_one_type(logged, log):
    """And nothing has none."""
    for value in (1, 1.5, None, 2):
        log.info("a", value=value)

    assert [line["value"] for line in logged.lines] == [1, 1.5, None, 2]


def test_bound_fields_count_too(logged, log):
    """Whether the bound one is first or second."""
    log.bind(order=7).info("a")
    log.bind(order="CD-7").info("b")
    log.info("c", order="CD-7")

    assert [own(line) for line in logged.lines[:3]] == [
        {"order": 7}, {"order_string": "CD-7"}, {"order_string": "CD-7"},
    ]  # fmt: skip


def test_what_is_bound_to_the_task_counts_too(logged, log):
    """It is made into text once for many lines, with the type that it must have."""
    log.info("a", order="CD-7", total=1)
    context.bind(order=7)
    log.info("b")
    log.info("b")
    log.info("c", total=2)
    context.bind(order="CD-8", total=None)
    log.info("d")

    assert [own(line) for line in logged.lines] == [
        {"order": "CD-7", "total": 1}, {"order_number": 7}, {"order_number": 7},
        {"order_number": 7, "total": 2}, {"order": "CD-8", "total": None},
    ]  # fmt: skip


def test_a_field_of_ours_keeps_its_type(logged, log):
    """What the dictionary says of a name holds before anybody has used it."""
    log.info("a", duration_ms="fast", task_id=7, outcome=None)

    assert own(logged.line) == {"duration_ms_string": "fast", "task_id_number": 7, "outcome": None}


def test_a_name_that_is_taken_is_not_overwritten(logged, log):
    """The application may have that field, too."""
    log.info("a", value=1, value_string=2)
    log.info("b", value="x", value_string=3)

    assert own(logged.lines[1]) == {"value_string_string": "x", "value_string": 3}


def test_a_field_on_a_line_with_an_error(logged, log):
    """The stack is there all the same."""
    log.info("a", value=1)
    for _ in range(2):
        try:
            raise ValueError("no")
        except ValueError:
            log.exception("b", value="x")

    assert [line["value_string"] for line in logged.lines[1:]] == ["x", "x"]
    assert all(line["error_type"] == "ValueError" for line in logged.lines[1:])


def test_known_shapes_are_written_without_care(logged, log, monkeypatch):
    """The second line of a kind is not looked at value by value."""
    log.info("a", value=1, name="x")
    monkeypatch.setattr(kinds, "apart", lambda values: 1 / 0)
    monkeypatch.setattr(kinds, "agree", lambda values: 1 / 0)
    log.info("b", value=2, name="y")

    assert len(logged.lines) == 2
    assert health.last_errors == {}


def test_the_file_of_types_counts_before_what_is_seen(logged, log, tmp_path):
    """Of several types that of the most services; a word alone is a type, too."""
    path = tmp_path / "types.json"
    path.write_text(json.dumps({
        "order": {"number": ["cart"], "string": ["billing", "shop"]}, "total": "number",
        "pid": "string",
    }))  # fmt: skip
    log.info("a", order=7)
    logged.configure(field_types=str(path))
    log.info("b", order=7, total="9.50")
    log.info("c", order="CD-7", total=9.5)

    assert [own(line) for line in logged.lines] == [
        {"order": 7}, {"order_number": 7, "total_string": "9.50"}, {"order": "CD-7", "total": 9.5},
    ]  # fmt: skip
    assert all(line["pid"] == os.getpid() for line in logged.lines)


@pytest.mark.parametrize(
    "text",
    [None, "", "[]", "{", '{"a": "text"}', '{"a": {}}', '{"a": 7}', '{"a": {"b": []}}', "\xff"],
)
def test_a_file_that_is_none_is_reported_and_ignored(logged, log, tmp_path, text):
    """The service starts and logs."""
    path = tmp_path / "types.json"
    if text is not None:
        path.write_text(text, encoding="latin-1")
    logged.configure(field_types=str(path))
    log.info("a", value=7)

    assert logged.lines[-1]["value"] == 7
    assert "logs.field_types" in health.last_errors


def test_the_memory_is_bounded(logged, log, monkeypatch):
    """Names beyond the bound are written unguarded, and counted."""
    monkeypatch.setattr(kinds, "MOST_NAMES", 2)
    for name in "abcd":
        log.info("x", **{name: 1})
        log.info("x", **{name: "text"})

    lines = [own(line) for line in logged.lines if line["logger"] == "shop"]
    assert lines[:4] == [{"a": 1}, {"a_string": "text"}, {"b": 1}, {"b": "text"}]
    assert kinds.unguarded >= 2
    assert health.internal_errors == {"logs.field_types": 1}


def test_the_shapes_are_bounded(logged, log, monkeypatch):
    """A program that makes up names keeps no more of them than this."""
    monkeypatch.setattr(kinds, "MOST_CELLS", 100)
    for number in range(500):
        log.info("x", **{f"name{number}": 1, "same": 2})

    assert sum(map(len, kinds.shapes)) <= 100
    assert len(logged.lines) == 500


def test_threads_agree_on_one_type(logged):
    """Whoever is first: all lines of the process have it."""
    log = get_logger("shop")
    ready = threading.Barrier(8)

    def say(number):
        ready.wait()
        for name in range(50):
            log.info("x", **{f"n{name}": number if number % 2 else str(number)})

    threads = [threading.Thread(target=say, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    types = {}
    for line in logged.lines:
        for name, value in own(line).items():
            types.setdefault(name, set()).add(type(value))
    assert len(logged.lines) == 400
    assert all(len(found) == 1 for found in types.values()), types


def test_a_child_goes_on_where_its_parent_was(logged, log):
    """What was seen before a fork holds behind it."""
    log.info("a", value=7)
    child = os.fork()
    if not child:
        try:
            log.info("b", value="x")
        finally:
            os._exit(0)
    os.waitpid(child, 0)

    assert [own(line) for line in logged.lines] == [{"value": 7}, {"value_string": "x"}]


class Meta(type):
    """A type that can be neither compared nor looked up."""

    def __eq__(cls, other):
        raise ValueError("no")

    __hash__ = None


class Strange(metaclass=Meta):
    """A value of such a type."""

    def __repr__(self):
        return "strange"


def test_types_can_be_as_strange_as_values(logged, log):
    """One line comes out all the same."""
    log.info("a", value=Strange())

    assert "Strange" in own(logged.line)["value"]
    assert health.lost == {}


def test_nothing_is_remembered_after_the_end(logged, log):
    """Another `init` begins anew."""
    log.info("a", value=7)
    pipeline.undo()

    assert kinds.shapes == {}
    assert kinds._known == {}


DOORS = """
import logging, sys, obskit
obskit.init("doors", metrics_port="off")
obskit.get_logger("a").info("first", value=7)
logging.getLogger("b").warning("second", extra={"value": "x"})
import structlog
structlog.get_logger("c").info("third", value="y")
from loguru import logger
logger.remove()
logger.add(sys.stdout)
logger.bind(value="z").info("fourth")
"""


def test_every_door_leads_past_the_guard(start_process):
    """What `logging`, structlog and loguru say counts as well."""
    output = start_process(sys.executable, "-c", DOORS).wait(60)
    found = {line["message"]: own(line) for line in map(json.loads, output.stdout.splitlines())}

    assert found["first"] == {"value": 7}
    assert found["second"] == {"value_string": "x"}
    assert found["third"]["value_string"] == "y"
    assert found["fourth"]["value_string"] == "z"
    assert "value" not in found["third"] | found["fourth"]
