"""The rules of the house: what a machine can check of them, each with what to do about it."""

import ast
import inspect
import io
import re
import statistics
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import obskit
from tests.source import (
    LIBRARY,
    ROOT,
    Function,
    functions,
    imports,
    is_module,
    length,
    modules,
    must_be_empty,
    project_files,
    shown,
    text_of,
    tree_of,
)

LONGEST_MODULE = 350
LONGEST_FUNCTION = 50
MEDIAN_FUNCTION = 7
P90_FUNCTION = 24
NO_NAMES = {"base", "common", "core", "helper", "helpers", "manager", "misc", "util", "utils"}
NOTES_LEFT = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX")) + r")\b")
BANNER = re.compile(r"#\s*(?:[-=#*~_]{3,}|.*[-=#*~_]{5,}$)")
SECOND_SENTENCE = re.compile(r"[.!?]\s+[A-Z]")


def room(path: Path) -> str:
    """Return the name of the room, or of the module on the floor, that a file belongs to."""
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


def python_files() -> list[Path]:
    """Return all Python files of the project."""
    return [path for path in project_files() if path.suffix == ".py"]


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each comment."""
    for token in tokenize.generate_tokens(io.StringIO(text_of(path)).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def test_modules_are_short():
    """A module that grows has two topics: split it by topic."""
    sizes = {path: len(text_of(path).splitlines()) for path in modules()}

    must_be_empty(
        f"{shown(path)}: {size} lines, at most {LONGEST_MODULE}"
        for path, size in sizes.items()
        if size > LONGEST_MODULE
    )


def test_functions_are_short():
    """A function that grows hides a name: find it."""
    must_be_empty(
        f"{shown(path, function.lineno)} {function.name}: {size} lines, at most {LONGEST_FUNCTION}"
        for path in modules()
        for function in functions(path)
        if (size := length(function)) > LONGEST_FUNCTION
    )


def test_functions_are_small_on_the_whole():
    """Half of all functions fit into a glance, nine of ten on a postcard."""
    sizes = sorted(length(function) for path in modules() for function in functions(path))

    assert statistics.median(sizes) <= MEDIAN_FUNCTION
    assert statistics.quantiles(sizes, n=10)[-1] <= P90_FUNCTION


def test_modules_are_named_for_their_topic():
    """A drawer without a label collects everything."""
    vague = [
        shown(path)
        for path in modules()
        if {part.strip("_") for part in path.relative_to(LIBRARY).with_suffix("").parts} & NO_NAMES
    ]

    must_be_empty(vague)


def test_there_are_no_mixins():
    """Behaviour is shared by functions, not by inheritance."""
    mixins = [
        f"{shown(path, node.lineno)} {node.name}"
        for path in modules()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Mixin")
    ]

    must_be_empty(mixins)


def test_no_notes_of_work_are_left():
    """What is not done is not in the code."""
    notes = [
        shown(path, number)
        for path in project_files()
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if path.suffix != ".lock" and NOTES_LEFT.search(line)
    ]

    must_be_empty(notes)


def test_there_are_no_banners():
    """A file that needs headings wants to be two files."""
    banners = [
        shown(path, number)
        for path in python_files()
        for number, comment in comments(path)
        if BANNER.match(comment)
    ]

    must_be_empty(banners)


def environment_uses(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each use of the environment: reads of one variable as "read", others as "whole"."""
    for node in ast.walk(tree_of(path)):
        inner = [*ast.iter_child_nodes(node)]
        for child in inner:
            name = ast.unparse(child) if isinstance(child, ast.Attribute) else ""
            if name in ("os.getenv", "os.getenvb"):
                yield child.lineno, "read"
            elif name in ("os.environ", "os.environb"):
                yield child.lineno, _kind_of_use(node)
    yield from (
        (line, "read") for line, name, _ in imports(path) if name in ("os.environ", "os.getenv")
    )


def _kind_of_use(parent: ast.AST) -> str:
    if isinstance(parent, ast.Subscript):
        return "read" if isinstance(parent.ctx, ast.Load) else "whole"
    if isinstance(parent, ast.Attribute):
        return "whole" if parent.attr in ("copy", "update") else "read"
    return "read" if isinstance(parent, ast.Compare) else "whole"


def test_the_environment_is_read_in_settings_only():
    """A variable is a setting; only commands may hand the whole environment to a child."""
    elsewhere = [
        f"{shown(path, line)} ({use} of the environment)"
        for path in modules()
        if room(path) != "settings" and LIBRARY / "cli" / "_autostart" not in path.parents
        for line, use in environment_uses(path)
        if use == "read" or room(path) != "cli"
    ]

    must_be_empty(elsewhere)


def housed() -> set[str]:
    """Return the libraries that have a room, by the contracts that name their importers."""
    tools = tomllib.loads(text_of(ROOT / "pyproject.toml"))["tool"]
    contracts = tools["importlinter"]["contracts"]
    return {one["forbidden_modules"][0] for one in contracts if "ignore_imports" in one}


def test_no_library_is_imported_that_has_no_room():
    """A new dependency gets a contract first; what is instrumented is imported in hooks only."""
    site = {"sitecustomize", "usercustomize"}
    known = {"obskit", *site, *sys.stdlib_module_names, *housed()}

    must_be_empty(
        f"{shown(path, line)} imports {name}"
        for path in modules()
        for line, name, lazy in imports(path)
        if name.partition(".")[0] not in known and not (lazy and room(path) == "instrumentation")
    )


def test_the_inside_never_imports_the_public_surface():
    """Only commands and the test kit stand outside; the others import where a thing is made."""
    outside = {"cli", "testing"}
    circular = [
        f"{shown(path, line)} imports {name}"
        for path in modules()
        if room(path) not in outside
        for line, name, _ in imports(path)
        if name == "obskit"
        or (name.count(".") == 1 and name[:7] == "obskit." and not is_module(name))
    ]

    must_be_empty(circular)


def has_behaviour(path: Path) -> bool:
    """Tell whether a module has a function that does something."""
    for function in functions(path):
        rest = function.body[1:] if ast.get_docstring(function) is not None else function.body
        if any(ast.unparse(statement) not in ("...", "pass") for statement in rest):
            return True
    return False


def twins(path: Path) -> set[Path]:
    """Return the places where a module's tests may be."""
    relative = path.relative_to(LIBRARY)
    folders = [folder.strip("_") for folder in relative.parts[:-1]]
    if relative.stem != "__init__":
        return {ROOT.joinpath("tests", *folders, f"test_{relative.stem.strip('_')}.py")}
    package = folders[-1] if folders else "obskit"
    return {ROOT.joinpath("tests", *folders, f"test_{name}.py") for name in (package, "init")}


def test_every_module_has_a_test_twin():
    """Who reads a module knows where its tests are."""
    lonely = [
        f"{shown(path)} wants {' or '.join(sorted(map(shown, twins(path))))}"
        for path in modules()
        if has_behaviour(path) and not any(twin.is_file() for twin in twins(path))
    ]

    must_be_empty(lonely)


def behaviours_of(path: Path) -> Iterator[Function]:
    """Yield the test functions of a file, methods included."""
    return (function for function in functions(path) if function.name.startswith("test_"))


def test_every_test_says_its_behaviour_in_one_sentence():
    """The docstrings of the tests read as a specification."""
    silent = []
    for path in python_files():
        if not path.is_relative_to(ROOT / "tests") or not path.name.startswith("test_"):
            continue
        for test in behaviours_of(path):
            sentence = " ".join((ast.get_docstring(test) or "").split())
            if not sentence.endswith(".") or SECOND_SENTENCE.search(sentence):
                silent.append(f"{shown(path, test.lineno)} {test.name}: {sentence!r}")

    must_be_empty(silent)


def public() -> Iterator[tuple[str, object]]:
    """Yield the public names of obskit with what they are, or the error that hides it."""
    for name in obskit.__all__:
        try:
            yield name, getattr(obskit, name)
        except Exception as error:
            yield name, error


def test_every_public_name_exists_once():
    """What is announced is there."""
    assert len(obskit.__all__) == len(set(obskit.__all__))
    must_be_empty(f"{name}: {value!r}" for name, value in public() if isinstance(value, Exception))


@pytest.mark.parametrize("kind", [inspect.isfunction, inspect.isclass])
def test_everything_public_is_documented(kind):
    """Who asks for help in the interpreter gets it."""
    must_be_empty(name for name, value in public() if kind(value) and not value.__doc__)
