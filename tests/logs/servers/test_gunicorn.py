"""What gunicorn writes to the descriptors 1 and 2 under ``obskit run``."""

import contextlib
import os
import signal
import sys

import httpx
import pytest

from tests.logs.servers.applications import FASTAPI, FLASK
from tests.logs.servers.conftest import ENV, request
from tests.logs.servers.reading import assert_all_there, bare_messages, lines, messages, twice

READY = rb"Booting worker"


def traffic(url):
    """Ask for everything that the application has to say."""
    for path in ("/speak", "/boom", "/nowhere", "/ok/7"):
        request(url + path)


@pytest.mark.parametrize(
    "args",
    [
        ("--workers", "2", "--worker-class", "gthread", "--access-logfile", "-"),
        ("--workers", "2", "--preload", "--access-logfile", "/dev/stdout"),
    ],
)
def test_every_line_is_valid_and_every_message_is_there_once(both, run_gunicorn, args):
    """Of master and workers, from the start to the end: all but the access lines."""
    ready = twice(READY if "--preload" in args else rb"module imported")
    found, bare = both(run_gunicorn, FLASK, *args, traffic=traffic, ready=ready)

    assert_all_there(found, bare_messages(bare.stdout, bare.stderr))
    assert len([line for line in found if line["logger"] == "obskit.summary"]) == 4
    assert not [line for line in found if line["logger"] == "gunicorn.access"]
    assert len({line["pid"] for line in found if line["logger"] == "gunicorn.error"}) > 1


@pytest.mark.parametrize("worker", ["asgi", "uvicorn.workers.UvicornWorker"])
def test_workers_for_asgi_speak_lines(both, run_gunicorn, worker):
    """gunicorn's own and uvicorn's worker, each if it is there."""
    if worker == "asgi":
        pytest.importorskip("gunicorn.workers.gasgi", reason="this gunicorn has no ASGI worker")
    else:
        pytest.importorskip("uvicorn.workers", reason="this uvicorn has no worker for gunicorn")
    args = ("--worker-class", worker, "--access-logfile", "-")
    found, bare = both(run_gunicorn, FASTAPI, *args, traffic=traffic, ready=rb"module imported")

    assert_all_there(found, bare_messages(bare.stdout, bare.stderr))
    assert len([line for line in found if line["logger"] == "obskit.summary"]) == 4
    assert not [line for line in found if line["logger"].endswith(".access")]


@pytest.mark.parametrize(
    ("source", "args"),
    [
        ("raise LookupError('at import')", ()),
        ("raise LookupError('at import')", ("--preload",)),
        ("import sys; sys.exit('no configuration')", ("--preload",)),
        ("wrong = 1", ()),
    ],
)
def test_an_application_that_cannot_start_is_told_in_lines(
    start_process, obskit_command, tmp_path, source, args
):
    """The worker's error and the words that the master exits with."""
    (tmp_path / "app.py").write_text(source, encoding="utf-8")
    outputs = []
    for launcher in ((), (*obskit_command, "run", "--")):
        command = (sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:0", *args, "app:app")
        env = {**ENV, "HOME": str(tmp_path)}
        outputs.append(start_process(*launcher, *command, env=env).wait(40.0))
    bare, ours = outputs
    found = lines(ours.stdout) + lines(ours.stderr)

    assert ours.returncode == bare.returncode
    assert_all_there(found, bare_messages(bare.stdout, bare.stderr))


def test_a_worker_that_hangs_or_is_killed_is_told_in_lines(spoken, run_gunicorn):
    """The master says so, and the new worker speaks lines as well."""
    source = FLASK + "\nimport time\n@app.get('/hang')\ndef hang():\n    time.sleep(60)\n"
    served = spoken(run_gunicorn, source, "--timeout", "1")
    [first] = served.wait_lines(message="module imported")
    os.kill(first["pid"], signal.SIGKILL)
    served.wait_lines(2, message="module imported")
    with contextlib.suppress(httpx.HTTPError):
        request(served.url + "/hang")
    served.wait_lines(3, message="module imported")
    found = messages(served.stop())

    assert any("was sent SIGKILL" in text for text in found)
    assert any(text.startswith("WORKER TIMEOUT") for text in found)
