"""Real hypercorn, daphne and werkzeug."""

import sys

import pytest

from tests.instrumentation.servers.applications import FASTAPI, FLASK
from tests.instrumentation.servers.conftest import Served, _reporting

PATHS = [
    ("/ok/7", 200, "ok"),
    ("/sync/7", 200, "ok"),
    ("/nowhere", 404, "client_error"),
    ("/ok/x", 422, "client_error"),
    ("/boom", 500, "server_error"),
    ("/stream", 200, "ok"),
    ("/background", 200, "ok"),
]


def check(served):
    """Ask for each path, and compare what came with what was observed."""
    for count, (path, status, outcome) in enumerate(PATHS, 1):
        response = served.get(path)
        work = served.ended(count)[-1]

        assert response.status_code == status, path
        assert response.headers.get_list("x-correlation-id") == [work["id"]], path
        assert work["outcome"] == outcome, path
        if path.endswith("/7"):
            assert response.json() == {"id": work["id"]}
    assert len(served.ended(len(PATHS))) == len(PATHS)


@pytest.mark.parametrize("worker", ["asyncio", "uvloop", "trio"])
def test_hypercorn(hypercorn, worker):
    """It asks by inspect whether an application is ASGI, and runs on three loops."""
    if worker == "trio":
        source = FASTAPI.replace("asyncio.sleep", "trio.sleep").replace(
            "import asyncio", "import trio"
        )
    else:
        source = FASTAPI
    check(hypercorn(source, "--worker-class", worker))


def test_hypercorn_serves_wsgi(hypercorn):
    """What is no ASGI application is called as WSGI."""
    served = hypercorn(FLASK)
    for path, status in (("/ok/7", 200), ("/boom", 500), ("/stream", 200)):
        response = served.get(path)
        assert response.status_code == status
        assert len(response.headers.get_list("x-correlation-id")) == 1
    assert [work["outcome"] for work in served.ended(3)] == ["ok", "server_error", "ok"]


def test_daphne(daphne):
    """It asks asgiref whether an application is of the old interface."""
    check(daphne(FASTAPI))


def test_werkzeugs_development_server(serve):
    """Its access line is written with the first chunk, in the context of the request."""
    source = FLASK + (
        "\nif __name__ == '__main__':\n"
        "    import sys\n"
        "    logging.getLogger('werkzeug').setLevel('INFO')\n"
        "    app.run(port=int(sys.argv[1]), threaded=True)\n"
    )

    def command(port):
        return (sys.executable, "app.py", str(port))

    served = Served(serve(_reporting(source), command))
    response = served.get("/ok/7")
    failed = served.get("/boom")
    work = served.ended(2)
    lines = [line for line in served.logged("werkzeug", 2) if "GET /" in line["message"]]

    assert (response.status_code, failed.status_code) == (200, 500)
    assert [one["outcome"] for one in work] == ["ok", "server_error"]
    assert response.text == response.headers["x-correlation-id"] == work[0]["id"]
    assert [line["id"] for line in lines] == [one["id"] for one in work]
