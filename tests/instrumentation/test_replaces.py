"""Hooks on classes written in C."""

import datetime
import pickle
import sys

import pytest

from obskit.instrumentation import _replaces
from obskit.instrumentation._drive import Switch
from obskit.observation import Observation


def hook(call):
    work = Observation("format")
    work.attributes["result"] = yield work


@pytest.fixture
def replaced(library, observed):
    """Give a module with a C type, and what stands in its place."""
    module = library("obskit_toy_replaces", "from datetime import timedelta")
    switch = module.switch = Switch("toy")
    switch.on = True
    target = _replaces.replaces("obskit_toy_replaces", "timedelta", "total_seconds")(
        lambda call: None
    ).obskit_targets[0]
    module.timedelta = target.make(module.timedelta, False, hook, switch)
    return module


def test_a_c_type_cannot_be_patched():
    """Why subclasses are needed."""
    with pytest.raises(TypeError):
        datetime.timedelta.total_seconds = None


def test_the_subclass_is_observed(replaced, observed):
    """Instances behave as ever and the method is observed."""
    value = replaced.timedelta(seconds=3)

    assert value.total_seconds() == 3.0
    assert [work.attributes for work in observed] == [{"result": 3.0}]


def test_the_subclass_passes_for_the_original(replaced):
    """Type checks, name and pickle work."""
    value = replaced.timedelta(seconds=3)

    assert isinstance(value, datetime.timedelta)
    assert replaced.timedelta.__name__ == "timedelta"
    assert replaced.timedelta.total_seconds.__doc__ == datetime.timedelta.total_seconds.__doc__
    assert pickle.loads(pickle.dumps(datetime.timedelta(seconds=3))) == value


def test_a_row_that_is_off_passes_through(replaced, observed):
    """The subclass stays and does nothing."""
    replaced.switch.on = False

    assert replaced.timedelta(seconds=3).total_seconds() == 3.0
    assert not observed


def test_who_had_the_class_before_is_known(library):
    """A module that has imported the original is named, the library itself is not."""
    early = library("obskit_toy_early", "from datetime import timedelta as delta")
    holders = _replaces.holders(datetime.timedelta, "datetime")

    assert early.__name__ in holders
    assert "datetime" not in holders
    assert early.__name__ in sys.modules
