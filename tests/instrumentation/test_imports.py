"""Callbacks after imports."""

import importlib
import importlib.util
import inspect
import sys
from importlib.machinery import SourceFileLoader

import pytest

from obskit.instrumentation import _imports

NAME = "obskit_toy_imports"


@pytest.fixture
def seen():
    """Give a list, and forget all that wait for the toy after the test."""
    yield []
    _imports._waiting.pop(NAME, None)


def test_nothing_is_imported_until_somebody_does(toy, seen):
    """Waiting for a module leaves it alone."""
    toy(NAME, "x = 1")
    _imports.when_imported(NAME, seen.append)

    assert NAME not in sys.modules
    module = importlib.import_module(NAME)
    assert seen == [module]
    assert module.x == 1


def test_a_module_that_is_there_is_handed_over_at_once(library, seen):
    """Who comes late is served at once."""
    module = library(NAME, "")
    _imports.when_imported(NAME, seen.append)

    assert seen == [module]


def test_the_callback_sees_the_finished_module(toy, seen):
    """Everything is defined when the callback runs."""
    toy(NAME, "def late(): return 7")
    _imports.when_imported(NAME, lambda module: seen.append(module.late()))
    importlib.import_module(NAME)

    assert seen == [7]


def test_a_callback_is_registered_once(toy, seen):
    """Arming twice calls once."""
    toy(NAME, "")
    callback = seen.append
    _imports.when_imported(NAME, callback)
    _imports.when_imported(NAME, callback)
    importlib.import_module(NAME)

    assert len(seen) == 1


def test_a_callback_that_raises_does_not_fail_the_import(toy, seen, broken):
    """The user's import works, the next callback too, and the error is counted."""
    toy(NAME, "x = 1")
    _imports.when_imported(NAME, lambda module: 1 / 0)
    _imports.when_imported(NAME, seen.append)

    assert importlib.import_module(NAME).x == 1
    assert len(seen) == 1
    assert broken == {f"instrumentation.{NAME}": 1}


def test_an_import_that_fails_raises_its_own_error(toy, seen):
    """The module's error arrives unchanged, and a second attempt works as without us."""
    path = toy(NAME, "raise LookupError('mine')")
    _imports.when_imported(NAME, seen.append)
    with pytest.raises(LookupError, match="mine"):
        importlib.import_module(NAME)
    assert seen == []

    path.write_text("x = 'a longer text'", encoding="utf-8")
    importlib.invalidate_caches()
    importlib.import_module(NAME)
    assert len(seen) == 1


def test_a_missing_module_stays_missing(seen):
    """Waiting for what is not installed changes nothing."""
    _imports.when_imported(NAME, seen.append)

    assert importlib.util.find_spec(NAME) is None
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(NAME)


def test_looking_for_a_module_does_not_count_as_importing_it(toy, seen):
    """A check whether a library is installed calls nobody."""
    toy(NAME, "")
    _imports.when_imported(NAME, seen.append)
    spec = importlib.util.find_spec(NAME)

    assert spec is not None
    assert isinstance(spec.loader, SourceFileLoader)
    assert seen == []


def test_the_module_keeps_its_own_loader(toy, seen):
    """Tools that ask a module's loader for source and data get answers."""
    toy(NAME, "def f():\n    return 'source'\n")
    _imports.when_imported(NAME, seen.append)
    module = importlib.import_module(NAME)

    assert type(module.__loader__) is SourceFileLoader
    assert type(module.__spec__.loader) is SourceFileLoader
    assert "return 'source'" in inspect.getsource(module.f)


def test_a_reloaded_module_is_handed_over_again(library, seen):
    """What was replaced is gone after a reload, so it has to be replaced again."""
    module = library(NAME, "")
    _imports.when_imported(NAME, seen.append)
    importlib.reload(module)

    assert seen == [module, module]


def test_who_takes_back_is_not_called(toy, seen):
    """A callback that was taken back is not called."""
    toy(NAME, "")
    callback = seen.append
    _imports.when_imported(NAME, callback)
    _imports.forget(NAME, callback)
    importlib.import_module(NAME)

    assert seen == []


def test_submodules_of_packages_are_watched(tmp_path, monkeypatch, seen):
    """A part of a package may be waited for, and the package is found as ever."""
    package = tmp_path / "obskit_toy_package"
    package.mkdir()
    package.joinpath("__init__.py").write_text("", encoding="utf-8")
    package.joinpath("part.py").write_text("y = 2", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    name = "obskit_toy_package.part"
    _imports.when_imported(name, seen.append)
    try:
        from obskit_toy_package import part

        assert part.y == 2
        assert seen == [part]
    finally:
        _imports._waiting.pop(name, None)
        for module in (name, "obskit_toy_package"):
            sys.modules.pop(module, None)
