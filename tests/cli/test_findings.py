"""How a trial is judged."""

import json

import pytest

from obskit.cli import _findings
from obskit.cli._findings import Case
from obskit.cli._observed import Observed
from obskit.cli._request import Answer
from obskit.cli._trial import Trial
from tests.cli.test_lines import LINE, raw
from tests.cli.test_observed import ROW, report

ID = "doctor-1"
UNIT = raw(
    scope=None, correlation_id=ID, correlation_source="inherited", trace_id="a" * 32,
    span_id="b" * 16, hop=1, lc=1, lc_at="b" * 16 + "-1",
)  # fmt: skip
PAGE = (
    "# TYPE http_server_requests counter\n"
    'http_server_requests_total{http_route="/",outcome="ok"} 1.0 # {trace_id="x"} 1\n'
)


def case(output=(UNIT,), trial=None, observed=None, answers=None, command=("python", "app.py")):
    """Return a case in which all is well, but for what is given."""
    answers = [Answer(80, "/", ID, 404, (ID,))] if answers is None else answers
    chosen = {
        "pid": 1, "stopped": True, "exit_code": 0, "seconds": 1.0, "ports": [80],
        "metrics": PAGE, "answers": answers, "pythons": {1: ["python"]},
    } | (trial or {})  # fmt: skip
    whole = report(settings={"log_stream": "stdout"}, rooms={"logs": "on"}, instrumentation=[ROW])
    reports = [whole | (observed or {})] if observed != {} else []
    streams = {"stdout": b"\n".join(output), "stderr": b""}
    return Case(list(command), Trial(**chosen), Observed(reports), streams, True, True)


def verdict(name, **changes):
    """Return the check called *name* of a case."""
    checks, _ = _findings.examine(case(**changes))
    return next(check for check in checks if check.name == name)


def test_a_program_that_is_well_has_no_bad_news():
    """Everything is ok, each check once."""
    checks, strays = _findings.examine(case())

    assert [check.verdict for check in checks] == ["ok"] * 9
    assert len({check.name for check in checks}) == 9
    assert strays == []


@pytest.mark.parametrize(
    ("trial", "expected", "says"),
    [
        ({"stopped": False}, "ok", "ended by itself after 1.0 s with exit code 0"),
        ({"stopped": False, "exit_code": 3}, "bad", "with exit code 3"),
        ({"stopped": False, "exit_code": -11}, "bad", "by signal 11"),
        ({"killed": True}, "bad", "had to be killed"),
        ({"ports": []}, "note", "neither ended nor listened"),
        ({"ports": [80, 81]}, "ok", "listened on port 80, 81"),
    ],
)
def test_how_the_program_ended(trial, expected, says):
    """An end of its own with an error is bad news, a signal of ours is none."""
    found = verdict("program", trial=trial)

    assert found.verdict == expected
    assert says in found.says


@pytest.mark.parametrize(
    ("stderr", "says"),
    [
        (b"first\nOSError: port in use ?token=1\n", "OSError: port in use"),
        (json.dumps(LINE | {"error_message": "boom"}).encode(), "boom"),
        (json.dumps(LINE | {"error_type": "E", "error_message": "boom"}).encode(), "E: boom"),
        (json.dumps(LINE | {"message": "bye"}).encode(), "bye"),
    ],
)
def test_the_last_words_of_a_crash_are_shown(stderr, says):
    """Why it ended stands where people look first."""
    found = verdict("program", trial={"stopped": False, "exit_code": 1, "stderr": stderr})

    assert says in found.details[0]


def test_our_own_words_are_not_the_last_ones():
    """The program's are before them, in the other stream, or in the file that lines go to."""
    ours = [json.dumps(LINE | {"logger": name}).encode() for name in ("obskit", "obskit.metrics")]
    ours.append(b"obskit: x runs unobserved")
    crashed = {"stopped": False, "exit_code": 1}
    mixed = b"\n".join([b"sorry", b"", *ours])
    for trial in ({"stderr": mixed}, {"stderr": b"\n".join(ours), "stdout": mixed}):
        assert verdict("program", trial=crashed | trial).details == ("its last words: sorry",)
    silent = verdict("program", output=ours, trial=crashed | {"stderr": b"\n".join(ours)})
    assert silent.details == ()
    said = verdict("program", output=[b"in the file", *ours], trial=crashed)
    assert said.details == ("its last words: in the file",)


def test_a_file_without_lines_is_named(tmp_path):
    """With what is wrong with it, and the setting that chooses it."""
    empty = tmp_path / "empty.log"
    empty.touch()
    for path, why in ((tmp_path, "a folder"), (empty, "empty"), (tmp_path / "no", "not made")):
        given = case()
        given.output = {str(path): b""}
        checks, _ = _findings.examine(given)
        (lines,) = [check for check in checks if check.name == "lines"]

        assert lines.verdict == "bad"
        assert lines.says == "not a single line came out"
        assert str(path) in lines.details[0]
        assert why in lines.details[0]
        assert "OBSKIT_LOG_STREAM" in lines.details[0]


@pytest.mark.parametrize(
    ("command", "trial", "says"),
    [
        (["python", "-I", "a.py"], {}, "with -I"),
        (["python", "-sE", "a.py"], {}, "with -sE"),
        (["python", "a.py"], {}, "installed for this Python"),
        (["sleep", "1"], {"pythons": {}}, "not a Python program"),
        (["x"], {"stderr": b"obskit: /usr/bin/python runs unobserved, no\n"}, "runs unobserved"),
    ],
)
def test_a_program_without_obskit_is_told_why(command, trial, says):
    """Nothing else can be judged then."""
    checks, _ = _findings.examine(case(observed={}, command=command, trial=trial))

    assert [check.name for check in checks] == ["program", "observed"]
    assert checks[1].verdict == "bad"
    assert says in checks[1].details[0]


def test_a_child_without_obskit_is_named():
    """A Python that ignores its environment is found among the processes."""
    trial = {"pythons": {1: ["python"], 2: ["python", "-I", "w.py", "--token", "hunter2"]}}
    found = verdict("observed", trial=trial)

    assert found.says == "1 of 2 Python processes run without it"
    assert found.details == ("2: python -I w.py --token ***",)


def test_a_part_that_failed_is_bad_news():
    """The reason is shown without secrets."""
    found = verdict("parts", observed={"rooms": {"metrics": "failed: password=hunter2"}})

    assert found.details == ("metrics failed: password=***",)


def test_escapees_are_shown_with_their_likely_writer():
    """Stream, number, text, fault and writer of what is no line."""
    checks, strays = _findings.examine(case(output=(UNIT, b"INFO:     Started ?token=hunter2")))
    found = next(check for check in checks if check.name == "lines")

    assert found.says == "1 of 2 are valid"
    assert "stdout line 2" in found.details[0]
    assert "uvicorn" in found.details[0]
    assert strays[0]["number"] == 2
    assert "hunter2" not in str(checks)


def test_many_escapees_are_shortened():
    """Ten are enough for people."""
    found = verdict("lines", output=[UNIT, *[b"x"] * 30])

    assert len(found.details) == _findings.MOST_SHOWN + 1
    assert "20 more" in found.details[-1]


def test_silence_is_bad_news():
    """At least the first line of the process must come out."""
    assert verdict("lines", output=()).verdict == "bad"


def test_lines_that_go_elsewhere_are_not_judged():
    """A console format is no JSON, and nobody wants it to be."""
    one = case(observed={"settings": {"log_format": "console", "log_stream": "stdout"}})
    one.output.clear()
    checks, _ = _findings.examine(one)

    assert "format console to stdout" in next(c.says for c in checks if c.name == "lines")


def answer(**changes):
    """Return an answer that is as it must be, but for what is given."""
    return Answer(
        **({"port": 80, "path": "/", "sent": ID, "status": 200, "returned": (ID,)} | changes)
    )


@pytest.mark.parametrize(
    ("answers", "settings", "expected", "says"),
    [
        ([], {}, "note", "did not listen"),
        ([answer(status=None, fault="refused")], {}, "bad", "refused"),
        ([answer(), answer(status=None, fault="reset")], {}, "bad", "reset"),
        ([answer(returned=())], {}, "bad", "no X-Correlation-ID"),
        ([answer(returned=(ID, ID))], {}, "bad", "2 headers"),
        ([answer(returned=("other",))], {}, "bad", "came back as 'other'"),
        ([answer(sent="other", returned=("other",))], {}, "bad", "no line has the ID"),
        ([answer(sent="other")], {"trust": "edge"}, "ok", "is on 1 lines"),
        ([answer(sent="x", returned=("x",), path="/health")], {}, "note", "no line was due"),
        ([answer(sent="x", returned=("x",))], {"request_log": False}, "note", "no line was due"),
    ],
)
def test_the_request_is_judged_by_header_and_lines(answers, settings, expected, says):
    """What was sent must come back once, and be on lines."""
    settings = {"log_stream": "stdout", **settings}
    found = verdict("request", answers=answers, observed={"settings": settings})

    assert found.verdict == expected
    assert says in " ".join((found.says, *found.details))


@pytest.mark.parametrize(
    ("page", "expected", "says"),
    [
        (PAGE, "ok", "1 requests are counted"),
        ("", "bad", "no page"),
        ("# TYPE x counter\n", "bad", "1 requests were answered, 0 counted"),
    ],
)
def test_requests_must_be_counted(page, expected, says):
    """A page that counts less than was answered is wrong."""
    found = verdict("metrics", trial={"metrics": page})

    assert found.verdict == expected
    assert says in found.says


@pytest.mark.parametrize(
    ("changes", "expected", "says"),
    [
        ({}, "ok", ""),
        ({"tested": False, "version": "9"}, "note", "hooked untested"),
        ({"state": "failed", "reason": "boom"}, "bad", "boom"),
    ],
)
def test_libraries_that_failed_are_bad_news(changes, expected, says):
    """An untested version is worth a note."""
    found = verdict("libraries", observed={"instrumentation": [ROW | changes]})

    assert found.verdict == expected
    assert says in "".join(found.details)


@pytest.mark.parametrize(
    ("observed", "name", "says"),
    [
        (
            {"internal_errors": {"hook.x": 2}, "last_errors": {"hook.x": "b"}},
            "health",
            "2 x hook.x: b",
        ),
        ({"lost": {"logs/full": 3}}, "health", "3 lost: logs/full"),
        ({"problems": ["OBSKIT_TRUST='x' must be"]}, "settings", "OBSKIT_TRUST='x'"),
    ],
)
def test_what_obskit_itself_got_wrong_is_bad_news(observed, name, says):
    """Errors contained, things lost, settings not understood."""
    found = verdict(name, observed=observed)

    assert found.verdict == "bad"
    assert says in found.details[0]


@pytest.mark.parametrize(
    ("sent", "trouble", "expected", "says"),
    [
        (7, "", "ok", "7 sent to http://z:9411"),
        (0, "", "note", "0 sent to http://z:9411"),
        (7, "status 404", "bad", "http://z:9411: status 404"),
    ],
)
def test_spans_that_are_sent_are_told_of(sent, trouble, expected, says):
    """Where they go, how many went, and what is wrong."""
    row = {"to": "http://z:9411", "sent": sent, "waiting": 0, "trouble": trouble}
    found = verdict("spans", observed={"spans": {"zipkin": row}})

    assert found.verdict == expected
    assert says in (found.says, *found.details)
