"""The parts of the documentation that are made from code."""

import importlib.util
import subprocess
import sys
from importlib.machinery import SourceFileLoader

import pytest

from obskit import fields, settings
from obskit.cli import COMMANDS
from obskit.instrumentation import _catalog
from obskit.shipping import target
from tests.source import ROOT

SCRIPT = ROOT / "scripts" / "reference"


@pytest.fixture(scope="module")
def reference():
    """Give the script as a module."""
    loader = SourceFileLoader("reference", str(SCRIPT))
    spec = importlib.util.spec_from_loader("reference", loader)
    module = importlib.util.module_from_spec(spec)
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


def test_the_documentation_is_up_to_date():
    """What is made from code says what the code says; `scripts/reference` makes it anew."""
    check = subprocess.run(
        [sys.executable, SCRIPT, "--check"], capture_output=True, text=True, timeout=60, check=False
    )

    assert check.returncode == 0, check.stdout + check.stderr


def test_everything_that_can_be_made_is_used(reference):
    """No table is made that no page shows."""
    pages = [*ROOT.joinpath("docs").rglob("*.md"), ROOT / "README.md"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in pages)
    used = {match[2] for match in reference.PART.finditer(text)}

    assert used == set(reference.MAKERS)


def test_tables_name_everything_there_is(reference):
    """A setting, field, metric, row or command that is added gets documented by itself."""
    made = {name: make() for name, make in reference.MAKERS.items()}

    visible = [name for name, one in settings.FIELDS.items() if not one.hidden]
    assert all(f"`{settings.environment_name(name)}`" in made["settings"] for name in visible)
    assert all(f"`{field.name}`" in made["fields"] for field in fields.LINE)
    assert all(f"`{field.name}`" in made["inventory"] for field in fields.LINE)
    assert all(f"`{metric.name}`" in made["metrics"] for metric in fields.METRICS)
    assert all(f"`{row.name}`" in made["coverage"] for row in _catalog.ROWS)
    assert all(f"## obskit {name}\n" in made["commands"] for name in COMMANDS)
    for kind in target.KINDS.values():
        assert all(f"`{option}`" in made["destinations"] for option in kind.options)
        assert all(f"{one}://`" in made["destinations"] for one in kind.schemes)


def test_cells_with_bars_do_not_break_a_table(reference):
    """A bar in a cell is written such that it is none of the table's."""
    made = reference.table(("a", "b"), iter([("x|y", "z")]))

    assert made == "| a | b |\n|---|---|\n| x\\|y | z |\n"


def test_pages_are_renewed_only_between_their_markers(reference):
    """What people have written stays."""
    marker = "<!-- made by scripts/reference: coverage -->\n"
    page = f"before\n{marker}old\n<!-- end -->\nafter\n"
    renewed = reference.renewed(page)

    assert renewed.startswith(f"before\n{marker}")
    assert renewed.endswith("<!-- end -->\nafter\n")
    assert "old" not in renewed
    assert reference.renewed(renewed) == renewed
