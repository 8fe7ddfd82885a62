"""Which operation is meant."""

import json

import pytest

from obskit.story.search import Ambiguous, NotFound, failures, find
from tests.story.scenes import Play, failing_order, healthy_order


@pytest.fixture
def logs(tmp_path):
    """Give a folder with the lines of a healthy and of two failing operations."""
    for name, play in (("abcd-1", failing_order()), ("abcd-2", healthy_order()), ("xyz-3", Play())):
        if name == "xyz-3":
            play.enter("mail", "task t").log("x", order_id="CD-9", trace_id="cd" * 16).end(
                "server_error", trace_id="cd" * 16
            )
        rows = "".join(json.dumps(dict(line, correlation_id=name)) + "\n" for line in play.lines)
        (tmp_path / f"{name}.log").write_text(rows, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("wanted", "field", "correlation_id"),
    [
        ("abcd-1", None, "abcd-1"),
        ("xyz-", None, "xyz-3"),
        ("cd" * 16, None, "xyz-3"),
        ("cdcdcdcd", None, "xyz-3"),
        ("CD-7", "order_id", "abcd-1"),
        ("CD-9", None, "xyz-3"),
    ],
)
def test_an_operation_is_found(logs, wanted, field, correlation_id):
    """By its ID, the beginning of it, its trace, or a field of the application."""
    found = find([logs], wanted, field=field)

    assert found.correlation_id == correlation_id
    assert {line["correlation_id"] for line in found.lines} == {correlation_id}
    assert len(found.lines) >= 2


def test_an_ambiguous_beginning_lists_its_candidates(logs):
    """Nobody guesses which of them was meant."""
    with pytest.raises(Ambiguous, match=r"2 operations:\n  abcd-1\n  abcd-2"):
        find([logs], "abcd")


def test_a_short_beginning_is_refused(logs):
    """Three characters mean anything."""
    with pytest.raises(NotFound, match="too short"):
        find([logs], "xyz")


def test_a_typing_error_gets_a_suggestion(logs):
    """Something close is there."""
    with pytest.raises(NotFound, match="did you mean abcd-1"):
        find([logs], "abcd_1")


def test_an_unknown_id_is_unknown(logs):
    """It says among how many it was looked for."""
    with pytest.raises(NotFound, match="no operation 'nothing-like-it' among 3"):
        find([logs], "nothing-like-it")


def test_logs_without_a_line_of_ours_are_said(tmp_path):
    """Probably the program did not run under obskit."""
    (tmp_path / "a.log").write_text("hello\n", encoding="utf-8")

    with pytest.raises(NotFound, match="no line of obskit in 1 lines"):
        find([tmp_path], "abcd-1")


def test_what_failed_is_listed(logs):
    """With the culprit; what went well only if everything is wanted."""
    assert [one.correlation_id for one in failures([logs])] == ["abcd-1", "xyz-3"]
    assert len(failures([logs], everything=True)) == 3
