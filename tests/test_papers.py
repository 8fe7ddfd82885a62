"""The papers of the project: links, changelog, and what no file of it may name."""

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from tests.source import ROOT, must_be_empty, project_files, shown, text_of

CODE = re.compile(r"^(```+|~~~+).*?^\1[^\S\n]*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|\b(?:src|href)=\"([^\"]+)\"")
REFERENCE = re.compile(r"^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:|^//", re.IGNORECASE)
SECTIONS = ["Security", "Removed", "Deprecated", "Added", "Changed", "Fixed"]
RELEASE = re.compile(r"\[(?:Unreleased|\d+\.\d+\.\d+)\](?: - \d{4}-\d\d-\d\d)?")

# Spelled in two parts, so that this file does not name them either.
HOSTS = ["py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "crates" + ".io"]
HOSTS += ["proxy.golang" + ".org", "repo1.maven" + ".org", "repo.maven.apache" + ".org"]
HOSTS += ["deb.debian" + ".org"]
PLACES = re.compile(
    r"(?<![\w.<{}*-])/(?:work|root|home/\w+|Users/\w+|opt/whe" + r"els)/|\.py" + r"env/versions"
)
WORKPLACE = re.compile(r"\bDES" + r"IGN\.md|\bshared/fi" + r"eld|\bbri" + r"ef\.md")


def markdown() -> list[Path]:
    """Return all Markdown files of the project."""
    return [path for path in project_files() if path.suffix == ".md"]


@cache
def anchors(path: Path) -> frozenset[str]:
    """Return the names of a page's headings, as web pages of repositories spell them."""
    prose = re.sub(r"^(```+|~~~+).*?^\1[^\S\n]*$", "", text_of(path), flags=re.M | re.S)
    titles = (re.sub(r"[^\w\s-]", "", title.lower()) for title in HEADING.findall(prose))
    named = re.findall(r"\b(?:id|name)=\"([^\"]+)\"", prose)
    return frozenset({*(re.sub(r"\s", "-", title.strip()) for title in titles), *named})


def links(path: Path) -> set[str]:
    """Return the targets of a page's links to other files of the project."""
    prose = CODE.sub("", text_of(path))
    found = {first or second for first, second in LINK.findall(prose)}
    return {link for link in found | {*REFERENCE.findall(prose)} if not ELSEWHERE.match(link)}


def is_broken(page: Path, link: str) -> bool:
    """Tell whether a link points to a file or heading that does not exist."""
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.exists():
        return True
    return bool(anchor) and target.suffix == ".md" and anchor not in anchors(target)


def test_links_between_pages_resolve():
    """A reader who follows a link arrives."""
    broken = [
        f"{shown(page)}: {link}"
        for page in markdown()
        for link in sorted(links(page))
        if is_broken(page, link)
    ]

    must_be_empty(broken)


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("[a](there.md)", False),
        ("[a](there.md#two-words)", False),
        ("[a](there.md#three-words)", True),
        ("[a](gone.md)", True),
        ('[a](gone.md "title")', True),
        ("![a](gone.svg)", True),
        ('<img src="gone.svg">', True),
        ("[a]: gone.md", True),
        ("[a](https://example.org/gone.md) `[a](gone.md)`", False),
        ("```\n[a](gone.md)\n```", False),
    ],
)
def test_broken_links_are_found(tmp_path, text, broken):
    """The check itself sees files, headings, pictures and references, and spares code."""
    page = tmp_path / "page.md"
    page.write_text(text)
    (tmp_path / "there.md").write_text("# There\n\n## Two words\n")

    assert any(is_broken(page, link) for link in links(page)) is broken


def places(pattern: re.Pattern[str]) -> list[str]:
    """Return where a pattern is found in the project's files."""
    return [
        f"{shown(path, number)}: {match[0]}"
        for path in project_files()
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if (match := pattern.search(line))
    ]


def test_no_file_names_a_place_of_one_machine():
    """What is in the repository works on every machine."""
    must_be_empty(places(PLACES))


def test_no_file_names_a_package_registry():
    """Where packages come from is configured on the machine."""
    must_be_empty(places(re.compile("|".join(map(re.escape, HOSTS)))))


def test_the_product_speaks_of_itself_alone():
    """Notes that were used while building are not referred to."""
    must_be_empty(places(WORKPLACE))


def releases() -> list[tuple[str, str]]:
    """Return heading and text of each release in the changelog, newest first."""
    parts = re.split(r"^## (.+)$", text_of(ROOT / "CHANGELOG.md"), flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def test_the_changelog_has_releases_and_sections_in_order():
    """The newest comes first, beginning with what is not released yet."""
    headings = [heading for heading, _ in releases()]

    assert headings[0] == "[Unreleased]"
    must_be_empty([heading for heading in headings if not RELEASE.fullmatch(heading)])
    for _, text in releases():
        sections = re.findall(r"^### (.+)$", text, flags=re.MULTILINE)
        assert sections == [name for name in SECTIONS if name in sections]


def test_changelog_entries_are_sentences_on_one_line():
    """An entry is written for the person who updates."""
    lines = [line for _, text in releases() for line in text.splitlines() if line.strip()]
    entries = [line for line in lines if not line.startswith("### ")]

    must_be_empty([line for line in entries if not re.fullmatch(r"- [A-Z`].*[.]", line)])


def test_the_version_is_the_one_being_made_or_the_last_released():
    """The package never claims an older version than the changelog."""
    version = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["version"]
    released = [
        match[1] for heading, _ in releases() if (match := re.match(r"\[(\d.+?)\]", heading))
    ]

    assert not released or tuple(map(int, version.split("."))) >= tuple(
        map(int, released[0].split("."))
    )
