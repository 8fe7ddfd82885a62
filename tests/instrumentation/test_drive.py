"""The driver of hooks: what authors rely on, and what users never notice."""

import asyncio
import inspect
import traceback

import pytest

from obskit import clock, context, observation
from obskit.instrumentation import _drive
from obskit.instrumentation._drive import Call, Switch, wraps
from obskit.observation import Kind, Observation

ASYNC = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


class Headers(dict):
    """A carrier."""


class Client:
    """What is instrumented."""

    def __init__(self, error=None):
        self.error = error
        self.seen = []

    def send(self, request, timeout=1):
        self.seen.append((request, timeout, context.get()))
        if self.error is not None:
            raise self.error
        return f"answer to {request}"

    async def send_async(self, request, timeout=1):
        await asyncio.sleep(0)
        return self.send(request, timeout)


def drive(hook, client, *args, is_async=False, switch=None, **kwargs):
    """Call the client with *hook* around it."""
    if switch is None:
        switch = Switch("toy")
        switch.on = True
    name = "send_async" if is_async else "send"
    around = _drive.driver(hook, switch, "toy", is_async=is_async)
    result = around(getattr(client, name), client, args, kwargs)
    return asyncio.run(_await(result)) if is_async else result


async def _await(result):
    return await result


def client_call(call):
    work = Observation("send", Kind.CLIENT, protocol="http")
    result = yield work
    work.attributes["result"] = result


@ASYNC
def test_a_call_is_observed_with_its_result(observed, is_async):
    """The hook gets the result, the caller too, and the observation ends."""
    client = Client()

    assert drive(client_call, client, "q", is_async=is_async) == "answer to q"
    assert [work.attributes for work in observed] == [{"result": "answer to q"}]
    assert observed[0].duration_ns > 0
    assert observed[0].library == "toy"


@ASYNC
def test_the_call_runs_in_the_context_of_its_observation(observed, is_async):
    """Lines inside of the call have its span, and afterwards the old one is back."""
    client = Client()
    with observation.unit_of_work("outer"):
        before = context.get()
        drive(client_call, client, "q", is_async=is_async)
        inside = client.seen[0][2]

        assert context.get() is before
        assert inside.parent_span_id == before.span_id
        assert inside.span_id == observed[0].context.span_id


@ASYNC
def test_errors_arrive_unchanged(observed, broken, is_async):
    """The very error is raised, with its own traceback at the end and nothing chained to it."""
    error = LookupError("gone")
    client = Client(error)
    with pytest.raises(LookupError) as caught:
        drive(client_call, client, "q", is_async=is_async)

    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None
    assert traceback.extract_tb(error.__traceback__)[-1].name == "send"
    assert "client_call" not in [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert observed[0].error is error
    assert not broken


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_errors_that_end_programs_arrive_unchanged(observed, error):
    """Interrupts and exits go through."""
    with pytest.raises(type(error)) as caught:
        drive(client_call, Client(error), "q")

    assert caught.value is error
    assert len(observed) == 1


def test_a_stop_is_no_error(observed, broken):
    """An iterator's end comes through a hook and fails nothing."""
    with pytest.raises(StopIteration):
        drive(client_call, Client(StopIteration()), "q")

    assert observed[0].error is None
    assert not broken


def test_a_hook_may_look_at_the_error(observed):
    """A hook can read from the error what an answer would have said, and cannot hide it."""

    def hook(call):
        work = Observation("send", Kind.CLIENT)
        try:
            yield work
        except LookupError:
            work.status = 404

    with pytest.raises(LookupError):
        drive(hook, Client(LookupError()), "q")

    assert observed[0].status == 404


def raises_before(call):
    raise RuntimeError("hook")
    yield


def raises_before_but_has_meddled(call):
    call.replace(0, "request", "other")
    call.kwargs = {"timeout": 99}
    raise RuntimeError("hook")
    yield


def raises_after(call):
    yield Observation("send")
    raise RuntimeError("hook")


def raises_on_error(call):
    try:
        yield Observation("send")
    except LookupError:
        raise RuntimeError("hook") from None


def yields_twice(call):
    yield Observation("send")
    yield Observation("again")


def yields_nonsense(call):
    yield 7


def is_no_generator(call):
    return 7


BROKEN_HOOKS = [
    raises_before,
    raises_before_but_has_meddled,
    raises_after,
    yields_twice,
    yields_nonsense,
    is_no_generator,
]


@ASYNC
@pytest.mark.parametrize("hook", BROKEN_HOOKS)
def test_a_broken_hook_changes_nothing(observed, broken, hook, is_async):
    """The call is made once with its arguments, its result returned, and the error counted."""
    client = Client()

    assert drive(hook, client, "q", is_async=is_async, timeout=3) == "answer to q"
    assert [seen[:2] for seen in client.seen] == [("q", 3)]
    assert broken == {f"hook.test_drive.{hook.__name__}": 1}
    assert context.get() is None
    assert clock.current() is None


@ASYNC
@pytest.mark.parametrize("hook", [*BROKEN_HOOKS, raises_on_error])
def test_a_broken_hook_hides_no_error(observed, broken, hook, is_async):
    """The error of the call arrives whatever its hook does."""
    error = LookupError("mine")
    with pytest.raises(LookupError) as caught:
        drive(hook, Client(error), "q", is_async=is_async)

    assert caught.value is error
    assert error.__context__ is None
    assert context.get() is None


@ASYNC
def test_returning_without_a_yield_does_not_observe(observed, broken, is_async):
    """A hook may decline, and may change the arguments nevertheless."""

    def declining(call):
        call.replace(0, "request", "other")
        return
        yield

    client = Client()

    assert drive(declining, client, "q", is_async=is_async) == "answer to other"
    assert not observed
    assert not broken


@ASYNC
def test_a_plain_function_may_change_arguments(observed, broken, is_async):
    """A hook without a yield at all is called before the call."""

    def plain(call):
        call.replace(1, "timeout", 5)

    client = Client()
    drive(plain, client, "q", is_async=is_async)
    drive(plain, client, "q", 9, is_async=is_async)

    assert [seen[:2] for seen in client.seen] == [("q", 5), ("q", 5)]
    assert not broken


@ASYNC
def test_disarmed_hooks_are_not_asked(observed, is_async):
    """A row that is off passes through."""
    client = Client()

    result = drive(client_call, client, "q", is_async=is_async, switch=Switch("off"))
    assert result == "answer to q"
    assert not observed


@ASYNC
def test_suppressed_calls_are_not_observed(observed, is_async):
    """Our own traffic is not part of the service's work."""
    with observation.suppress():
        assert drive(client_call, Client(), "q", is_async=is_async) == "answer to q"

    assert not observed


def test_a_call_within_a_call_is_announced_once(observed):
    """The outer client is the one that counts."""
    inner, outer = Client(), Client()
    outer.send = lambda request: drive(client_call, inner, request)

    assert drive(client_call, outer, "q") == "answer to q"
    assert len(observed) == 1


def test_a_step_within_a_call_may_call(observed):
    """What the program itself does inside of a call is observed."""
    inner, outer = Client(), Client()

    def send(request):
        with observation.observe("own"):
            return drive(client_call, inner, request)

    outer.send = send
    drive(client_call, outer, "q")

    assert [work.name for work in observed] == ["send", "own", "send"]


def test_headers_are_injected_before_the_call(observed):
    """The author hands over a carrier and never calls propagation."""
    carrier = Headers()

    def hook(call):
        yield Observation("send", Kind.CLIENT, carrier=carrier, peer="warehouse")

    client = Client()
    client.send = lambda request: dict(carrier)
    with observation.unit_of_work("outer", correlation_id="abc"):
        sent = drive(hook, client, "q")

    assert sent["X-Correlation-ID"] == "abc"
    assert sent["traceparent"].split("-")[2] == observed[0].context.span_id


def test_arguments_are_found_by_place_and_name():
    """Callers pass arguments either way."""
    by_place, by_name = Call(None, ("q", 3), {}), Call(None, (), {"request": "q"})

    assert by_place.argument(0, "request") == by_name.argument(0, "request") == "q"
    assert by_place.argument(1, "timeout") == 3
    assert by_name.argument(1, "timeout", 7) == 7
    with pytest.raises(LookupError, match="timeout"):
        by_name.argument(1, "timeout")


def test_options_reach_the_hook(observed):
    """A row's options are at hand in each call."""
    switch = Switch("toy", options={"slow": True})
    switch.on = True
    seen = []
    drive(lambda call: seen.append(call.options), Client(), "q", switch=switch)

    assert seen == [{"slow": True}]


def test_targets_are_those_of_the_module_itself(library):
    """A hook that is imported from another row is not put in place twice."""
    module = library(
        "obskit_toy_hooks",
        "from obskit.instrumentation._drive import wraps\n"
        "from obskit.instrumentation.httpx import send as foreign\n"
        "@wraps('a', 'f')\n@wraps('b', 'C.m')\ndef hook(call):\n    yield\n",
    )

    found = [(target.module, target.path) for _, target in _drive.targets(module)]
    assert sorted(found) == [("a", "f"), ("b", "C.m")]


def test_awaits_overrides_what_a_function_looks_like(observed):
    """A plain function that returns an awaitable is awaited where its author says so."""

    def hook(call):
        work = Observation("send")
        work.attributes["result"] = yield work

    wraps("toy", "send", awaits=True)(hook)
    target = hook.obskit_targets[0]
    switch = Switch("toy")
    switch.on = True

    def send(request):
        return Client().send_async(request)

    replacement = target.make(send, False, hook, switch)

    assert asyncio.run(_await(replacement("q"))) == "answer to q"
    assert observed[0].attributes == {"result": "answer to q"}
    assert not inspect.iscoroutinefunction(replacement)


@ASYNC
def test_concurrent_calls_do_not_mix(observed, is_async):
    """Many tasks at once end with their own results and contexts."""
    switch = Switch("toy")
    switch.on = True
    around = _drive.driver(client_call, switch, "toy", is_async=True)

    async def one(number):
        with observation.unit_of_work("outer", correlation_id=f"id-{number}"):
            client = Client()
            result = await around(client.send_async, client, (number,), {})
            return result, client.seen[0][2].correlation_id

    async def many():
        return await asyncio.gather(*(one(number) for number in range(50)))

    assert asyncio.run(many()) == [(f"answer to {n}", f"id-{n}") for n in range(50)]


def test_a_function_of_its_own_stands_in_and_looks_the_same():
    """It gets the original and the switch, and is called as the original was."""
    hook = lambda original, switch: lambda self, request: (switch.on, original(self, request))  # noqa: E731
    _drive.instead("toy", "Client.send")(hook)
    switch = Switch("toy")
    stand_in = hook.obskit_targets[0].make(Client.send, True, hook, switch)

    assert stand_in(Client(), "a") == (False, "answer to a")
    assert inspect.signature(stand_in) == inspect.signature(Client.send)
    assert stand_in.__wrapped__ is Client.send
