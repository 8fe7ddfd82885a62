"""Stand-ins for the ``__call__`` of application classes."""

import asyncio
import inspect

import pytest
import wrapt

from obskit import instrumentation
from tests.instrumentation.calling import Call, call, scope

SOURCE = '''
class App:
    async def __call__(self, scope, receive, send):
        """Serve."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return "result"

class Route:
    path = "/orders/{id}"
    async def handle(self, scope, receive, send):
        return "handled"

class Wsgi:
    def __call__(self, environ, start_response):
        start_response("200 OK", [])
        return [b"x"]
'''
HOOKS = """
from obskit.instrumentation._applications import routes, serves_asgi, serves_wsgi

@serves_asgi("obskit_toy_app", "App.__call__")
def template(scope, served):
    return "/template"

@routes("obskit_toy_app", "Route.handle")
def route(route, scope, served):
    served.route(route.path)

@serves_wsgi("obskit_toy_app", "Wsgi.__call__")
def rule(environ, served):
    return "/rule"
"""


@pytest.fixture
def arm(library, toy, observed):
    """Give what arms a row for a toy framework, after a change to it."""
    from obskit.instrumentation import _ledger
    from obskit.instrumentation._catalog import Row

    module = library("obskit_toy_app", SOURCE)
    toy("obskit_toy_hooks", HOOKS)

    def make(change=lambda module: None):
        change(module)
        _ledger.know([Row("toy", "x", imports=("obskit_toy_app",), module="obskit_toy_hooks")])
        _ledger.arm(_ledger.entries["toy"])
        assert not _ledger.entries["toy"].missing
        return module

    yield make
    _ledger.entries.pop("toy", None)


def wrapped_by_others(module):
    """Put somebody else's proxy around the application first."""

    def passing(wrapped, instance, args, kwargs):
        return wrapped(*args, **kwargs)

    module.App.__call__ = wrapt.FunctionWrapper(module.App.__call__, passing)


CHANGES = pytest.mark.parametrize(
    "change", [lambda module: None, wrapped_by_others], ids=["plain", "wrapped"]
)


@CHANGES
async def test_an_application_is_served_and_observed(arm, observed, change):
    """Whether or not somebody else was there before."""
    one = await call(arm(change).App())

    assert one.status == 200
    assert [work.name for work in observed] == ["GET /template"]
    assert observed[0].library == "obskit_toy_app"


@CHANGES
def test_servers_take_it_for_an_asgi_3_application(arm, change):
    """Asked by instance and by class, by inspect and by asyncio."""
    app = arm(change).App()

    assert inspect.iscoroutinefunction(app.__call__)
    assert inspect.iscoroutinefunction(type(app).__call__)
    assert asyncio.iscoroutinefunction(app.__call__)
    assert list(inspect.signature(app).parameters) == ["scope", "receive", "send"]
    assert type(app).__call__.__doc__ == "Serve."


@CHANGES
def test_a_call_without_arguments_raises_at_once(arm, change):
    """uvicorn finds out by a TypeError that an application is no factory."""
    app = arm(change).App()
    with pytest.raises(TypeError, match="missing 3 required positional arguments"):
        app()


async def test_a_route_is_told_and_handled(arm, observed):
    """The route names itself in the request that it was given."""
    module = arm()
    one = Call(scope(), [])
    await module.App()(one.scope, one.receive, one.send)

    assert await module.Route().handle(one.scope, one.receive, one.send) == "handled"
    assert one.scope["obskit.served"].observation.name == "GET /orders/{id}"
    assert await module.Route().handle({}, None, None) == "handled"


async def test_an_application_that_is_off_passes_through(arm, observed):
    """Its result, too."""
    module = arm()
    instrumentation.uninstrument("toy")
    one = Call(scope(), [])

    assert await module.App()(one.scope, one.receive, one.send) == "result"
    assert not observed
    assert "obskit.served" not in one.scope


def test_wsgi_applications_are_served(arm, observed):
    """The rule is asked when the response starts."""
    from tests.instrumentation.calling import Answer, environ

    module = arm()

    assert Answer(module.Wsgi(), environ()).read() == b"x"
    assert [work.name for work in observed] == ["GET /rule"]
    with pytest.raises(TypeError, match="missing 2 required positional arguments"):
        module.Wsgi()()
