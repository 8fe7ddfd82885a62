"""Whatever stdout and stderr are, or are not: the service does its work."""

import socket
import sys
import time
from contextlib import closing

import pytest

from tests.logs.servers.conftest import request
from tests.logs.servers.reading import lines
from tests.services.ports import accepts, wait_until

APP = """
import logging, sys
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def root():
    print("printing")
    print("printing", file=sys.stderr)
    logging.getLogger("shop").error("logging")
    return "served"


@app.get("/status")
def status():
    import obskit

    return {key: obskit.status()[key] for key in ("rooms", "lost", "internal_errors")}
"""


@pytest.fixture
def serve_by_shell(start_process, obskit_command, tmp_path, free_port):
    """Give what starts uvicorn under ``obskit run`` by a shell, with redirections."""
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")

    def run(redirection, **env):
        port = free_port()
        words = (*obskit_command, "run", "--", sys.executable, "-m", "uvicorn", "app:app")
        # Without the option uvicorn itself asks a stdout that is none whether it is a terminal.
        options = ("--no-use-colors", "--port", str(port))
        command = " ".join((*words, *options, redirection))
        env = {"OBSKIT_METRICS_PORT": "off", "HOME": str(tmp_path), **env}
        process = start_process("sh", "-c", f"exec {command}", env=env)
        wait_until(lambda: accepts(port), lambda: f"{process.stdout!r} {process.stderr!r}", 30.0)
        return process, f"http://127.0.0.1:{port}"

    return run


@pytest.mark.parametrize(
    ("redirection", "lost"),
    [
        (">&-", False),
        ("2>&-", False),
        (">&- 2>&-", True),
        ("<&- >&- 2>&-", True),
        ("<&-", False),
        (">/dev/full", None),
        (">/dev/full 2>&1", None),
        (">/dev/null 2>&1", False),
    ],
)
def test_a_service_without_a_place_for_lines_serves(serve_by_shell, redirection, lost):
    """Closed streams and full disks cost lines, which are counted, and nothing else."""
    process, url = serve_by_shell(redirection)
    answers = [request(url) for _ in range(5)]
    status = request(url + "/status").json()
    output = process.stop()

    assert [answer.json() for answer in answers] == ["served"] * 5
    assert {answer.status_code for answer in answers} == {200}
    assert set(status["rooms"].values()) == {"on"}
    assert status["internal_errors"] == {}
    if lost is not None:
        assert any(key.startswith("logs/") for key in status["lost"]) is lost
    if lost is False and "null" not in redirection:
        messages = [line["message"] for line in lines(output.stdout) + lines(output.stderr)]
        assert messages.count("logging") == 5
        # What is printed to a stdout that is none is nowhere without obskit, too.
        assert messages.count("printing") == (5 if redirection == ">&-" else 10)
        assert messages.count("Application startup complete.") == 1
        assert "logging error" not in messages


def test_no_line_goes_to_a_connection_that_has_got_the_number_of_stdout(
    start_process, obskit_command, tmp_path, free_port
):
    """The first thing that a program opens when stdout is closed is number one."""
    port = free_port()
    with closing(socket.create_server(("127.0.0.1", port))) as server:
        source = (
            "import logging, socket, time\n"
            f"connection = socket.create_connection(('127.0.0.1', {port}))\n"
            "assert connection.fileno() == 1\n"
            "print('printed')\n"
            "logging.warning('logged')\n"
            "connection.sendall(b'own words')\n"
        )
        (tmp_path / "script.py").write_text(source, encoding="utf-8")
        words = (*obskit_command, "run", "--", sys.executable, "script.py")
        command = f"exec {' '.join(words)} <&- >&-"
        process = start_process("sh", "-c", "exec 0</dev/null; " + command.replace("<&-", ""),
                                env={"OBSKIT_METRICS_PORT": "off"})  # fmt: skip
        connection, _ = server.accept()
        with closing(connection):
            connection.settimeout(20)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
        output = process.wait()

    assert received == b"own words", output
    assert output.returncode == 0


@pytest.mark.parametrize(
    ("env", "where"),
    [
        ({}, ("out", "out")),
        ({"OBSKIT_LOG_STREAM": "stderr"}, (None, "err")),
        ({"OBSKIT_LOG_STREAM": "lines.log"}, (None, None)),
        ({"OBSKIT_LOG_FORMAT": "console"}, (None, None)),
        ({"OBSKIT_CAPTURE": "0"}, (None, None)),
        ({"OBSKIT_ENABLED": "0"}, (None, None)),
    ],
)
def test_print_becomes_lines_only_where_lines_go(
    start_process, obskit_command, tmp_path, env, where
):
    """For each stream: which of them gets its text as a line, or none does."""
    source = "import sys\nprint('to stdout')\nprint('to stderr', file=sys.stderr)\n"
    command = (*obskit_command, "run", "--", sys.executable, "-c", source)
    output = start_process(*command, env={"OBSKIT_METRICS_PORT": "off", **env}).wait()
    streams = {"out": output.stdout, "err": output.stderr}

    for name, place in zip(("stdout", "stderr"), where, strict=True):
        text = f"to {name}"
        if place is None:
            own = streams["out" if name == "stdout" else "err"]
            assert text.encode() in own.splitlines()
        else:
            own_lines = [line for line in lines(streams[place]) if line["logger"] == name]
            assert [line["message"] for line in own_lines] == [text]


def test_beside_a_file_the_console_stays_as_it_was(start_process, obskit_command, tmp_path):
    """Records, warnings and errors are text on the console and lines in the file."""
    source = (
        "import logging, warnings\n"
        "logging.basicConfig(format='TEXT %(message)s')\n"
        "logging.warning('logged')\n"
        "warnings.warn('warned')\n"
        "raise LookupError('lost')\n"
    )
    outputs = []
    for launcher in ((), (*obskit_command, "run", "--")):
        command = (*launcher, sys.executable, "-c", source)
        env = {"OBSKIT_METRICS_PORT": "off", "OBSKIT_LOG_STREAM": str(tmp_path / "lines.log")}
        outputs.append(start_process(*command, env=env).wait())
    bare, ours = outputs

    assert ours == bare
    found = lines((tmp_path / "lines.log").read_bytes())
    assert [line["message"] for line in found] == [
        "process started", "logged", "warned", "uncaught exception",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_reader_that_stalls_does_not_stop_the_service(serve_by_shell):
    """A pipe that nobody reads costs no request more than a moment."""
    process, url = serve_by_shell("| sleep 60")
    slowest = 0.0
    for _ in range(60):
        began = time.monotonic()
        assert request(url).status_code == 200
        slowest = max(slowest, time.monotonic() - began)
    status = request(url + "/status").json()
    process.kill()

    assert slowest < 5
    assert status["internal_errors"] == {}
