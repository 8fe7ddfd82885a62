"""A way to spans is taken only if it leads to what the SDK makes itself."""

import threading
from collections import deque

import pytest
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.version import __version__
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from obskit.traces import rehearsal, shortcut
from obskit.traces.shortcut import Shortcut

KNOWN = pytest.mark.skipif(
    not __version__.startswith(shortcut.VERSIONS), reason="the SDK's own way is taken"
)


class Forgetful(Shortcut):
    """Leave out what a span must have."""

    __slots__ = ()

    def make(self, *args):
        span = super().make(*args)
        del span._record_exception
        return span


class Curious(Shortcut):
    """Ask the sampler twice."""

    __slots__ = ()

    def start(self, *args):
        super().start(*args)
        return super().start(*args)


class Careless(Shortcut):
    """Say nothing at the end."""

    __slots__ = ()

    @staticmethod
    def complete(*args):
        return True


class Mixing(Shortcut):
    """Take one kind of span for another."""

    __slots__ = ()

    def make(self, *args):
        span = super().make(*args)
        span._kind = SpanKind.CLIENT
        return span


@KNOWN
@pytest.mark.parametrize("way", [Forgetful, Curious, Careless, Mixing])
def test_a_way_that_differs_is_not_taken(way):
    """In a part of the span, in what others are asked, or later."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("x")
    assert rehearsal.passed(way, tracer, sdk_trace) is None


@KNOWN
def test_nobody_hears_of_it():
    """Neither the sampler nor the processors of the application are bothered."""
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("x")
    tracer.sampler = tracer.span_processor = tracer.id_generator = None
    before = dict(vars(tracer))
    assert isinstance(rehearsal.passed(Shortcut, tracer, sdk_trace), Shortcut)
    assert vars(tracer) == before


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1, True),
        (1, True, False),
        ({"a": [1, "x"]}, {"a": [1, "x"]}, True),
        ({"a": [1, "x"]}, {"a": [1, "y"]}, False),
        ({"a": 1}, {"b": 1}, False),
        (deque([1], 2), deque([1], 2), True),
        (deque([1], 2), deque([1], 3), False),
        ((1, 2), (1,), False),
        (TraceFlags(1), TraceFlags(0), False),
        (SpanContext(1, 2, False), SpanContext(1, 2, False), True),
        (SpanContext(1, 2, False), SpanContext(1, 2, True), False),
        (SpanKind.SERVER, SpanKind.CLIENT, False),
        (threading.Lock(), threading.Lock(), True),
        (threading.Lock(), threading.RLock(), False),
        (b"a", b"b", False),
    ],
)
def test_what_is_the_same(one, other, same):
    """Down to the parts, whatever holds them."""
    assert rehearsal.is_same(one, other) is same
