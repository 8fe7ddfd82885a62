import signal
import sys
import urllib.request

import pytest

ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})
"""
WSGI = """
def app(environ, start_response):
    start_response("200 OK", [("content-length", "5")])
    return [b"hello"]
"""


def get(url):
    """Return the body of an answer."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def test_uvicorn_serves_and_ends_on_sigterm(run_uvicorn):
    """The address answers, and all lines are there after the stop."""
    server = run_uvicorn(ASGI)

    assert get(server.url + "/a") == b"hello"
    output = server.stop()
    assert output.returncode in (0, -signal.SIGTERM)
    assert sum(b"GET /a" in line for line in output.lines) == 1


def test_uvicorn_takes_arguments_and_environment(run_uvicorn):
    """Workers and settings reach the real server."""
    server = run_uvicorn(
        "import os\nprint('color', os.environ['COLOR'], flush=True)" + ASGI,
        "--workers",
        "2",
        env={"COLOR": "blue"},
    )
    assert get(server.url) == b"hello"
    server.process.wait_for(rb"color blue[\s\S]*color blue")

    assert len([line for line in server.stop().lines if b"Started server process" in line]) == 2


def test_gunicorn_serves_and_ends_on_sigterm(run_gunicorn):
    """The address answers, and the master's last words are kept."""
    server = run_gunicorn(WSGI, "--workers", "2", "--access-logfile", "-")

    assert get(server.url + "/a") == b"hello"
    output = server.stop()
    assert output.returncode == 0
    assert b"GET /a" in output.stdout
    assert b"Shutting down: Master" in output.stderr


def test_two_gunicorns_live_side_by_side(run_gunicorn):
    """Servers share neither port nor folder nor control socket."""
    first, second = run_gunicorn(WSGI), run_gunicorn(WSGI)

    assert (get(first.url), get(second.url)) == (b"hello", b"hello")
    assert first.folder != second.folder
    assert b"in use" not in second.stop().stderr


def test_a_launcher_goes_before_the_command(run_uvicorn):
    """A program that starts another one can be put before the server."""
    launcher = (
        sys.executable,
        "-c",
        "import os, sys; print('go', flush=True); os.execv(sys.argv[1], sys.argv[1:])",
    )
    server = run_uvicorn(ASGI, launcher=launcher)

    assert get(server.url) == b"hello"
    assert server.stop().stdout.startswith(b"go\n")


def test_a_server_that_cannot_start_shows_its_output(run_uvicorn):
    """An application that does not import fails at once, with the traceback."""
    with pytest.raises(AssertionError, match="no such country"):
        run_uvicorn("raise RuntimeError('no such country')")
