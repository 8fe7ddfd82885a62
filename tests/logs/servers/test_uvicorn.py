"""What uvicorn writes to the descriptors 1 and 2 under ``obskit run``."""

import sys
from contextlib import closing
from socket import create_server

import pytest

from tests.logs.servers.applications import FASTAPI
from tests.logs.servers.conftest import ENV, request
from tests.logs.servers.reading import assert_all_there, bare_messages, lines, twice

READY = rb"Application startup complete"


def traffic(url):
    """Ask for everything that the application has to say."""
    for path in ("/speak", "/boom", "/missing", "/nowhere", "/ok/x", "/stream", "/background"):
        request(url + path)


@pytest.mark.parametrize("args", [(), ("--workers", "2"), ("--reload",)])
def test_every_line_is_valid_and_every_message_is_there_once(both, run_uvicorn, args):
    """With one worker, with two, and with a reloader: all but the access lines."""
    ready = twice(READY) if "--workers" in args else READY
    found, bare = both(run_uvicorn, FASTAPI, *args, traffic=traffic, ready=ready)

    assert_all_there(found, bare_messages(bare.stdout, bare.stderr))
    assert len([line for line in found if line["logger"] == "obskit.summary"]) == 7
    assert not [line for line in found if line["logger"] == "uvicorn.access"]


@pytest.mark.parametrize(
    "words", [("nowhere:app",), ("app:nothing",), ("app:app", "--port", "TAKEN"), ("--wrong",)]
)
def test_a_server_that_cannot_start_says_why_in_lines(
    start_process, obskit_command, tmp_path, words
):
    """Its last words and its exit code are those that it has without obskit."""
    (tmp_path / "app.py").write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    outputs = []
    with closing(create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        words = tuple(port if word == "TAKEN" else word for word in words)
        for launcher in ((), (*obskit_command, "run", "--")):
            command = (*launcher, sys.executable, "-m", "uvicorn", *words)
            outputs.append(start_process(*command, env=ENV).wait(40.0))
    bare, ours = outputs
    found = lines(ours.stdout) + lines(ours.stderr)

    assert ours.returncode == bare.returncode != 0
    assert_all_there(found, bare_messages(bare.stdout, bare.stderr))


def test_a_set_up_of_the_applications_own_is_passed_over(both, run_uvicorn):
    """Whatever it configures when it is imported: dictConfig, basicConfig, handlers of its own."""
    source = FASTAPI + (
        "\nimport logging.config\n"
        "logging.config.dictConfig({\n"
        "    'version': 1, 'disable_existing_loggers': False,\n"
        "    'formatters': {'f': {'format': '%(message)s'}},\n"
        "    'handlers': {'c': {'class': 'logging.StreamHandler', 'formatter': 'f',\n"
        "                       'stream': 'ext://sys.stdout'},\n"
        "                 'q': {'class': 'logging.StreamHandler', 'level': 'ERROR',\n"
        "                       'formatter': 'f'}},\n"
        "    'loggers': {'quiet': {'handlers': ['q'], 'propagate': False}},\n"
        "    'root': {'handlers': ['c'], 'level': 'INFO'},\n"
        "})\n"
        "@app.get('/levels')\n"
        "def levels():\n"
        "    for level in ('debug', 'info', 'error'):\n"
        "        getattr(log, level)('%s of shop', level)\n"
        "        getattr(logging.getLogger('quiet'), level)('%s of quiet', level)\n"
    )
    found, bare = both(
        run_uvicorn, source, traffic=lambda url: request(url + "/levels"), ready=READY
    )

    assert_all_there(found, bare_messages(bare.stdout, bare.stderr))
    said = sorted(line["message"] for line in found if " of " in line["message"])
    assert said == ["error of quiet", "error of shop", "info of shop"]
