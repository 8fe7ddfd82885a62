"""The requests that the doctor sends."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from obskit.cli import _request
from tests.services.ports import reserve_port


class Echo(BaseHTTPRequestHandler):
    """Answer with the ID that came; a path says how badly."""

    def do_GET(self):
        """Answer."""
        self.server.seen.append((self.path, dict(self.headers)))
        self.send_response(404 if self.path == "/none" else 200)
        if self.path != "/silent":
            self.send_header("X-Correlation-ID", self.headers["X-Correlation-ID"] or "made")
        if self.path == "/twice":
            self.send_header("X-Correlation-ID", "second")
        self.end_headers()
        self.wfile.write(b"a 1\n")

    def log_message(self, *args):
        """Keep quiet."""


@pytest.fixture
def server():
    """Give a web server that echoes correlation IDs."""
    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        server.seen = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "status", "ids"),
    [("/", 200, 1), ("/none", 404, 1), ("/silent", 200, 0), ("/twice", 200, 2)],
)
def test_status_and_ids_come_back(server, path, status, ids):
    """All headers of the name are kept: two are a fault."""
    answer = _request.ask(server.server_port, path, "X-Correlation-ID")

    assert answer.status == status
    assert len(answer.returned) == ids
    assert answer.returned[:1] == (answer.sent,)[:ids]


def test_it_is_marked_as_synthetic(server):
    """Nobody takes the doctor for a customer."""
    _request.ask(server.server_port, "/", "X-Correlation-ID")

    assert server.seen[0][1]["baggage"] == "obskit.synthetic=doctor"


def test_the_query_is_sent_and_never_shown(server):
    """An address for people has no query."""
    answer = _request.ask(server.server_port, "/a?token=1", "X-Correlation-ID")

    assert server.seen[0][0] == "/a?token=1"
    assert answer.url == f"http://127.0.0.1:{server.server_port}/a"


@pytest.mark.parametrize("path", ["/a b", "/a\nb", "/ü"])
def test_a_path_that_cannot_be_sent_is_a_fault(server, path):
    """Nothing is raised for words that are no path."""
    assert _request.ask(server.server_port, path, "X-Correlation-ID").fault


def test_nobody_there_is_a_fault():
    """A port that does not answer is named as such."""
    port = reserve_port()

    assert "refused" in _request.ask(port, "/", "X-Correlation-ID").fault
    assert _request.scrape(port) == ""


def test_a_page_is_read(server):
    """The metrics are what the page says."""
    assert _request.scrape(server.server_port) == "a 1\n"
