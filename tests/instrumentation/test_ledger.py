"""The life of a row: known, armed, hooked, disarmed."""

import importlib

import pytest

from obskit.errors import UnknownInstrumentation
from obskit.instrumentation import _ledger
from obskit.instrumentation._catalog import Row

LIBRARY = """
import datetime
from datetime import timedelta
signals = []
class Client:
    def send(self, request):
        return request
    def gone(self):
        return None
"""
HOOKS = """
from obskit.instrumentation import attaches, replaces, wraps
from obskit.observation import Observation

@wraps("obskit_toy_library", "Client.send")
@wraps("obskit_toy_library", "Client.absent")
def send(call):
    yield Observation("send")

@replaces("obskit_toy_library", "timedelta", "total_seconds")
def seconds(call):
    yield Observation("seconds")

@attaches("obskit_toy_library")
def signals(module):
    module.signals.append("ours")
    yield
    module.signals.remove("ours")
"""


@pytest.fixture
def entry(toy, observed):
    """Give a row of its own, off, whose library is not imported yet."""
    toy("obskit_toy_library", LIBRARY)
    toy("obskit_toy_hooks", HOOKS)
    row = Row("toy", "x", imports=("obskit_toy_library",), module="obskit_toy_hooks")
    _ledger.know([row])
    yield _ledger.entries["toy"]
    _ledger.disarm(_ledger.entries.pop("toy"))


def load():
    return importlib.import_module("obskit_toy_library")


def test_a_row_is_known_first(entry):
    """Nobody asked for it."""
    assert entry.state == "known"


def test_an_armed_row_waits_for_its_library(entry):
    """It is neither imported nor are its hooks."""
    import sys

    _ledger.arm(entry)

    assert entry.state == "armed"
    assert "obskit_toy_library" not in sys.modules
    assert "obskit_toy_hooks" not in sys.modules


def test_the_import_hooks_it(entry, observed):
    """From its import on the library is observed."""
    _ledger.arm(entry)
    library = load()
    library.Client().send("q")

    assert entry.state == "hooked"
    assert [work.name for work in observed] == ["send"]


def test_a_library_that_is_there_is_hooked_at_once(entry, observed):
    """Who arms late misses what was, not what comes."""
    library = load()
    _ledger.arm(entry)
    library.Client().send("q")

    assert entry.state == "hooked"
    assert len(observed) == 1


def test_missing_targets_are_named(entry):
    """Another version of a library may have less."""
    _ledger.arm(entry)
    load()

    assert entry.missing == {
        "obskit_toy_library:Client.absent": "obskit_toy_library has no Client.absent"
    }
    assert "obskit_toy_library:Client.send" in entry.applied


def test_a_disarmed_row_passes_through_and_stays(entry, observed):
    """The wrapper is the same object, and observes nothing."""
    _ledger.arm(entry)
    library = load()
    wrapper = library.Client.send
    _ledger.disarm(entry)
    library.Client().send("q")

    assert entry.state == "disarmed"
    assert library.Client.send is wrapper
    assert not observed


def test_what_others_have_put_on_top_stays(entry):
    """Disarming takes nobody's wrapper off."""
    _ledger.arm(entry)
    library = load()
    ours = library.Client.send
    library.Client.send = lambda self, request: ours(self, request.upper())
    _ledger.disarm(entry)

    assert library.Client().send("q") == "Q"


def test_arming_again_wraps_once(entry, observed):
    """On, off and on again observes once."""
    _ledger.arm(entry)
    library = load()
    wrapper = library.Client.send
    _ledger.disarm(entry)
    _ledger.arm(entry)
    _ledger.arm(entry)
    library.Client().send("q")

    assert library.Client.send is wrapper
    assert len(observed) == 1


def test_a_row_that_was_off_at_the_import_can_be_armed_later(entry, observed):
    """The trigger has fired in vain; arming puts the hooks in place now."""
    _ledger.arm(entry)
    _ledger.disarm(entry)
    library = load()
    assert not entry.is_loaded
    _ledger.arm(entry)
    library.Client().send("q")

    assert len(observed) == 1


def test_extension_points_are_attached_and_detached(entry):
    """Signals are ours as long as the row is on."""
    _ledger.arm(entry)
    library = load()
    assert library.signals == ["ours"]
    _ledger.disarm(entry)
    assert library.signals == []
    _ledger.arm(entry)
    assert library.signals == ["ours"]


def test_a_reloaded_library_is_hooked_again(entry, observed):
    """New classes get new wrappers."""
    _ledger.arm(entry)
    library = importlib.reload(load())
    library.Client().send("q")

    assert len(observed) == 1


def test_who_had_a_replaced_class_is_named(entry, library):
    """A C type that somebody holds already cannot be replaced there."""
    early = library("obskit_toy_early", "from datetime import timedelta")
    _ledger.arm(entry)
    load()

    assert early.__name__ in entry.late["obskit_toy_library:timedelta"]


def test_hooks_that_cannot_be_imported_are_reported(entry, toy, broken):
    """A row that fails is said to, and the library's import works."""
    toy("obskit_toy_hooks", "raise RuntimeError('broken')")
    _ledger.arm(entry)
    load()

    assert entry.state == "failed"
    assert entry.error == "RuntimeError: broken"
    assert broken == {"instrumentation.toy": 1}


def test_a_hook_that_cannot_be_attached_is_reported(entry, toy, broken):
    """Extension points that changed fail one target, not the others."""
    toy("obskit_toy_hooks", HOOKS.replace("module.signals.append", "module.connect"))
    _ledger.arm(entry)
    library = load()

    assert "obskit_toy_library" in entry.missing
    assert library.Client().send("q") == "q"
    assert broken == {"instrumentation.toy": 1}


def test_unknown_names_are_refused_with_those_that_exist():
    """Who asks by name hears at once."""
    with pytest.raises(UnknownInstrumentation, match=r"called 'htpx'; there are .*httpx"):
        _ledger.look_up(["htpx"])


def names(*setting):
    return [entry.row.name for entry in _ledger.chosen(setting)]


def test_a_setting_chooses_rows(observed, broken):
    """No names mean all; names choose, a hyphen leaves out, none is none."""
    everything = names()

    assert "httpx" in everything
    assert names("httpx", "flask") == ["httpx", "flask"]
    assert names("-httpx") == [name for name in everything if name != "httpx"]
    assert names("httpx", "flask", "-flask") == ["httpx"]
    assert names("none") == []
    assert not broken


def test_a_setting_with_an_unknown_name_does_not_raise(broken):
    """A typing error in the environment never keeps a service from starting, nor is it ours."""
    assert names("httpx", "htpx") == ["httpx"]
    assert broken == {}
    assert _ledger.unknown(["httpx", "htpx", "-flsk", "-flask", "none", "htpx"]) == ["htpx", "flsk"]


def wrapper(wrapped, instance, args, kwargs):
    return ("hooked", wrapped(*args, **kwargs))


def test_others_may_hook_by_name(toy, observed):
    """A hook from another room is put around its target once, when that is imported."""
    toy("obskit_toy_hooked", "def f(x):\n    return x\n")
    for _ in range(2):
        _ledger.hook("obskit_toy_hooked", "f", wrapper)
    module = importlib.import_module("obskit_toy_hooked")

    assert module.f(1) == ("hooked", 1)


def test_hooks_of_others_pass_through_when_all_is_off(toy, observed, monkeypatch):
    """Switching everything off includes them."""
    toy("obskit_toy_hooked", "def f(x):\n    return x\n")
    _ledger.hook("obskit_toy_hooked", "f", wrapper)
    module = importlib.import_module("obskit_toy_hooked")
    monkeypatch.setattr(_ledger.live, "on", False)

    assert module.f(1) == 1


def test_a_hook_on_something_missing_is_reported(toy, observed, broken):
    """The import works, the error is counted."""
    toy("obskit_toy_hooked", "")
    _ledger.hook("obskit_toy_hooked", "g", wrapper)

    assert importlib.import_module("obskit_toy_hooked")
    assert broken == {"instrumentation.obskit_toy_hooked": 1}
