"""Lines in other people's schemas: valid, whole, and within the budget of bytes."""

import json
import os
import re
import sys

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from obskit import context, fields, health, observation, schemas
from obskit.logs import get_logger, pipeline
from obskit.logs.formats import foreign
from tests.logs.failing import chained
from tests.logs.torture import CASES, strict
from tests.schemas import strict as published
from tests.schemas.records import FULL, records

NAMES = schemas.NAMES


def read(name, raw):
    """Return what stands in the line *raw* of a schema, as its vendor reads it, and its record."""
    assert raw.endswith(b"\n")
    assert raw.count(b"\n") == 1
    found = raw[:-1].decode() if name == "logfmt" else strict(raw)
    published.CHECKS[name](found)
    return schemas.of(name).decode(found)


@pytest.mark.parametrize("name", NAMES)
def test_a_line_is_the_canonical_one_under_other_names(logged, name):
    """What a reader of the schema gets back is what the JSON line would have said."""
    logged.configure(log_format=name)
    get_logger("shop.cart").info("order placed", order_id="CD-7", total=9.5, paid=True)
    found = read(name, logged.raw)

    assert found | {"timestamp": "", "host": ""} == {
        "timestamp": "", "level": "info", "message": "order placed", "logger": "shop.cart",
        "service": "shop", "host": "", "pid": os.getpid(), "scope": "process",
        "order_id": "CD-7", "total": 9.5, "paid": True,
    }  # fmt: skip
    assert pipeline.is_json()


@pytest.mark.parametrize("name", NAMES)
def test_a_line_with_an_error_in_a_unit_of_work(logged, name):
    """Identifiers, causal order, error and stack are all there."""
    logged.configure(log_format=name, log_line=4096)
    work = observation.Observation("GET /", observation.Kind.SERVER)
    observation.start(work)
    unit = context.get().unit
    try:
        chained()
    except Exception:
        get_logger("shop").exception("broken")
    observation.end(work)
    found = read(name, logged.raw)

    assert found["correlation_id"] == unit.correlation_id
    assert found["trace_id"] == unit.trace_id
    assert (found["lc"], found["hop"]) == (1, 1)
    assert found["error_type"]
    assert "chained" in found["error_stack"]
    assert not {item.name for item in fields.LINE if item.when == "always"} - set(found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("name", NAMES)
def test_hostile_values_give_one_valid_line(logged, capfd, name, case):
    """Whatever is logged, one valid line of at most 4096 bytes comes out, and nothing is raised."""
    logged.configure(log_format=name, log_line=4096)
    get_logger("torture").info(case.message, *case.args, **case.make())
    lines = logged.raw.splitlines(keepends=True)
    found = [read(name, line) for line in lines]

    assert len([record for record in found if record["logger"] == "torture"]) == 1
    assert case.shows.encode() in json.dumps(found, ensure_ascii=False).encode()
    assert b"hunter2" not in logged.raw
    assert max(map(len, lines)) <= 4096
    assert health.lost == {}
    assert health.last_errors == {}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("longest", [1500, 4096, 16_000])
@given(
    record=records(),
    long=st.lists(
        st.tuples(st.text(max_size=40) | st.just('"\n'), st.integers(0, 9000)), max_size=4
    ),
)
@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
def test_the_budget_holds_in_each_schema(name, longest, record, long):
    """A schema that takes more bytes for the same is cut more, and says how much went."""
    fixed = {key: value for key, value in FULL.items() if key in foreign._FIXED}
    # Only obskit writes the count, and it is never negative.
    chosen = record.keys() - foreign._FIXED - {"obskit_truncated"}
    record = fixed | {key: record[key] for key in chosen}
    for number, (text, times) in enumerate(long):
        record[f"long{number}"] = (text * times)[:30_000]
    line = json.dumps(record).encode() + b"\n"
    made = foreign.encoded(line, foreign.maker(name), longest)
    whole = foreign.encoded(line, foreign.maker(name), 2**62)
    found = read(name, made)

    assert len(made) <= longest
    if len(whole) <= longest:
        assert found == record
    else:
        assert found["obskit_truncated"] > 0
        assert found["correlation_id"] == record["correlation_id"]


@pytest.mark.parametrize("name", NAMES)
def test_what_was_cut_before_counts_too(name):
    """A line that was too long as JSON is longer still in another schema."""
    record = FULL | {"text": "x" * 3000, "obskit_truncated": 5000}
    made = foreign.encoded(json.dumps(record).encode(), foreign.maker(name), 2500)
    found = schemas.of(name).decode(made.decode() if name == "logfmt" else json.loads(made))

    assert len(made) <= 2500
    assert found["obskit_truncated"] > 5500
    assert found["text"].endswith(" ...")
    assert found["error_type"] == "ValueError"


def test_a_line_is_used_well(logged):
    """The budget is not only kept: little of it is given away."""
    for name in NAMES:
        record = FULL | {"text": "x" * 3000, "other": 'say "hi" ' * 1000}
        made = foreign.encoded(json.dumps(record).encode(), foreign.maker(name), 4096)
        assert 3300 < len(made) <= 4096, name


def test_what_says_where_a_line_belongs_is_never_cut():
    """Not even where it alone takes more than there is: the line is longer then."""
    record = FULL | {"service": "s" * 3000, "text": "x" * 3000}
    made = foreign.encoded(json.dumps(record).encode(), foreign.maker("ecs"), 2000)
    found = schemas.of("ecs").decode(json.loads(made))

    assert found["service"] == "s" * 3000
    assert "text" not in found
    assert found["message"] == ""
    assert found["obskit_truncated"] > 3000


def test_an_error_of_ours_leaves_the_canonical_line(logged, monkeypatch):
    """It is counted, and the line is not lost."""
    monkeypatch.setattr("obskit.schemas.ecs.encode", lambda record: 1 / 0)
    logged.configure(log_format="ecs")
    get_logger("shop").info("hello")

    assert logged.line["message"] == "hello"
    assert "division" in health.last_errors["logs.format"]
    assert health.lost == {}


def test_google_gets_the_name_of_the_trace(logged, monkeypatch):
    """Its project stands in the environment where the program runs there."""
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "shop-prod")
    logged.configure(log_format="gcp")
    work = observation.Observation("GET /", observation.Kind.SERVER)
    observation.start(work)
    get_logger("shop").info("hello")
    trace = context.get().unit.trace_id
    observation.end(work)

    assert logged.line["logging.googleapis.com/trace"] == f"projects/shop-prod/traces/{trace}"
    assert re.fullmatch("[0-9a-f]{16}", logged.line["logging.googleapis.com/spanId"])


SPEAKING = """
import logging, os, random, sys, warnings, obskit
obskit.init("speaking", metrics_port="off")
log = obskit.get_logger("speaking")
print("printed", "by", os.getpid())
warnings.warn("old")
logging.getLogger("library").warning("by logging %s", 7)
children = []
for child in range(3):
    pid = os.fork()
    if pid == 0:
        dice = random.Random(child)
        for number in range(int(sys.argv[1])):
            text = dice.choice('ab" ') * dice.choice((200, 1500, 3500, 6000, 20_000))
            log.info("line", child=child, number=number, text=text)
        print("child ends")
        obskit.shutdown(30)
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
1 / 0
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_process_and_its_children_speak_one_format(start_process, name):
    """Printed text, warnings, `logging`, long lines of several processes on one pipe, the end."""
    output = start_process(
        sys.executable, "-c", SPEAKING, "100", env={"OBSKIT_LOG_FORMAT": name}
    ).wait(120)  # fmt: skip
    lines = output.stdout.splitlines(keepends=True)
    found = [read(name, line) for line in lines]
    said = [record["message"] for record in found]

    assert output.stderr == b""
    assert max(map(len, lines)) <= 4096
    assert said.count("line") == 300
    assert said.count("child ends") == 3
    assert {"old", "by logging 7"} <= set(said)
    assert any(text.startswith("printed by") for text in said)
    assert found[-1]["error_type"] == "ZeroDivisionError"
