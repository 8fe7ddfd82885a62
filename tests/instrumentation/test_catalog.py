"""The list of what is instrumented."""

import re

import pytest

from obskit.instrumentation import _catalog
from obskit.instrumentation._catalog import Row

ROWS = pytest.mark.parametrize("row", _catalog.ROWS, ids=lambda row: row.name)


def test_names_are_unique():
    """A name means one row."""
    names = [row.name for row in _catalog.ROWS]

    assert len(names) == len(set(names))


@ROWS
def test_a_row_says_what_it_needs(row):
    """The lowest and the newest tested version are there for whatever is installed by pip."""
    if row.requires:
        assert re.fullmatch(r"[a-z0-9-]+>=\d+(\.\d+)*", row.requires)
        assert re.fullmatch(r"\d+(\.\d+)*", row.tested)
        assert row.distribution
        assert row.lowest
    assert row.what


def announce(folder, value, group=_catalog.GROUP):
    """Write the metadata of a distribution with one entry point."""
    info = folder / "obskit_toy-1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text("Name: obskit-toy\nVersion: 1.0\n", encoding="utf-8")
    text = f"[{group}]\ntoy = {value}\n"
    info.joinpath("entry_points.txt").write_text(text, encoding="utf-8")


def test_other_distributions_add_rows(tmp_path, toy):
    """An entry point may name a row or several."""
    toy(
        "obskit_toy_rows",
        "from obskit.instrumentation import Row\n"
        "ROWS = [Row('one', 'x', imports=('a',)), Row('two', 'y', module='obskit_toy_hooks')]\n",
    )
    announce(tmp_path, "obskit_toy_rows:ROWS")

    assert [row.name for row in _catalog.foreign_rows()] == ["one", "two"]


def test_a_single_row_is_enough(tmp_path, toy):
    """Most distributions have one row."""
    toy("obskit_toy_rows", "from obskit.instrumentation import Row\nROW = Row('one', 'x')\n")
    announce(tmp_path, "obskit_toy_rows:ROW")

    assert [row.home for row in _catalog.foreign_rows()] == ["obskit.instrumentation.one"]


def test_a_broken_distribution_keeps_no_others(tmp_path, toy, broken):
    """What cannot be loaded is reported by its name."""
    toy("obskit_toy_rows", "raise RuntimeError('broken')")
    announce(tmp_path, "obskit_toy_rows:ROW")

    assert list(_catalog.foreign_rows()) == []
    assert broken == {"instrumentation.toy": 1}


def test_metadata_is_not_read_where_nobody_announces(tmp_path, toy, monkeypatch):
    """Without such entry points the costly module for them stays out."""
    monkeypatch.setattr("importlib.metadata.entry_points", None)
    announce(tmp_path, "obskit_toy_rows:ROW", group="other.group")
    monkeypatch.setattr("sys.path", [str(tmp_path), "/does/not/exist", ""])

    assert list(_catalog.foreign_rows()) == []


def test_a_row_knows_where_its_hooks_are():
    """Ours have the row's name, others say it."""
    assert Row("httpx", "").home == "obskit.instrumentation.httpx"
    assert Row("toy", "", module="toy.hooks").home == "toy.hooks"
