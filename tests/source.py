"""Read the project's own files: what git tracks, and the syntax trees of the library."""

import ast
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "src" / "obskit"
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def project_files() -> tuple[Path, ...]:
    """Return the files that are, or would be, tracked by git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60)
    if listing.returncode != 0:
        pytest.skip("not a git work tree, so nobody knows which files belong to the project")
    paths = (ROOT / name for name in listing.stdout.decode().split("\0") if name)
    return tuple(sorted(path for path in paths if path.is_file()))


@cache
def text_of(path: Path) -> str:
    """Return a file's text; a file that is not text is empty."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a Python file."""
    return ast.parse(text_of(path), filename=str(path))


@cache
def modules() -> tuple[Path, ...]:
    """Return the Python files of the library."""
    return tuple(sorted(LIBRARY.rglob("*.py")))


def shown(path: Path, line: int | None = None) -> str:
    """Return a place as people write it."""
    place = str(path.relative_to(ROOT))
    return place if line is None else f"{place}:{line}"


def must_be_empty(violations: Iterable[object]) -> None:
    """Fail with one line for each violation."""
    lines = [str(violation) for violation in violations]
    if lines:
        pytest.fail("\n".join([f"{len(lines)} found:", *lines]), pytrace=False)


def functions(path: Path) -> Iterator[Function]:
    """Yield every function and method of a Python file."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, Function):
            yield node


def length(function: Function) -> int:
    """Return the number of lines of a function, without decorators and docstring."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function, clean=False) is not None:
        docstring = function.body[0]
        assert docstring.end_lineno is not None
        lines -= docstring.end_lineno - docstring.lineno + 1
    return lines


class Import(NamedTuple):
    """One imported name: full and dotted; lazy if it is imported inside of a function or block."""

    line: int
    name: str
    lazy: bool


def imports(path: Path) -> Iterator[Import]:
    """Yield everything that a file imports at run time."""
    skipped = {id(node) for block in _typing_blocks(path) for node in ast.walk(block)}
    for node in ast.walk(tree_of(path)):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (Import(node.lineno, name, node.col_offset > 0) for name in names)


def _typing_blocks(path: Path) -> Iterator[ast.If]:
    """Yield the blocks that only a type checker reads."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield node


def is_module(dotted: str) -> bool:
    """Tell whether a dotted name below obskit is a module or a package."""
    path = LIBRARY.parent.joinpath(*dotted.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()
