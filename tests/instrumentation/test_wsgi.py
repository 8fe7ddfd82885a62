"""The engine for WSGI, without a server."""

import gc
import sys
from wsgiref.util import FileWrapper

import pytest

from obskit import clock, context, observation
from obskit.instrumentation import _wsgi
from obskit.wsgi import Middleware
from tests.instrumentation.calling import Answer, environ

HEADERS = [("Content-Type", "text/plain")]


def app_of(body, status="200 OK", headers=HEADERS):
    """Return an application with this answer."""

    def app(environ, start_response):
        app.seen = context.get()
        start_response(status, list(headers))
        return body() if callable(body) else body

    return app


def test_an_answer_is_observed_and_has_the_id(observed):
    """One SERVER observation, its ID on the response and inside."""
    app = app_of([b"ok"])
    answer = Answer(Middleware(app, route=lambda environ: "/orders/<id>"), environ("/orders/7"))

    assert answer.read() == b"ok"
    assert [work.name for work in observed] == ["GET /orders/<id>"]
    assert (observed[0].status, observed[0].outcome) == (200, "ok")
    assert answer.header("x-correlation-id") == [app.seen.correlation_id]
    assert context.get() is None
    assert clock.current() is None


def test_who_has_all_bytes_is_counted(observed):
    """Where the length is known the response is over before its last bytes are handed over."""

    def chunks():
        yield b"half"
        assert not observed
        yield b"rest"

    app = app_of(chunks, headers=[*HEADERS, ("Content-Length", "8")])
    body = Middleware(app)(environ("/"), lambda *_: None)
    parts = [next(body), next(body)]

    assert parts == [b"half", b"rest"]
    assert [work.outcome for work in observed] == ["ok"]
    assert list(body) == []
    body.close()
    assert len(observed) == 1
    assert context.get() is None


def test_a_correlation_header_of_the_application_is_replaced(observed):
    """One header, ours; the application's list stays as it is."""
    theirs = [("A", "1"), ("x-correlation-id", "x"), ("X-Correlation-ID", "y")]
    kept = list(theirs)

    def app(environ, start_response):
        start_response("200 OK", theirs)
        return [b""]

    answer = Answer(Middleware(app), environ())
    answer.read()

    assert answer.header("x-correlation-id") == [observed[0].context.correlation_id]
    assert theirs == kept


def test_callers_of_ours_hear_the_clock(observed):
    """As over ASGI: clock and timing for those who spoke of an operation."""
    app = Middleware(app_of([b"ok"]))
    ours = Answer(app, environ(method="POST", headers=[("X-Correlation-ID", "abc")]))
    ours.read()
    stranger = Answer(app, environ(method="POST"))
    stranger.read()

    assert ours.header("x-correlation-id") == ["abc"]
    assert clock.parse(ours.header("obskit-cause")[0]) is not None
    assert ours.header("server-timing")[0].startswith("app;dur=")
    assert stranger.header("obskit-cause") == stranger.header("server-timing") == []


def test_a_body_is_not_consumed_before_the_server_asks(observed):
    """Streams stay streams: nothing is read ahead."""
    taken = []

    def body():
        for number in range(3):
            taken.append(number)
            yield b"x"

    answer = Answer(Middleware(app_of(body)), environ())
    assert taken == []
    assert next(iter(answer.body)) == b"x"
    assert taken == [0]
    assert not observed
    answer.read()
    assert len(observed) == 1


def test_each_chunk_is_made_in_the_context_of_the_request(observed):
    """A generator's lines have the ID although the application has returned."""
    seen = []

    def body():
        for number in range(3):
            seen.append(context.correlation_id())
            context.bind(number=number)
            yield b"x"
        seen.append(context.get().fields["number"])

    app = app_of(body)
    Answer(Middleware(app), environ()).read()

    assert seen == [app.seen.correlation_id] * 3 + [2]


def test_chunks_that_another_thread_takes_have_the_context_too(observed):
    """An adapter may iterate anywhere; the thread gets its own context back."""
    from concurrent.futures import ThreadPoolExecutor

    seen = []

    def body():
        for _ in range(2):
            seen.append(context.correlation_id())
            yield b"x"

    app = app_of(body)
    answer = Answer(Middleware(app), environ())
    context.attach(None)
    clock.attach(None)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(answer.read).result() == b"xx"
        assert pool.submit(context.get).result() is None

    assert seen == [app.seen.correlation_id] * 2
    assert len(observed) == 1


def test_the_whole_application_may_be_a_generator(observed):
    """start_response is called when the first chunk is asked for."""

    def app(environ, start_response):
        start_response("404 Not Found", HEADERS)
        yield context.correlation_id().encode()

    answer = Answer(Middleware(app), environ())
    body = answer.read().decode()

    assert answer.header("x-correlation-id") == [body]
    assert (observed[0].status, observed[0].outcome) == (404, "client_error")


def test_an_error_before_the_answer_is_a_500(observed):
    """The error goes to the server, and its ID stays for the server's line."""
    error = LookupError("mine")

    def app(environ, start_response):
        raise error

    with pytest.raises(LookupError) as caught:
        Answer(Middleware(app), environ())

    assert caught.value is error
    assert (observed[0].status, observed[0].error) == (500, error)
    assert context.correlation_id() == observed[0].context.correlation_id


def test_an_error_within_the_body_is_a_server_error(observed):
    """The error arrives unchanged, once, and the ID stays for the server's line."""
    error = LookupError("mine")

    def body():
        yield b"x"
        raise error

    answer = Answer(Middleware(app_of(body)), environ())
    with pytest.raises(LookupError) as caught:
        b"".join(answer.body)

    assert caught.value is error
    assert (observed[0].status, observed[0].outcome) == (200, "server_error")
    answer.close()
    assert context.correlation_id() == observed[0].context.correlation_id


def test_an_error_handler_may_start_again(observed):
    """With exc_info the second start counts, and ours is on that, too."""

    def app(environ, start_response):
        start_response("200 OK", HEADERS)
        try:
            raise LookupError("late")
        except LookupError:
            start_response("500 Sorry", HEADERS, sys.exc_info())
        return [b"sorry"]

    answer = Answer(Middleware(app), environ())
    answer.read()

    assert answer.starts == 2
    assert answer.status == "500 Sorry"
    assert len(answer.header("x-correlation-id")) == 1
    assert (observed[0].status, type(observed[0].error)) == (500, LookupError)


def test_write_is_the_servers(observed):
    """Old applications write by the callable that start_response returns."""

    def app(environ, start_response):
        start_response("200 OK", HEADERS)(b"written")
        return []

    answer = Answer(Middleware(app), environ())
    answer.read()

    assert answer.written == [b"written"]
    assert observed[0].outcome == "ok"


class Closing:
    """A body that wants to be closed."""

    def __init__(self, chunks, error=None):
        self.chunks = iter(chunks)
        self.error = error
        self.closed_as = None

    def __iter__(self):
        return self.chunks

    def close(self):
        self.closed_as = context.correlation_id()
        if self.error:
            raise self.error


def test_close_reaches_the_body_in_its_context(observed):
    """What is cleaned up at the end is logged with the ID."""
    body = Closing([b"x"])
    app = app_of(body)
    Answer(Middleware(app), environ()).read()

    assert body.closed_as == app.seen.correlation_id
    assert len(observed) == 1


def test_an_error_of_close_arrives(observed):
    """The server gets it, the answer was whole."""
    answer = Answer(Middleware(app_of(Closing([b"x"], LookupError("close")))), environ())
    with pytest.raises(LookupError, match="close"):
        answer.read()

    assert observed[0].outcome == "ok"


def test_a_client_that_leaves_is_gone(observed):
    """The server closes before it has taken everything."""
    answer = Answer(Middleware(app_of(lambda: iter([b"x", b"y"]))), environ())
    next(iter(answer.body))
    answer.close()

    assert (observed[0].status, observed[0].outcome) == (200, "client_gone")
    assert context.get() is None


@pytest.mark.parametrize(
    ("status", "headers", "method"),
    [
        ("200 OK", [("Content-Length", "1")], "GET"),
        ("200 OK", HEADERS, "HEAD"),
        ("304 Not Modified", HEADERS, "GET"),
        ("204 No Content", HEADERS, "GET"),
    ],
)
def test_a_body_that_need_not_be_exhausted_is_whole(observed, status, headers, method):
    """Servers stop where the length is reached or no body is sent."""
    answer = Answer(
        Middleware(app_of(lambda: iter([b"x"]), status, headers)), environ(method=method)
    )
    if method == "GET" and status[:3] == "200":
        next(iter(answer.body))
    answer.close()

    assert observed[0].outcome == "ok"


def test_who_has_the_last_byte_finds_it_counted(observed):
    """The observation ends when the body is exhausted, not when it is closed."""
    answer = Answer(Middleware(app_of([b"x"])), environ())
    b"".join(answer.body)

    assert len(observed) == 1
    assert context.correlation_id() == observed[0].context.correlation_id
    answer.close()
    assert context.get() is None


def test_a_body_that_is_never_closed_leaves_nothing_for_the_next_request(observed):
    """Entries overwrite what a careless server leaves."""
    app = Middleware(app_of([b"x"]))
    b"".join(Answer(app, environ()).body)
    b"".join(Answer(app, environ()).body)

    assert observed[0].context.correlation_id != observed[1].context.correlation_id
    assert observed[1].context.parent_span_id is None


def test_the_length_of_a_list_can_still_be_asked(observed):
    """Some servers derive the Content-Length from a body of one chunk."""
    assert len(Answer(Middleware(app_of([b"x"])), environ()).body) == 1
    body = Answer(Middleware(app_of(lambda: iter([b"x"]))), environ()).body
    with pytest.raises(TypeError):
        len(body)


class Page:
    """A response that is its own body, as Django's are."""

    def __init__(self):
        self.headers = {"x-a": "1", "x-b": "2"}

    def __iter__(self):
        yield b"fine"

    def __bytes__(self):
        return b"whole"

    def __contains__(self, name):
        return name in self.headers

    def __getitem__(self, name):
        return self.headers[name]

    def __setitem__(self, name, value):
        self.headers[name] = value

    def __delitem__(self, name):
        del self.headers[name]


def test_a_body_can_do_what_that_of_the_application_can(observed):
    """Callers that know its class ask it for more than its bytes."""
    page = Page()
    body = Answer(Middleware(app_of(lambda: page)), environ()).body

    assert (bytes(body), body["x-a"], "x-a" in body, "x-c" in body) == (b"whole", "1", True, False)
    body["x-c"] = "3"
    del body["x-a"]
    assert body.headers == page.headers == {"x-b": "2", "x-c": "3"}
    assert not hasattr(body, "__len__")
    assert b"".join(body) == b"fine"
    assert Answer(Middleware(app_of([b"x"])), environ()).body[0] == b"x"


def test_classes_of_bodies_without_end_are_not_kept(observed):
    """Those that an application makes anew each time go again."""
    for _ in range(3 * _wsgi._MOST_KINDS):
        kind = type("List", (list,), {})
        answer = Answer(Middleware(app_of(lambda kind=kind: kind([b"x"]))), environ())
        assert (len(answer.body), answer.read()) == (1, b"x")

    assert len(_wsgi._kinds) <= _wsgi._MOST_KINDS


def test_a_file_of_the_server_keeps_its_type(observed, tmp_path):
    """The server sends it by the system, which it does for its own wrapper only."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("rb") as file:
        served = environ(**{"wsgi.file_wrapper": FileWrapper})
        answer = Answer(Middleware(app_of(lambda: FileWrapper(file))), served)

        assert type(answer.body) is FileWrapper
        assert observed[0].outcome == "ok"
        assert answer.read() == b"content"


def test_a_servers_file_function_gets_its_file_back(tmp_path):
    """Where the wrapper is no class, what it returned has a read method."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("rb") as file:
        assert _wsgi.is_file(file, lambda file, size=0: file)
    assert not _wsgi.is_file([b"x"], lambda file, size=0: file)
    assert not _wsgi.is_file([b"x"], None)


def test_one_request_has_one_owner(observed):
    """A middleware within a middleware lets pass."""
    answer = Answer(Middleware(Middleware(app_of([b"x"]))), environ())
    answer.read()

    assert len(observed) == 1
    assert len(answer.header("x-correlation-id")) == 1


def test_a_call_in_process_gives_the_caller_its_context_back(observed):
    """Who calls an application within a unit of work goes on with his own ID."""
    with observation.unit_of_work("outer", correlation_id="outer"):
        Answer(Middleware(app_of([b"x"])), environ()).read()
        assert context.correlation_id() == "outer"


@pytest.mark.parametrize(
    ("script", "path", "shown"),
    [
        ("", "/orders", "/orders"),
        ("/shop", "/orders", "/shop/orders"),
        ("", "/stra\xc3\x9fe", "/straße"),
        ("", "/\xff", "/\ufffd"),
    ],
)
def test_paths_are_text(observed, script, path, shown):
    """WSGI hands bytes over as Latin-1; what is no UTF-8 is shown as such."""
    Answer(Middleware(app_of([b"x"])), environ(path, SCRIPT_NAME=script)).read()

    assert observed[0].attributes["url_path"] == shown


@pytest.mark.parametrize("missing", ["REQUEST_METHOD"])
def test_an_environ_that_cannot_be_read_is_served_unobserved(observed, broken, missing):
    """A strange server serves on."""
    served = environ()
    del served[missing]

    assert Answer(Middleware(app_of([b"x"])), served).read() == b"x"
    assert broken == {"wsgi.begin": 1}
    assert not observed


def test_a_malformed_status_goes_to_the_server_as_it_is(observed, broken):
    """What the application does wrong is the server's to say."""
    answer = Answer(Middleware(app_of([b"x"], status="fine")), environ())
    answer.read()

    assert answer.status == "fine"
    assert broken == {"wsgi.start": 1}


def test_a_broken_route_function_is_contained(observed, broken):
    """The request is observed without a route."""
    Answer(Middleware(app_of([b"x"]), route=lambda environ: 1 / 0), environ()).read()

    assert observed[0].labels["http_route"] == "__unmatched__"
    assert broken == {"instrumentation.route": 1}


@pytest.mark.parametrize("taken", [0, 1])
@pytest.mark.parametrize("lazy", [False, True])
def test_a_body_that_is_lost_is_gone_at_once(observed, taken, lazy):
    """Without a garbage collection: the next request of the thread finds nothing that runs."""

    def app(environ, start_response):
        start_response("200 OK", HEADERS)
        return iter([b"x", b"y"])

    def generator(environ, start_response):
        yield from app(environ, start_response)

    gc.disable()
    try:
        body = Middleware(generator if lazy else app)(environ(), lambda *_: None)
        for _ in range(taken):
            next(body)
        assert not observed
        del body
    finally:
        gc.enable()

    assert [work.outcome for work in observed] == ["client_gone"]
    assert not observed[0].context.unit.running


def test_a_loop_keeps_its_body_alive(observed):
    """Whoever iterates over what the application returned need not hold that."""
    seen = [
        (chunk, len(observed), context.get() is not None)
        for chunk in Middleware(app_of(lambda: iter([b"x", b"y"])))(environ(), lambda *_: None)
    ]

    assert seen == [(b"x", 0, True), (b"y", 0, True)]
    assert [work.outcome for work in observed] == ["ok"]


def test_a_body_may_be_taken_up_again(observed):
    """Who takes a chunk and iterates anew goes on where he was, and calls it once more in vain."""
    body = Middleware(app_of([b"x", b"y", b"z"]))(environ(), lambda *_: None)

    assert [next(iter(body)), next(body), *body] == [b"x", b"y", b"z"]
    assert list(body) == []
    body.close()
    body.close()
    assert len(observed) == 1


def test_a_caller_finds_what_the_body_has_more(observed):
    """Test clients look at the status of a response that is a body, too."""

    class Response:
        status_code = 201

        def __iter__(self):
            return iter([b"x"])

    body = Middleware(app_of(Response()))(environ(), lambda *_: None)

    assert (body.status_code, list(body)) == (201, [b"x"])
    with pytest.raises(AttributeError):
        body.other  # noqa: B018 - it is asked for
    body.close()


def test_what_start_response_is_given_goes_on(observed):
    """As it was given, by position or by name."""
    given = []

    def app(environ, start_response):
        start_response("200 OK", [], exc_info=None)
        start_response("200 OK", [], None)
        return []

    Middleware(app)(environ(), lambda *args: given.append(len(args))).close()

    assert given == [3, 3]


def test_nothing_is_kept_when_the_request_is_over(observed):
    """A body that is garbage takes its request along."""
    before = {id(one) for one in gc.get_objects() if type(one) is _wsgi.Body}
    app = app_of(lambda: iter([b"x"]))
    answer = Answer(Middleware(app), environ())
    answer.read()
    observed.clear()
    app.seen = None
    del answer
    gc.collect()
    after = [one for one in gc.get_objects() if type(one) is _wsgi.Body]

    assert not [one for one in after if id(one) not in before]
