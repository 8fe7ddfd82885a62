"""The client for what obskit itself sends."""

import http.server
import socket
import ssl
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from obskit.http import Client, Tls
from tests.services.ports import reserve_port


class Server:
    """Answer each connection with prepared bytes, in pieces with pauses between."""

    def __init__(self, *pieces, pause=0.0, close=False):
        self.pieces, self.pause, self.close = pieces, pause, close
        self.received, self.connections = [], 0
        self.socket = socket.create_server(("127.0.0.1", reserve_port()))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.open = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        """Serve one connection after the other."""
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            self.open.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        """Answer each request in this way."""
        try:
            while data := connection.recv(65536):
                self.received.append(data)
                if b"\r\n\r\n" not in data:
                    continue
                for piece in self.pieces:
                    connection.sendall(piece)
                    time.sleep(self.pause)
                if self.close:
                    connection.close()
                    return
        except OSError:
            return

    def stop(self):
        """Close all."""
        for one in (self.socket, *self.open):
            one.close()


OK = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nRetry-After: 5\r\n\r\nok"


@pytest.fixture
def serve():
    """Give what starts servers."""
    made = []

    def start(*pieces, **options):
        made.append(Server(*pieces, **options))
        return made[-1]

    yield start
    for one in made:
        one.stop()


def post(client, path="/x", body=b"body"):
    """Send something."""
    return client.post(path, body, {"Content-Type": "text/plain"})


def test_an_answer_has_status_headers_and_body(serve):
    """Names in lower case."""
    server = serve(OK)
    client = Client(server.url + "/base/", 5)
    answer = post(client)
    client.close()

    assert (answer.status, answer.headers["retry-after"], answer.body) == (202, "5", b"ok")
    sent = b"".join(server.received)
    assert sent.startswith(b"POST /base/x HTTP/1.1\r\n")
    assert sent.count(b"\r\nHost: 127.0.0.1:") == 1


def test_a_connection_is_kept(serve):
    """As long as the server keeps it."""
    server = serve(OK)
    client = Client(server.url, 5)
    for _ in range(3):
        post(client)
    client.close()

    assert server.connections == 1


@pytest.mark.parametrize("close", [False, True])
def test_a_connection_that_was_closed_is_opened_again(serve, close):
    """With or without a word before; the request is not lost."""
    answer = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") if not close else OK
    server = serve(answer, close=True)
    client = Client(server.url, 5)
    for _ in range(3):
        assert post(client).status == 202
        time.sleep(0.05)
    client.close()

    assert server.connections == 3


def test_an_answer_that_is_too_long_is_not_read_to_its_end(serve):
    """And the connection not used again."""
    body = b"x" * 1_000_000
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + body)
    client = Client(server.url, 5)
    assert len(post(client).body) == 64 * 1024
    assert post(client).status == 200
    client.close()

    assert server.connections == 2


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (b"HTTP/1.1 ",) + (b"2",) * 100,
        (b"HTTP/1.1 200 OK\r\n",) + (b"A: b\r\n",) * 100,
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",) + (b"x",) * 100,
    ],
)
def test_the_time_is_for_all_of_the_answer(serve, pieces):
    """However slowly it drips in: silence, a status, headers, a body."""
    server = serve(*pieces, pause=0.05)
    client = Client(server.url, 0.4)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        post(client)

    assert 0.3 < time.monotonic() - begun < 1.0


def test_the_time_is_for_what_is_sent_too(serve):
    """A server that does not read is not waited for."""
    with socket.create_server(("127.0.0.1", reserve_port())) as deaf:
        client = Client(f"http://127.0.0.1:{deaf.getsockname()[1]}", 0.3)
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            post(client, body=b"x" * 50_000_000)

    assert time.monotonic() - begun < 2.0


def test_nobody_there_is_an_error(serve):
    """It is an OSError."""
    with pytest.raises(ConnectionRefusedError):
        post(Client(f"http://127.0.0.1:{reserve_port()}", 1))


def test_secure_servers_are_checked(tmp_path):
    """A certificate that nobody vouches for is refused."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        capture_output=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.HTTPServer(
        ("127.0.0.1", reserve_port()), http.server.BaseHTTPRequestHandler
    )
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        with pytest.raises(ssl.SSLCertVerificationError):
            post(Client(f"https://localhost:{server.server_address[1]}", 5))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_connection_is_left_to_others(serve):
    """Forgetting it is not closing it: the parent goes on with it."""
    server = serve(OK)
    client = Client(server.url, 5)
    post(client)
    kept = socket.socket(fileno=socket.dup(client._connection.sock.fileno()))
    client.forget()
    with kept:
        kept.settimeout(5)
        kept.sendall(b"POST / HTTP/1.1\r\n\r\n")
        assert kept.recv(100)
    client.forget()


def test_other_methods_have_no_body(serve):
    """A question needs none."""
    server = serve(OK)
    client = Client(server.url, 5)
    assert client.request("GET", "/x", headers={"Accept": "text/plain"}).status == 202
    client.close()

    sent = b"".join(server.received)
    assert sent.startswith(b"GET /x HTTP/1.1\r\n")
    assert b"Content-Length" not in sent


def test_a_credential_is_asked_for_each_request(serve):
    """So a token may change; what is wrong with it comes out, and nothing is sent."""
    server = serve(OK)
    tokens = iter("ab")

    def credential():
        try:
            return {"Authorization": f"Bearer {next(tokens)}"}
        except StopIteration:
            raise OSError("no token") from None

    client = Client(server.url, 5, credential)
    post(client)
    post(client)
    with pytest.raises(OSError, match="no token"):
        post(client)
    client.close()

    sent = b"".join(server.received)
    assert (sent.count(b"Bearer a"), sent.count(b"Bearer b"), sent.count(b"POST")) == (1, 1, 2)


@pytest.mark.parametrize(
    ("answer", "most", "whole"),
    [
        (b"Content-Length: 5\r\n\r\nwhole", 100, True),
        (b"Content-Length: 0\r\n\r\n", 100, True),
        (b"Content-Length: 50\r\n\r\nhalf", 100, False),
        (b"Content-Length: 5\r\n\r\nwhole", 3, False),
        (b"Content-Length: 5\r\n\r\nwhole", 5, True),
        (b"Connection: close\r\n\r\nto the end", 100, True),
        (b"Connection: close\r\n\r\nto the end", 4, False),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n", 100, True),
    ],
)
def test_it_is_known_whether_an_answer_is_whole(serve, answer, most, whole):
    """One that was cut off looks like an answer, and is none."""
    server = serve(b"HTTP/1.1 200 OK\r\n" + answer, close=True)
    client = Client(server.url, 5, most_read=most)

    # A body might come when the server has closed, which the client would hear of.
    assert post(client, body=b"").whole is whole
    client.close()


def test_an_encrypted_key_is_an_error_and_no_question(tmp_path):
    """Nobody is there to be asked for its password at the terminal."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-passout", "pass:s3cret", "-days", "1",
         "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost"],
        capture_output=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    with pytest.raises(OSError):
        Tls(cert=str(certificate), key=str(key)).context()


def test_a_secure_server_that_does_not_read_is_not_waited_for():
    """The time is for all that is sent, however it is cut to pieces."""
    pem = Path(__file__).parent / "instrumentation" / "loopback.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with socket.create_server(("127.0.0.1", reserve_port())) as server:
        over = threading.Event()

        def accept():
            connection, _ = server.accept()
            with connection, suppress(OSError):
                with context.wrap_socket(connection, server_side=True) as secure:
                    while not over.wait(0.1):  # so slowly that no single write takes long
                        secure.recv(16384)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        url = f"https://localhost:{server.getsockname()[1]}"
        client = Client(url, 0.5, tls=Tls(ca=str(pem)))
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            post(client, body=b"x" * 50_000_000)
        assert time.monotonic() - begun < 2.0
        client.close()
        over.set()
        thread.join(5)
