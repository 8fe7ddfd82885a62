"""Stand-ins for callables."""

import asyncio
import inspect
import pickle

import pytest

from obskit.instrumentation import _patch

SOURCE = '''
from functools import lru_cache

def plain(a, b=2, *, c=3):
    """Add."""
    return a + b + c

async def coroutine(a):
    return a

def generator(n):
    yield from range(n)

async def async_generator(n):
    for i in range(n):
        yield i

class Thing:
    def method(self, a):
        return self, a
    async def coroutine(self, a):
        return a
    @classmethod
    def made(cls, a):
        return cls, a
    @staticmethod
    def static(a):
        return a
    def generator(self, n):
        yield from range(n)
    @lru_cache
    def cached(self, a):
        return a

class Child(Thing):
    pass

text = str
'''
CALLABLES = {
    "plain": (1,),
    "coroutine": (1,),
    "generator": (3,),
    "async_generator": (3,),
    "Thing.method": (1,),
    "Thing.coroutine": (1,),
    "Thing.made": (1,),
    "Thing.static": (1,),
    "Thing.generator": (3,),
    "Thing.cached": (1,),
}


def passing(wrapped, instance, args, kwargs):
    return wrapped(*args, **kwargs)


def wrap(module, path, around=passing, key="key"):
    _patch.replace(
        module, path, key, lambda original, inside: _patch.wrapper(original, around, inside)
    )


def call(module, path, args):
    owner, _, name = path.rpartition(".")
    target = getattr(getattr(module, owner)() if owner else module, name)
    result = target(*args)
    if inspect.isawaitable(result):
        return asyncio.run(_await(result))
    if inspect.isasyncgen(result):
        return asyncio.run(_drain(result))
    return list(result) if inspect.isgenerator(result) else result


async def _await(result):
    return await result


async def _drain(result):
    return [item async for item in result]


@pytest.fixture
def module(library):
    return library("obskit_toy_patch", SOURCE)


def same(one, other):
    """Compare results, of which some hold fresh instances."""
    return repr(one).split(" at ")[0] == repr(other).split(" at ")[0]


@pytest.mark.parametrize("path", CALLABLES)
def test_a_stand_in_returns_what_the_original_returns(module, path):
    """Every kind of callable works on with its arguments."""
    before = call(module, path, CALLABLES[path])
    calls = []

    def around(wrapped, instance, args, kwargs):
        calls.append(args)
        return wrapped(*args, **kwargs)

    wrap(module, path, around)

    assert same(call(module, path, CALLABLES[path]), before)
    assert calls == [CALLABLES[path]]


@pytest.mark.parametrize("path", CALLABLES)
def test_a_stand_in_looks_like_the_original(module, path):
    """Name, signature, documentation and kind are those of the original."""
    owner, _, name = path.rpartition(".")
    holder = getattr(module, owner) if owner else module
    original = getattr(holder, name)
    kinds = (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        asyncio.iscoroutinefunction,
        callable,
    )
    before = (
        original.__name__,
        original.__qualname__,
        original.__doc__,
        original.__module__,
        inspect.signature(original),
        [kind(original) for kind in kinds],
    )
    wrap(module, path)
    stand_in = getattr(holder, name)

    assert stand_in is not original
    assert before == (
        stand_in.__name__,
        stand_in.__qualname__,
        stand_in.__doc__,
        stand_in.__module__,
        inspect.signature(stand_in),
        [kind(stand_in) for kind in kinds],
    )


def test_a_stand_in_of_a_function_can_be_pickled(module):
    """Jobs that name a function by where it is find it."""
    wrap(module, "plain")
    wrap(module, "Thing.method")

    assert pickle.loads(pickle.dumps(module.plain)) is module.plain
    assert pickle.loads(pickle.dumps(module.Thing.method)) is module.Thing.method


def test_a_wrong_call_raises_what_the_original_raises(module):
    """Without arguments a method complains as ever."""
    wrap(module, "Thing.method")
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        module.Thing().method()
    with pytest.raises(TypeError, match="required positional arguments: 'self' and 'a'"):
        module.Thing.method()


def test_the_same_key_replaces_once(module):
    """Arming again does not wrap again."""
    wrap(module, "plain")
    once = module.plain
    wrap(module, "plain")

    assert module.plain is once


def test_another_wrapper_on_top_does_not_hide_ours(module):
    """What somebody else has wrapped is not wrapped a second time."""
    import functools

    wrap(module, "plain")
    ours = module.plain

    @functools.wraps(ours)
    def theirs(*args, **kwargs):
        return ours(*args, **kwargs)

    module.plain = theirs
    wrap(module, "plain")

    assert module.plain is theirs


def test_two_keys_are_two_wrappers(module):
    """Two hooks on one target both run."""
    calls = []

    def noting(name):
        def around(wrapped, instance, args, kwargs):
            calls.append(name)
            return wrapped(*args, **kwargs)

        return around

    wrap(module, "plain", noting("a"), key="a")
    wrap(module, "plain", noting("b"), key="b")
    module.plain(1)

    assert calls == ["b", "a"]


def test_an_inherited_method_is_wrapped_for_its_class_only(module):
    """A subclass gets a method of its own, its parent stays as it was."""
    parent = module.Thing.__dict__["method"]
    wrap(module, "Child.method")

    assert module.Thing.__dict__["method"] is parent
    assert module.Child().method(1)[1] == 1


@pytest.mark.parametrize("path", ["absent", "Thing.absent", "Absent.method", "plain.absent"])
def test_a_missing_target_is_named(module, path):
    """What is not there is said by name."""
    with pytest.raises(_patch.Missing, match=f"obskit_toy_patch has no {path}"):
        wrap(module, path)


def test_a_stand_in_knows_its_original(module):
    """Tools that look behind wrappers find the original."""
    original = module.plain
    wrap(module, "plain")

    assert inspect.unwrap(module.plain) is original
