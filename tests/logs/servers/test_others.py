"""What hypercorn and ``flask run`` write to the descriptors 1 and 2 under ``obskit run``."""

from tests.logs.servers.applications import FASTAPI, FLASK
from tests.logs.servers.conftest import request
from tests.logs.servers.reading import assert_all_there, bare_messages, twice


def traffic(url):
    """Ask for everything that the application has to say."""
    for path in ("/speak", "/boom", "/nowhere", "/ok/7"):
        request(url + path)


def test_hypercorn(both, run_hypercorn):
    """With two workers: all but the access lines."""
    args = ("--workers", "2", "--access-logfile", "-")
    ready = twice(rb"Running on")
    found, bare = both(run_hypercorn, FASTAPI, *args, traffic=traffic, ready=ready)

    assert_all_there(found, bare_messages(bare.stdout, bare.stderr))
    assert len([line for line in found if line["logger"] == "obskit.summary"]) == 4
    assert not [line for line in found if line["logger"] == "hypercorn.access"]


def test_flask_run(both, run_flask):
    """With its reloader: all but the access lines."""
    env = {"FLASK_DEBUG": "1"}
    found, bare = both(run_flask, FLASK, traffic=traffic, ready=rb"Debugger PIN", env=env)

    assert_all_there(found, bare_messages(bare.stdout, bare.stderr))
    assert len([line for line in found if line["logger"] == "obskit.summary"]) == 4
    assert not [line for line in found if "HTTP/1.1" in line["message"]]
