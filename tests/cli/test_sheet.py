"""What the doctor shows."""

import json

from obskit.cli._sheet import WIDTH, Check, Library, Sheet, as_json, as_text


def sheet(*checks):
    """Return a sheet with some checks, two libraries and two settings."""
    return Sheet(
        "obskit doctor: app",
        list(checks),
        [
            Library("httpx", "0.28.1", "hooked", seen=3),
            Library("flask", None, "absent", "not installed"),
        ],
        [
            {"name": "service", "value": "shop", "source": "OBSKIT_SERVICE"},
            {"name": "redact", "value": ["iban", "vat"], "source": "argument"},
            {"name": "trust", "value": "auto", "source": "default"},
        ],
        {"exit_code": 0},
    )


def test_the_end_says_where_to_look():
    """Who reads only the last line knows whether something is wrong."""
    well = as_text(sheet(Check("lines", "ok", "all"), Check("libraries", "note", "x")))
    bad = as_text(sheet(Check("lines", "bad", "some", ("this one",)), Check("health", "bad", "x")))

    assert well.endswith("\nAll is well.\n")
    assert bad.endswith("\nLook at: lines, health.\n")
    assert "  BAD   lines" in bad
    assert "- this one" in bad


def test_only_what_is_chosen_is_shown():
    """Settings at their default and libraries that are absent take no room."""
    text = as_text(sheet())

    assert "service           shop  (from OBSKIT_SERVICE)" in text
    assert "iban,vat" in text
    assert "trust" not in text
    assert "not installed: flask" in text
    assert "3 seen" in text


def test_no_choice_is_said_too():
    """An empty list would look like a mistake."""
    empty = sheet()
    empty.settings = [{"name": "trust", "value": "auto", "source": "default"}]

    assert "Settings that are not the default\n  none" in as_text(empty)


def test_long_texts_are_folded_for_a_terminal():
    """A line is as wide as a terminal, words are kept whole."""
    text = as_text(sheet(Check("lines", "bad", "word " * 60, ("word " * 60,))))

    assert max(map(len, text.splitlines())) <= WIDTH


def test_json_has_everything():
    """Programs read the same, with a verdict of the whole."""
    found = json.loads(as_json(sheet(Check("lines", "bad", "some", ("this",)))))

    assert found["well"] is False
    assert found["checks"][0]["details"] == ["this"]
    assert found["libraries"][1]["state"] == "absent"
    assert found["settings"][2]["source"] == "default"
    assert found["exit_code"] == 0
