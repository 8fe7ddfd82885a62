"""Programs that are started as services."""

import subprocess
import sys

import pytest

from obskit.cli import _services
from obskit.cli._services import PortTaken, Program, Service
from tests.services.ports import reserve_port

HEALTHY = """
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["MOOD"].encode())

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def start(tmp_path):
    """Give what starts a program from its source; it is stopped at the end."""
    started = []

    def run(source, *words, again=False, **more):
        (tmp_path / "program.py").write_text(source)
        program = Program("it", ("program", *words), **more)
        service = _services.start(program, tmp_path, tmp_path, observed=False, again=again)
        started.append(service)
        return service

    yield run
    _services.stop(started)


def test_a_service_is_ready_when_it_answers(start):
    """It is told what it needs to know, and its page can be read."""
    port = reserve_port()
    service = start(HEALTHY, str(port), port=port, environ={"MOOD": "fine"})
    _services.wait(service)

    assert _services.get(port, "/health") == "fine"
    assert (service.name, service.url) == ("it", f"http://127.0.0.1:{port}")
    assert service.metrics_port is None


def test_who_answers_nobody_says_when_it_is_ready(start):
    """A worker has no address: its log is read, and goes on when it is started again."""
    source = "import time; print('at work', flush=True); time.sleep(60)"
    first = start(source, says="at work")
    _services.wait(first)
    _services.stop([first])
    _services.wait(start(source, says="at work", again=True))

    assert first.url is None
    assert first.log.read_text().count("at work") == 2


def test_a_service_that_ends_is_said_with_its_last_words(start):
    """The reason is the service's own; that of a taken port is one of its own."""
    with pytest.raises(RuntimeError, match=r"it did not start:(.|\n)*no parcels today"):
        _services.wait(start("raise RuntimeError('no parcels today')", says="never"))
    with pytest.raises(PortTaken):
        _services.wait(start("raise OSError('Address already in use')", says="never"))


def test_a_service_that_is_never_ready_is_said_too(start, monkeypatch):
    """Nobody waits for ever."""
    monkeypatch.setattr(_services, "READY_WITHIN", 0.3)

    with pytest.raises(RuntimeError, match="did not start"):
        _services.wait(start("import time; time.sleep(60)", says="never"))


def test_who_does_not_end_is_killed(tmp_path, monkeypatch):
    """A service that ignores SIGTERM does not keep the demo waiting for ever."""
    monkeypatch.setattr(_services, "STOPPED_WITHIN", 0.3)
    script = (
        "import signal, time; signal.signal(15, signal.SIG_IGN);"
        "print(1, flush=True); time.sleep(99)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    _services.stop([Service(Program("stubborn", ()), process, tmp_path / "log")])
    process.stdout.close()

    assert process.returncode == -9


def test_nobody_at_the_port_has_no_page():
    """Polling a service that is not there yet raises nothing."""
    assert _services.get(reserve_port(), "/health") is None
