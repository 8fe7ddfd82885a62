"""What holds for all folders of integrations/."""

import re
from pathlib import Path

import pytest

from obskit.instrumentation import _catalog
from tests.integrations.files import INTEGRATIONS
from tests.source import ROOT, must_be_empty, project_files, shown

FOLDERS = sorted(path.name for path in INTEGRATIONS.iterdir() if path.is_dir())
README = (INTEGRATIONS / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| \[([\w-]+)\]\(([\w-]+)/README\.md\) \| .+ \| .+ \|$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:]+)\)")
HEADINGS = ["See it", "What you get", "Check it", "Limits"]


def pages():
    """Return the pages below integrations/."""
    return sorted(INTEGRATIONS.rglob("*.md"))


def test_nothing_there_is_python():
    """What Python executes is in src/, what another product reads is here."""
    must_be_empty(
        shown(path)
        for path in project_files()
        if path.is_relative_to(INTEGRATIONS) and path.suffix in (".py", ".pyc", ".toml")
    )


def test_the_table_names_every_product():
    """Each folder has its row, and each row its folder."""
    rows = ROW.findall(README)

    assert [name for name, _ in rows] == [folder for _, folder in rows]
    assert sorted(name for name, _ in rows) == FOLDERS
    assert len(FOLDERS) == 12


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_product_has_a_page_of_the_same_shape(folder):
    """Three commands to see it, what it gives, how to check it, what it cannot do."""
    page = (INTEGRATIONS / folder / "README.md").read_text(encoding="utf-8")
    first = re.search(r"^## See it\n+```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)

    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == HEADINGS
    assert len(first[1].splitlines()) == 3


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_product_has_its_checker(folder):
    """Files without a test rot."""
    assert Path(__file__).with_name(f"test_{folder.replace('-', '_')}.py").is_file()


@pytest.mark.parametrize("page", pages(), ids=shown)
def test_links_lead_somewhere(page):
    """Every file that a page names is there."""
    must_be_empty(
        target
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    )


def test_every_file_is_told_of():
    """No file lies around that the page of its product does not name, or its folder's."""
    silent = []
    for path in project_files():
        if path.is_relative_to(INTEGRATIONS) and path.suffix != ".md":
            folder = INTEGRATIONS / path.relative_to(INTEGRATIONS).parts[0]
            page = (folder / "README.md").read_text(encoding="utf-8")
            names = {path.name, *(one.name for one in path.parents if one.is_relative_to(folder))}
            if not any(name in page for name in names - {folder.name}):
                silent.append(shown(path))

    must_be_empty(silent)


def test_the_page_points_to_what_is_instrumented():
    """Who looks for a library here finds all of them, from the catalog."""
    assert all(f"| `{row.name}` |" in README for row in _catalog.ROWS)
    assert (ROOT / "integrations" / "../docs/reference/fields.md").is_file()
