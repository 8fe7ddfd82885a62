"""The constant pieces of a line of JSON."""

import json as standard

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.context import PROCESS, Context, Unit
from obskit.logs.formats import json


@given(st.dictionaries(st.text(), st.text() | st.integers(0, 2**53) | st.booleans()))
def test_a_piece_fits_behind_any_other(fields):
    """Pieces begin with a comma and have no braces."""
    made = '{"a":1' + json.piece(fields) + "}"

    assert standard.loads(made) == {"a": 1, **fields}


@given(st.dictionaries(st.text(), st.integers(0, 9)), st.dictionaries(st.text(), st.integers(0, 9)))
def test_fields_can_be_put_behind_a_whole_line(first, second):
    """Whether it has some already or not."""
    line = json.behind(json.dumps(first, None, json.NEWLINE), second)

    assert line.endswith(b"}\n")
    assert standard.loads(line, object_pairs_hook=list) == [*first.items(), *second.items()]


@given(st.text(st.characters(exclude_categories=[])))
def test_constants_can_be_encoded_and_are_short(text):
    """Whatever a name holds, it can stand on a line."""
    made = json.encodable(text)
    assert standard.loads("{" + json.logger[text][1:] + "}") == {"logger": made}
    assert len(made) <= 6 * json.LONGEST_CONSTANT


@pytest.mark.parametrize(("level", "name"), [(20, "info"), (33, "level 33")])
def test_a_level_stands_between_time_and_message(level, name):
    """Its piece closes the timestamp and opens the message."""
    assert json.after_time[level] == f'Z","level":"{name}","message":'


def test_only_levels_with_names_are_kept():
    """A level may get its name later."""
    json.after_time[34]
    assert 34 not in json.after_time
    json.after_time[30]
    assert 30 in json.after_time


def test_pieces_are_made_once_and_forgotten_when_there_are_too_many(monkeypatch):
    """Names that come from outside cannot fill the memory."""
    monkeypatch.setattr(json, "MOST_PIECES", 3)
    made = []
    pieces = json.Pieces(lambda key: made.append(key) or key)
    assert [pieces[key] for key in "aabbcc"] == list("aabbcc")
    assert made == ["a", "b", "c"]
    assert pieces["d"] == "d"
    assert list(pieces) == ["d"]


def test_a_unit_says_what_is_known_of_it():
    """What is not known is left out."""
    unit = Unit.of("c", "inherited", "t", "s", caller="web", causation_id="p", hop=3)
    piece = "{" + json.unit(Context(unit, "s2", "s", {}))[1:] + "}"

    assert list(standard.loads(piece).items()) == [
        ("correlation_id", "c"), ("correlation_source", "inherited"), ("causation_id", "p"),
        ("trace_id", "t"), ("span_id", "s2"), ("hop", 3), ("caller", "web"),
    ]  # fmt: skip


@pytest.mark.parametrize("odd", ['a"b', "a\\b", "a\nb", "\xe9", "\ud800", "x" * 300, ""])
@pytest.mark.parametrize("name", ["correlation_id", "caller", "causation_id", "trace_id"])
def test_a_unit_with_strange_values_is_json_all_the_same(name, odd):
    """What cannot stand between quotes as it is is escaped, cut or left out."""
    unit = Unit.of("c", "inherited", "t", "s", caller="web", causation_id="p")
    setattr(unit, name, odd)
    found = standard.loads("{" + json.unit(Context(unit, "s2", "s", {}))[1:] + "}")

    wanted = {
        "correlation_id": "c", "correlation_source": "inherited", "causation_id": "p",
        "trace_id": "t", "span_id": "s2", "hop": 1, "caller": "web", name: json.encodable(odd),
    }  # fmt: skip
    assert found == {key: value for key, value in wanted.items() if value != ""}


def test_the_process_is_no_unit():
    """Lines outside of an operation say so."""
    assert json.unit(Context(PROCESS, "", None, {})) == ',"scope":"process"'
