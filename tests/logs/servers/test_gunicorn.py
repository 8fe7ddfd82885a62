"""What gunicorn writes to the descriptors 1 and 2 under ``obskit run``."""

import signal

import pytest

from tests.logs.servers.applications import FASTAPI, FLASK
from tests.logs.servers.conftest import request
from tests.logs.servers.reading import assert_all_there, bare_messages

READY = rb"Booting worker"


def traffic(url):
    """Ask for everything that the application has to say."""
    for path in ("/speak", "/boom", "/nowhere", "/ok/7"):
        request(url + path)


@pytest.mark.parametrize(
    "args",
    [
        ("--workers", "2"),
        ("--worker-class", "gthread", "--threads", "2", "--access-logfile", "-"),
        ("--workers", "2", "--preload", "--access-logfile", "/dev/stdout"),
    ],
)
def test_every_line_is_valid_and_every_message_is_there_once(both, run_gunicorn, args):
    """Of master and workers, from the start to the end: all but the access lines."""
    found, bare = both(run_gunicorn, FLASK, *args, traffic=traffic, ready=READY)

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
    found, bare = both(run_gunicorn, FASTAPI, *args, traffic=traffic, ready=READY)

    assert_all_there(found, bare_messages(bare.stdout, bare.stderr))
    assert len([line for line in found if line["logger"] == "obskit.summary"]) == 4
    assert not [line for line in found if line["logger"].endswith(".access")]
