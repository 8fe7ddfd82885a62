import pytest

from tests import source, test_house


@pytest.fixture
def module(tmp_path):
    """Give a maker of Python files."""
    numbers = iter(range(100))

    def make(text):
        path = tmp_path / f"module_{next(numbers)}.py"
        path.write_text(text)
        return path

    return make


def test_a_docstring_does_not_lengthen_a_function(module):
    """Documentation costs nothing."""
    path = module('@decorated\ndef f():\n    """One.\n\n    Two.\n    """\n    return 1\n')

    assert [source.length(function) for function in source.functions(path)] == [2]


def test_imports_are_found_in_functions_but_not_those_for_type_checkers(module):
    """A lazy import is an import, one below TYPE_CHECKING is none."""
    path = module(
        "import a.b\nif typing.TYPE_CHECKING:\n    import c\ndef f():\n    from d.e import g\n"
    )

    assert list(source.imports(path)) == [(1, "a.b", False), (5, "d.e.g", True)]


@pytest.mark.parametrize(
    ("text", "use"),
    [
        ("x = os.environ['A']", "read"),
        ("x = os.environ.get('A')", "read"),
        ("x = 'A' in os.environ", "read"),
        ("x = os.getenv('A')", "read"),
        ("from os import environ", "read"),
        ("os.environ['A'] = x", "whole"),
        ("x = {**os.environ}", "whole"),
        ("x = dict(os.environ)", "whole"),
        ("x = os.environ.copy()", "whole"),
    ],
)
def test_reading_one_variable_differs_from_handing_on_the_environment(module, text, use):
    """Every way to the environment is seen."""
    assert [kind for _, kind in test_house.environment_uses(module(text))] == [use]


@pytest.mark.parametrize(
    ("comment", "banner"),
    [
        ("# ---- sinks ----", True),
        ("#######", True),
        ("# sinks ------------", True),
        ("# A dash - is no banner.", False),
        ("#: documents an attribute", False),
    ],
)
def test_banners_are_told_from_comments(comment, banner):
    """Only drawn lines count."""
    assert bool(test_house.BANNER.match(comment)) is banner


def test_a_module_without_behaviour_needs_no_twin(module):
    """Protocols and empty exceptions have nothing to test."""
    assert not test_house.has_behaviour(module('class P:\n    def f(self):\n        """Do."""\n'))
    assert test_house.has_behaviour(module("class C:\n    def f(self):\n        return 1\n"))


@pytest.mark.parametrize(
    ("module_name", "twin"),
    [
        ("logs/writer.py", "tests/logs/test_writer.py"),
        ("instrumentation/_drive.py", "tests/instrumentation/test_drive.py"),
        ("logs/__init__.py", "tests/logs/test_logs.py"),
        ("cli/_autostart/sitecustomize.py", "tests/cli/autostart/test_sitecustomize.py"),
    ],
)
def test_twins_mirror_the_tree(module_name, twin):
    """A module's tests are where its path says."""
    assert source.ROOT / twin in test_house.twins(source.LIBRARY / module_name)


def test_violations_are_listed_one_by_one():
    """Who breaks a rule sees every place at once."""
    with pytest.raises(pytest.fail.Exception, match=r"2 found:\na\.py:1\nb\.py:2"):
        source.must_be_empty(["a.py:1", "b.py:2"])
