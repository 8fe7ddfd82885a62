"""Real gunicorn, with each kind of its workers."""

import socket
import struct
import time

import pytest

from tests.instrumentation.servers.applications import FASTAPI, FLASK

WSGI_WORKERS = pytest.mark.parametrize("worker", ["sync", "gthread"])
ACCESS = ("--access-logfile", "-", "--access-logformat", "%({x-correlation-id}o)s %(s)s")


@WSGI_WORKERS
def test_each_request_has_one_id_and_one_observation(gunicorn, worker):
    """Good ones, missing ones, errors, streams: one header, equal to the ID inside."""
    served = gunicorn(FLASK, "--worker-class", worker)
    expected = [
        ("/ok/7", 200, "GET /ok/<int:number>", "ok", None),
        ("/abort", 404, "GET /abort", "client_error", None),
        ("/nowhere", 404, "GET", "client_error", None),
        ("/boom", 500, "GET /boom", "server_error", "LookupError"),
        ("/stream", 200, "GET /stream", "ok", None),
    ]
    for count, (path, status, name, outcome, error) in enumerate(expected, 1):
        response = served.get(path)
        work = served.ended(count)[-1]

        assert response.status_code == status
        assert response.headers.get_list("x-correlation-id") == [work["id"]]
        assert (work["ended"], work["outcome"], work["error"]) == (name, outcome, error)
        if path in ("/ok/7", "/stream"):
            assert set(response.text.split()) == {work["id"]}
    assert len(served.ended(len(expected))) == len(expected)
    assert [line["id"] for line in served.logged("shop") if line["message"] == "chunk"] == [
        work["id"]
    ] * 3


@WSGI_WORKERS
def test_the_access_line_and_the_traceback_have_the_id(gunicorn, worker):
    """gunicorn writes them when the application has returned, or failed."""
    served = gunicorn(FLASK, "--worker-class", worker, *ACCESS)
    good = served.get("/ok/7")
    served.request("GET", "/ok/8", headers={"connection": "close"})
    access = served.logged("gunicorn.access", 2)[0]

    assert access["message"] == f"{good.headers['x-correlation-id']} 200"
    assert access["id"] == good.headers["x-correlation-id"]


@WSGI_WORKERS
def test_an_error_in_the_body_is_reported_with_the_id(gunicorn, worker):
    """The response had begun with 200; the server's line about it belongs to the request."""
    served = gunicorn(FLASK, "--worker-class", worker)
    with served.connect() as connection:
        connection.sendall(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
        while connection.recv(65536):
            pass
    work = served.ended()[0]
    errors = served.logged("gunicorn.error", with_error=True)

    assert (work["outcome"], work["error"]) == ("server_error", "LookupError")
    assert errors[0]["id"] == work["id"]


@WSGI_WORKERS
def test_a_client_that_leaves_is_gone(gunicorn, worker):
    """The server stops in the middle of an endless body and closes it."""
    served = gunicorn(FLASK, "--worker-class", worker)
    with served.connect() as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(1000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert [work["outcome"] for work in served.ended()] == ["client_gone"]


@WSGI_WORKERS
def test_requests_on_one_connection_and_thread_do_not_mix(gunicorn, worker):
    """A worker's threads serve one request after the other."""
    served = gunicorn(FLASK, "--worker-class", worker, "--threads", "2")
    ids = {served.get("/ok/7").text for _ in range(10)}
    work = served.ended(10)

    assert len(ids) == 10
    assert {one["parent"] for one in work} == {None}


@pytest.mark.parametrize("worker", ["asgi", "uvicorn.workers.UvicornWorker"])
def test_asgi_workers_serve_and_are_observed(gunicorn, worker):
    """gunicorn's own and uvicorn's worker, each if it is there."""
    if worker == "asgi":
        pytest.importorskip("gunicorn.workers.gasgi", reason="this gunicorn has no ASGI worker")
    else:
        pytest.importorskip("uvicorn.workers", reason="this uvicorn has no worker for gunicorn")
    served = gunicorn(FASTAPI, "--worker-class", worker)
    for count, (path, status) in enumerate([("/ok/7", 200), ("/boom", 500), ("/stream", 200)], 1):
        response = served.get(path)
        work = served.ended(count)[-1]

        assert response.status_code == status
        assert response.headers.get_list("x-correlation-id") == [work["id"]]
        assert work["outcome"] == ("ok" if status == 200 else "server_error")


def test_gunicorns_asgi_worker_knows_who_left(gunicorn):
    """A handler that does not listen is not told; the worker knows."""
    pytest.importorskip("gunicorn.workers.gasgi", reason="this gunicorn has no ASGI worker")
    served = gunicorn(FASTAPI, "--worker-class", "asgi")
    with served.connect() as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert [work["outcome"] for work in served.ended()] == ["client_gone"]


def test_workers_are_clean_after_the_fork(gunicorn):
    """Two workers, an application that was loaded before: every request is its own."""
    served = gunicorn(FLASK, "--workers", "2", "--preload")
    ids = [served.get("/ok/7").text for _ in range(6)]

    assert len(set(ids)) == 6
    assert sorted(work["id"] for work in served.ended(6)) == sorted(ids)
