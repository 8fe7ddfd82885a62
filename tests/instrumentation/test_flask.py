"""What Flask serves."""

import pytest
from flask import Blueprint, Flask, Response, abort, stream_with_context
from werkzeug.wrappers import Request

from obskit import context, health, wsgi
from tests.instrumentation.calling import Answer, environ


class Refused(Exception):
    """An error with a handler."""


@pytest.fixture
def app(observed):
    app = Flask("shop")
    shop = Blueprint("shop", "shop", url_prefix="/shops/<shop>")

    @app.get("/orders/<int:number>")
    def order(number):
        context.bind(order=number)
        return context.correlation_id()

    @shop.get("/items/<item>")
    def item(shop, item):
        return context.correlation_id()

    @app.get("/abort/<int:status>")
    def refuse(status):
        abort(status)

    @app.get("/boom")
    def boom():
        raise LookupError("boom")

    @app.get("/handled")
    def handled():
        raise Refused("handled")

    @app.errorhandler(Refused)
    def refused(error):
        return "refused", 503

    @app.get("/gateway")
    def gateway():
        try:
            raise LookupError("behind")
        except LookupError:
            abort(502)

    @app.get("/stream")
    def stream():
        def chunks():
            for _ in range(3):
                yield context.correlation_id() + " "

        return Response(stream_with_context(chunks()))

    app.register_blueprint(shop)
    return app


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("GET", "/orders/7", 200, "/orders/<int:number>"),
        ("GET", "/shops/3/items/7", 200, "/shops/<shop>/items/<item>"),
        ("GET", "/abort/404", 404, "/abort/<int:status>"),
        ("GET", "/abort/429", 429, "/abort/<int:status>"),
        ("GET", "/nowhere", 404, "__unmatched__"),
        ("POST", "/orders/7", 405, "__unmatched__"),
        ("GET", "/boom", 500, "/boom"),
        ("GET", "/handled", 503, "/handled"),
        ("GET", "/static/absent.css", 404, "/static/<path:filename>"),
    ],
)
def test_one_request_one_id_one_observation(app, observed, method, path, status, route):
    """Every answer has one header, and the route is a template."""
    answer = Answer(app, environ(path, method))
    body = answer.read().decode()

    assert int(answer.status[:3]) == status
    assert [work.labels["http_route"] for work in observed] == [route]
    assert answer.header("x-correlation-id") == [observed[0].context.correlation_id]
    if status == 200:
        assert body == observed[0].context.correlation_id
    assert context.get() is None


def test_errors_that_flask_answers_are_known(app, observed):
    """Flask turns an error into a 500 and goes on; the observation says which error it was."""
    Answer(app, environ("/boom")).read()

    assert (observed[0].outcome, str(observed[0].error)) == ("server_error", "boom")


def test_errors_with_a_handler_are_known(app, observed):
    """The application's own handler made a 503 of it."""
    Answer(app, environ("/handled")).read()

    assert type(observed[0].error) is Refused


def test_what_led_to_an_http_error_is_known(app, observed):
    """abort(502) is an answer; the error behind it says why."""
    Answer(app, environ("/gateway")).read()
    Answer(app, environ("/abort/503")).read()

    assert [str(work.error) for work in observed] == ["behind", "None"]


def test_a_handled_error_with_a_good_answer_is_none(app, observed):
    """What the application made a 404 of is no error."""
    Answer(app, environ("/abort/404")).read()

    assert observed[0].error is None


def test_an_error_that_is_propagated_arrives(app, observed):
    """In debug mode the error goes to the server, with the route known."""
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(LookupError, match="boom"):
        Answer(app, environ("/boom"))

    assert (observed[0].status, observed[0].labels["http_route"]) == (500, "/boom")
    assert context.correlation_id() == observed[0].context.correlation_id


@pytest.mark.usefixtures("observed")
def test_requests_that_werkzeug_itself_makes_are_no_trouble(app):
    """A middleware that looks at the request and then answers, or fails, has no rule to name."""
    inner = app.wsgi_app

    def middleware(environ, start_response):
        if Request(environ).path == "/closed":
            start_response("503 Service Unavailable", [])
            return [b"closed"]
        return inner(environ, start_response)

    app.wsgi_app = middleware
    closed = Answer(app, environ("/closed"))

    assert closed.read() == b"closed"
    assert len(closed.header("x-correlation-id")) == 1
    assert Answer(app, environ("/orders/7")).status == "200 OK"
    assert not health.internal_errors


def test_streams_have_the_id_in_each_chunk(app, observed):
    """Generators run after the application has returned."""
    answer = Answer(app, environ("/stream"))
    chunks = answer.read().decode().split()

    assert chunks == answer.header("x-correlation-id") * 3
    assert len(observed) == 1


def test_fields_that_a_handler_binds_are_on_the_request(app, observed):
    """The summary has them."""
    Answer(app, environ("/orders/7")).read()

    assert observed[0].context.unit.fields == {"order": 7}


def test_an_explicit_middleware_around_flask_is_the_owner(app, observed):
    """One observation, and Flask names the route."""
    answer = Answer(wsgi.Middleware(app), environ("/orders/7"))
    answer.read()

    assert [work.name for work in observed] == ["GET /orders/<int:number>"]
    assert len(answer.header("x-correlation-id")) == 1


def test_flasks_own_test_client_works(app, observed):
    """Two requests in one test do not mix."""
    client = app.test_client()
    for _ in range(2):
        with client.get("/orders/7") as response:
            assert response.text == response.headers["X-Correlation-ID"]

    assert len({work.context.correlation_id for work in observed}) == 2
    assert context.get() is None
