"""What holds for every row of the catalog, each in use as `exercises.py` says."""

import contextlib
import functools
import importlib
import inspect
import json
import pickle
import subprocess
import sys
import tomllib
import traceback
import warnings
from pathlib import Path

import pytest

from obskit import context, health, instrumentation, observation
from obskit.instrumentation import _catalog, _drive, _ledger, _patch
from obskit.observation import Kind
from tests.instrumentation.exercises import DELAY, EXERCISES, FAILURE, SENT, Failure
from tests.source import ROOT

pytestmark = [
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:starlette.middleware.wsgi is deprecated"),
    pytest.mark.filterwarnings("ignore:Inheritance class .* from ClientSession"),
]

ROWS = {row.name: row for row in _catalog.ROWS}
EACH_ROW = pytest.mark.parametrize("name", ROWS)
CALLED = pytest.mark.parametrize("name", [name for name in ROWS if name != "structlog"])
OBSKIT = str(ROOT / "src" / "obskit")


@pytest.fixture(autouse=True)
def fresh_failure():
    """Let the one error of all exercises hold no frames of other tests."""
    yield
    FAILURE.__traceback__ = FAILURE.__context__ = None


def targets_of(name):
    """Return hook, target and module of what a row stands around, as far as it is installed."""
    found = []
    for hook, target in _drive.targets(importlib.import_module(ROWS[name].home)):
        with warnings.catch_warnings(action="ignore"), contextlib.suppress(ImportError):
            found.append((hook, target, importlib.import_module(target.module)))
    return found


TARGETS = [
    pytest.param(name, hook, target, module, id=f"{name}-{target.path or target.module}")
    for name in ROWS
    for hook, target, module in targets_of(name)
]
REPLACED = pytest.mark.parametrize(
    ("name", "hook", "target", "module"), [one for one in TARGETS if one.values[2].make]
)


def same(kind, method):
    """Return the class itself."""
    return kind


def derived(kind, method):
    """Return a subclass that calls the inherited method."""
    inherited = getattr(kind, method)
    if inspect.iscoroutinefunction(inherited):

        async def override(self, *args, **kwargs):
            return await getattr(super(sub, self), method)(*args, **kwargs)

    else:

        def override(self, *args, **kwargs):
            return getattr(super(sub, self), method)(*args, **kwargs)

    sub = type(f"My{kind.__name__}", (kind,), {method: override})
    return sub


def run(name, derive=same):
    """Use a row within an operation, and return what its user gets and what arrived."""
    exercise = EXERCISES[name]
    if exercise.side == "server":
        return exercise.run(derive)
    with observation.unit_of_work("conformance", SENT):
        return exercise.run(derive)


def library_of(name):
    """Return the module root that a row's observations name: one library may have two rows."""
    return ROWS[name].distribution or name


def expected_of(name):
    """Return what the user gets without us; then everything is on again."""
    instrumentation.uninstrument()
    result, _ = run(name)
    instrumentation.instrument()
    return result


@EACH_ROW
def test_a_row_is_complete(name):
    """It has an exercise, hooks, a test file, and an extra with the same requirement."""
    row = ROWS[name]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert name in EXERCISES
    assert inspect.getdoc(importlib.import_module(row.home))
    assert (ROOT / "tests" / "instrumentation" / f"test_{name}.py").is_file()
    if row.requires:
        extra = project["optional-dependencies"].get(name)
        assert extra == [row.requires] or row.requires in project["dependencies"]
    if row.imports:
        assert any(target.module or target.path for _, target, _ in targets_of(name))


def test_no_exercise_is_left_over():
    """A row that is taken out of the catalog takes its exercise along."""
    assert EXERCISES.keys() == ROWS.keys()


@EACH_ROW
def test_the_user_gets_what_he_gets_without_us(observed, broken, name):
    """Nothing of ours fails on the way."""
    assert run(name)[0] == expected_of(name)
    assert broken == {}
    assert context.get() is None


@EACH_ROW
def test_a_subclass_works(observed, broken, name):
    """With a method that calls the inherited one, and it is observed once."""
    result, told = run(name, derived)
    names = [work.name for work in observed]
    observed.clear()
    again = run(name)

    assert names == [work.name for work in observed]
    assert (result, told) == again
    assert result == expected_of(name)
    assert broken == {}


@EACH_ROW
def test_the_operation_arrives(observed, name):
    """Servers read it, clients write it, threads and jobs take it along."""
    _, told = run(name)
    side = EXERCISES[name].side
    works = [work for work in observed if work.kind.value == side]

    # A child process begins without the operation of whoever started it.
    assert told == (None if name in ("multiprocessing", "structlog") else SENT)
    assert bool(works) is bool(side)
    for work in works:
        assert work.context.correlation_id == SENT
        assert work.duration_ns > (DELAY * 1e9 if work.kind is Kind.CLIENT else 0)
        assert work.duration_ns < 60e9
        assert work.library == library_of(name)
    assert all(work.outcome == "ok" for work in works[:1])


@EACH_ROW
def test_switched_off_it_passes_through(observed, name):
    """Nothing is observed, told or counted."""
    instrumentation.uninstrument(name)
    exercise = EXERCISES[name]
    result, _ = run(name)
    left = [work for work in observed if work.library == library_of(name)]
    if name in ("asgi", "wsgi"):
        # The explicit middlewares are the user's wish; only all of obskit switches them off.
        instrumentation.uninstrument()
        observed.clear()
        assert run(name)[0] == result
        left = [work for work in observed if work.kind is Kind.SERVER]

    assert left == []
    instrumentation.instrument(name)
    observed.clear()
    assert run(name)[0] == result
    assert any(work.library == library_of(name) for work in observed) is bool(exercise.side)


@EACH_ROW
def test_suppressed_it_passes_through(observed, name):
    """Our own traffic is no part of the service's work."""
    with observation.suppress():
        result, _ = EXERCISES[name].run(same)

    assert result == expected_of(name)
    assert [work for work in observed if work.library == library_of(name)] == []


def caught(name):
    """Return the error that a row's user gets, and the frames of it that are not ours."""
    FAILURE.__traceback__ = None
    with pytest.raises(Exception) as info:
        EXERCISES[name].fail()
    frames = traceback.extract_tb(info.value.__traceback__)
    theirs = [
        (frame.filename, frame.name) for frame in frames if not frame.filename.startswith(OBSKIT)
    ]
    return info.value, theirs


@CALLED
def test_errors_pass_through(observed, broken, name):
    """The same object where it is the user's, with the same frames, causes and text."""
    instrumentation.uninstrument()
    without, frames = caught(name)
    instrumentation.instrument()
    error, theirs = caught(name)

    assert type(error) is type(without)
    assert theirs == frames
    assert (error is FAILURE) is (without is FAILURE)
    assert type(error.__cause__) is type(without.__cause__)
    assert error.__suppress_context__ is without.__suppress_context__
    if isinstance(error, Failure):
        assert error is FAILURE
    assert broken == {}
    for work in observed:
        assert work.outcome != "ok" or work.entry is False


@CALLED
def test_an_observer_that_raises_is_never_seen(observed, name):
    """It is counted, and the user gets what he gets."""

    class Bad:
        def start(self, work):
            raise RuntimeError("start")

        def end(self, work):
            raise RuntimeError("end")

    expected = expected_of(name)
    observation.configure([("bad", Bad())])

    assert run(name)[0] == expected
    if EXERCISES[name].side:
        assert health.internal_errors["bad.start"] == health.internal_errors["bad.end"]


def raising_before(*_):
    """Fail at once."""
    raise RuntimeError("hook")


def raising_in_generator(*_):
    """Fail before the yield."""
    raise RuntimeError("hook")
    yield


def raising_after(*_):
    """Fail when the call has returned."""
    yield observation.Observation("sabotaged")
    raise RuntimeError("hook")


def yielding_twice(*_):
    """Yield more than is allowed."""
    yield observation.Observation("sabotaged")
    yield observation.Observation("sabotaged")


def yielding_rubbish(*_):
    """Yield what is no observation."""
    yield 7


SABOTAGES = {
    "wraps": [
        raising_before, raising_in_generator, raising_after, yielding_twice, yielding_rubbish,
    ],
    "stream": [raising_before, raising_in_generator, raising_after, yielding_twice],
    "returns": [raising_before, raising_in_generator, raising_after, yielding_twice],
    "pulls": [raising_before],
    "serves_asgi": [raising_before],
    "serves_wsgi": [raising_before],
    "routes": [raising_before],
    "replaces": [raising_before, raising_after],
}  # fmt: skip
CASES = [
    pytest.param(*one.values, sabotage, id=f"{one.id}-{sabotage.__name__}")
    for one in TARGETS
    for sabotage in SABOTAGES.get(one.values[2].word, [])
]


@pytest.mark.parametrize(("name", "hook", "target", "module", "sabotage"), CASES)
def test_a_hook_that_raises_is_contained(
    observed, monkeypatch, name, hook, target, module, sabotage
):
    """Whatever an author does wrong, the user gets what he gets, and it is counted."""
    expected = expected_of(name)
    owner, attribute, current = _patch.find(module, target.path)
    switch = _drive.Switch(name)
    switch.on = True
    bad = functools.update_wrapper(lambda *args: sabotage(*args), hook)
    called = []
    counting = functools.update_wrapper(lambda *args: called.append(1) or sabotage(*args), bad)
    made = target.make(current, isinstance(owner, type), counting, switch)
    monkeypatch.setattr(owner, attribute, made)

    assert run(name)[0] == expected
    # What multiprocessing replaces is called in the child.
    assert called or name == "multiprocessing"
    assert health.internal_errors or name == "multiprocessing"
    assert context.get() is None


@REPLACED
def test_what_is_replaced_looks_like_before(observed, name, hook, target, module):
    """Names, signature, kind, documentation and pickling are those of the original."""
    owner, attribute, found = _patch.find(module, target.path)
    original = found
    while hasattr(original, "__wrapped__"):
        original = original.__wrapped__
    assert original is not found

    for ask in (
        inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction,
        inspect.isroutine, inspect.isclass, callable, inspect.signature, inspect.getsource,
    ):  # fmt: skip
        assert ask(found) == ask(original), ask.__name__
    for one in ("__name__", "__qualname__", "__module__", "__doc__"):
        assert getattr(found, one) == getattr(original, one), one
    if isinstance(owner, type):
        assert pickle.loads(pickle.dumps(owner)) is owner
        assert inspect.getattr_static(type("Sub", (owner,), {}), attribute) is found
        assert isinstance(found, type(original))
    else:
        assert pickle.loads(pickle.dumps(found)) is getattr(owner, attribute)


@EACH_ROW
def test_what_could_be_pickled_still_can(observed, name):
    """Objects of a library that is observed travel to other processes as before."""
    for one in EXERCISES[name].picklable():
        assert type(pickle.loads(pickle.dumps(one))) is type(one)


def layers(found, key):
    """Count the wrappers of ours around an object."""
    count = 0
    while found is not None:
        count += getattr(found, _patch._MARK, None) == key
        found = getattr(found, "__wrapped__", None)
    return count


@REPLACED
def test_arming_again_wraps_nothing_again(observed, name, hook, target, module):
    """Also after it was switched off, and by each of its names."""
    for _ in range(2):
        instrumentation.instrument()
        instrumentation.instrument(name)
        instrumentation.uninstrument(name)
        instrumentation.uninstrument()
        instrumentation.instrument()
    key = (name, hook.__name__, target.word, target.module, target.path)

    assert layers(_patch.find(module, target.path)[2], key) == 1


@EACH_ROW
def test_arming_again_observes_once(observed, name):
    """One call is one observation."""
    run(name)
    once = len(observed)
    instrumentation.instrument()
    instrumentation.instrument(name)
    observed.clear()
    run(name)

    assert len(observed) == once


ORDERS = {
    "before": "instrumentation.instrument()\nload()\n",
    "after": "load()\ninstrumentation.instrument()\n",
    "between": "instrumentation.instrument()\ninstrumentation.uninstrument()\nload()\n"
    "instrumentation.instrument()\n",
}
PROGRAM = """
import dataclasses, importlib, json, sys, warnings
warnings.simplefilter("ignore")
from obskit import health, instrumentation

def load():
    for module in {modules!r}:
        try:
            importlib.import_module(module)
        except ImportError:
            pass

{order}
print(json.dumps([[dataclasses.asdict(row) for row in instrumentation.status()],
                  health.internal_errors]))
"""


def report(order, *, path=(), options=()):
    """Return the status of a new process that imports everything, and its internal errors."""
    modules = sorted({module for row in ROWS.values() for module in row.imports})
    program = PROGRAM.format(modules=modules, order=order)
    paths = [str(one) for one in (*path, ROOT / "src")]
    done = subprocess.run(
        [sys.executable, *options, "-c", f"import sys; sys.path[:0] = {paths!r}\n{program}"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows, errors = json.loads(done.stdout.splitlines()[-1])
    return {row["name"]: row for row in rows}, errors


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_of_imports_does_not_matter(order):
    """Imported before or after, armed, switched off and on: all rows are hooked alike."""
    rows, errors = report(ORDERS[order])

    assert errors == {}
    for name in ROWS:
        assert (rows[name]["state"], rows[name]["missing"]) == ("hooked", {}), name
        wanted = {
            f"{target.module}:{target.path}" if target.path else target.module
            for _, target, _ in targets_of(name)
        }
        assert wanted <= set(rows[name]["targets"]), name


REQUIRED = {name: row for name, row in ROWS.items() if row.requires}


def stubs(folder: Path, version):
    """Write distributions of that version whose modules are empty, and return the folder."""
    for row in REQUIRED.values():
        info = folder / f"{row.distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        info.joinpath("METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {row.distribution}\nVersion: {version}\n"
        )
        for module in row.imports:
            *packages, last = module.split(".")
            place = folder
            for package in packages:
                place = place / package
                place.mkdir(exist_ok=True)
                place.joinpath("__init__.py").touch()
            place.joinpath(f"{last}.py").touch()
    return folder


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("version", ["0.0.1", "9999.0"])
def test_a_library_of_another_shape_is_reported_and_works(tmp_path, version, order):
    """Too old or too new: each missing target is named, the import succeeds, nothing raises."""
    rows, errors = report(ORDERS[order], path=[stubs(tmp_path, version)])

    # Extension points are used as they are: that there are none is an error of the hook's.
    assert errors == {"instrumentation.structlog": 1}
    for name in REQUIRED:
        row = rows[name]
        assert (row["version"], row["tested"]) == (version, False)
        assert row["reason"] == f"version {version} is not tested"
        assert row["state"] == "failed"
        assert row["missing"]
        assert row["targets"] == []


def test_a_newer_library_of_the_same_shape_is_observed():
    """It is said to be untested, and hooked all the same."""
    row = ROWS["requests"]
    newer = row._replace(tested="1.0")
    entry = _ledger.Entry(newer, _drive.Switch("newer"))
    _ledger.arm(entry)
    from obskit.instrumentation import _status

    status = _status._status(entry)
    entry.switch.on = False

    assert (status.state, status.tested) == ("hooked", False)
    assert "is not tested" in status.reason


def test_without_any_library_nothing_is_missing():
    """A bare interpreter: every row says that its library is not installed, and nothing breaks."""
    rows, errors = report(ORDERS["before"], options=["-I", "-S"])

    assert errors == {}
    for name in REQUIRED:
        assert (rows[name]["version"], rows[name]["reason"]) == (None, "not installed"), name
        assert rows[name]["state"] == "armed"
    assert rows["threads"]["state"] == "hooked"


def test_a_row_whose_hooks_cannot_be_imported_is_reported():
    """The library works, the status says what went wrong."""
    order = (
        "sys.modules['obskit.instrumentation.requests'] = None\n"
        "instrumentation.instrument()\nimport requests\nassert requests.Session()\n"
    )
    rows, errors = report(order)

    assert rows["requests"]["state"] == "failed"
    assert "ModuleNotFoundError" in rows["requests"]["reason"]
    assert errors == {"instrumentation.requests": 1}
    assert rows["httpx"]["state"] in ("armed", "hooked")
