"""Every code block of the documentation works as it is shown."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import SERVED, Block, Reader, blocks, matches, pages, steps
from tests.source import shown

# Blocks that cannot run, by page: a new one needs a better reason than that it is easier.
NOT_RUN = {
    "README.md": 2,
    "docs/how-to/celery.md": 1,
    "docs/how-to/django.md": 1,
    "docs/how-to/gunicorn.md": 1,
    "docs/how-to/uvicorn.md": 1,
    "docs/tutorial/first-mystery.md": 1,
}
SHOWN_ONLY = {"dockerfile", "json", "promql", "text", "toml", "yaml"}


def with_code() -> list[Path]:
    """Return the pages that have something to run."""
    return [
        path
        for path in pages()
        if not shown(path).startswith(SERVED)
        and any(one.language in ("python", "console") for one in blocks(path.read_text("utf-8")))
    ]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Give somebody who follows a page."""
    somebody = Reader(tmp_path)
    yield somebody
    somebody.close()


@pytest.mark.slow
@pytest.mark.parametrize("page", with_code(), ids=shown)
def test_a_page_can_be_followed(page, reader):
    """Who types what a page says gets what it shows."""
    for block in blocks(page.read_text(encoding="utf-8")):
        if not block.reason:
            reader.follow(block)


@pytest.mark.parametrize("page", pages(), ids=shown)
def test_every_block_says_what_it_is(page):
    """A block is run, or it is of a kind that is only shown, or a reason stands above it."""
    found = list(blocks(page.read_text(encoding="utf-8")))
    kinds = {block.language for block in found if not block.reason}

    assert kinds <= SHOWN_ONLY | {"python", "console"}
    assert sum(bool(block.reason) for block in found) <= NOT_RUN.get(shown(page), 0)
    for block in found:
        if block.language == "json":
            for line in block.code.splitlines():
                json.loads(line)


def test_blocks_and_steps_are_read_as_they_are_written():
    """The reader of pages sees languages, reasons, commands over several lines, and answers."""
    text = (
        "```python\na\n```\n<!-- not run: too long -->\n```console\n"
        "$ one \\\n  two\nanswer\n$ three\n```\n"
    )
    found = list(blocks(text))

    assert found[0] == Block("python", "a\n")
    assert found[1].reason == "too long"
    assert list(steps(found[1].code)) == [("one \\\n  two", "answer"), ("three", "")]


def test_an_answer_must_be_the_one_shown():
    """Dots stand for anything, and nothing else does."""
    assert matches("a ... z\n...", "a b c z\nmore\nand more\n")
    assert matches("", "\n")
    assert not matches("a", "ab")
    assert not matches("", "an error")


def test_a_block_that_fails_is_noticed(reader):
    """A program that raises and a command that answers otherwise break the test."""
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        reader.follow(Block("python", "1 / 0"))
    with pytest.raises(AssertionError, match="not"):
        reader.follow(Block("console", "$ echo yes\nno\n"))
