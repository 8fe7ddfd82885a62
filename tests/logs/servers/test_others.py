"""What hypercorn and ``flask run`` write to the descriptors 1 and 2 under ``obskit run``."""

import pytest

from tests.logs.servers.applications import FASTAPI, FLASK
from tests.logs.servers.conftest import request
from tests.logs.servers.reading import assert_all_there, bare_messages


def traffic(url):
    """Ask for everything that the application has to say."""
    for path in ("/speak", "/boom", "/nowhere", "/ok/7"):
        request(url + path)


@pytest.mark.parametrize("args", [(), ("--workers", "2")])
def test_hypercorn(both, run_hypercorn, args):
    """With one worker and with two: all but the access lines."""
    args = (*args, "--access-logfile", "-")
    found, bare = both(run_hypercorn, FASTAPI, *args, traffic=traffic, ready=rb"Running on")

    assert_all_there(found, bare_messages(bare.stdout, bare.stderr))
    assert len([line for line in found if line["logger"] == "obskit.summary"]) == 4
    assert not [line for line in found if line["logger"] == "hypercorn.access"]


@pytest.mark.parametrize("args", [(), ("--debug",)])
def test_flask_run(both, run_flask, args):
    """With and without its reloader: all but the access lines."""
    ready = rb"Debugger PIN" if args else rb"Running on"
    found, bare = both(run_flask, FLASK, traffic=traffic, ready=ready,
                       env={"FLASK_DEBUG": "1" if args else "0"})  # fmt: skip

    assert_all_there(found, bare_messages(bare.stdout, bare.stderr))
    assert len([line for line in found if line["logger"] == "obskit.summary"]) == 4
