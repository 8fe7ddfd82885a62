"""What uvicorn writes to the descriptors 1 and 2 under ``obskit run``."""

import pytest

from tests.logs.servers.applications import FASTAPI
from tests.logs.servers.conftest import request
from tests.logs.servers.reading import assert_all_there, bare_messages

READY = rb"Application startup complete"


def traffic(url):
    """Ask for everything that the application has to say."""
    for path in ("/speak", "/boom", "/missing", "/nowhere", "/ok/x", "/stream", "/background"):
        request(url + path)


@pytest.mark.parametrize("args", [(), ("--workers", "2"), ("--reload",)])
def test_every_line_is_valid_and_every_message_is_there_once(both, run_uvicorn, args):
    """With one worker, with two, and with a reloader: all but the access lines."""
    found, bare = both(run_uvicorn, FASTAPI, *args, traffic=traffic, ready=READY)

    assert_all_there(found, bare_messages(bare.stdout, bare.stderr))
    assert len([line for line in found if line["logger"] == "obskit.summary"]) == 7
    assert not [line for line in found if line["logger"] == "uvicorn.access"]
