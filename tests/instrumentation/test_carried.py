"""Functions that are run elsewhere."""

import pickle

from obskit import clock, context, observation
from obskit.instrumentation._carried import _NAMED, _PLAIN, Carried, Sent


def seen(*args, **kwargs):
    """Return what is seen and given."""
    unit = context.get().unit
    facts = {name: getattr(unit, name) for name in (*_PLAIN, *_NAMED)}
    return facts, clock.current() is not None, args, kwargs


def test_everything_that_identifies_an_operation_is_sent(observed):
    """After pickling the unit is the same but for what belongs to a process."""
    with observation.unit_of_work("outer", correlation_id="abc"):
        unit = context.get().unit
        unit.caller, unit.synthetic, unit.hop, unit.baggage = "shop", "probe", 4, "a=1"
        sent = pickle.loads(pickle.dumps(Sent(seen, context.get())))
        expected = {name: getattr(unit, name) for name in (*_PLAIN, *_NAMED)}

    assert sent(1, b=2) == (expected, True, (1,), {"b": 2})
    assert context.get() is None


def test_the_names_are_those_of_a_unit():
    """A new field of Unit must be sent or left out on purpose."""
    left_out = {
        "answered", "answered_as", "born_ms", "call_count", "call_seconds", "errors",
        "failed_calls", "fields", "harmless", "held", "left", "outer", "running", "sent_ms",
        "sent_to", "spans", "started_at_ns", "wire",
    }  # fmt: skip
    known = vars(context.Unit("c", "generated", "t", "s", None, 1)) | vars(context.Unit)
    names = {
        name
        for name, value in known.items()
        if not (name.startswith("_") or isinstance(value, (property, classmethod)))
    }

    assert names == {*_PLAIN, *_NAMED} | left_out


def test_a_carried_function_leaves_nothing_behind(observed):
    """Context and clock are back, also after an error."""
    with observation.unit_of_work("outer", correlation_id="abc"):
        carried = Carried(context.correlation_id, context.get())
        failing = Carried(lambda: 1 / 0, context.get())

    assert carried() == "abc"
    for _ in range(2):
        try:
            failing()
        except ZeroDivisionError:
            assert context.get() is None
            assert clock.current() is None
