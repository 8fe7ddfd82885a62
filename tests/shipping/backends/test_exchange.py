"""Requests go out with credential and certificate, and what goes wrong is a verdict."""

import subprocess

import pytest

from obskit.shipping import backends, target
from obskit.shipping.verdict import AGAIN, TAKEN
from tests.fakes.fake import CERTIFICATE


@pytest.fixture
def stranger(tmp_path):
    """Give the path of a certificate that nobody knows, with its key."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost"],
        capture_output=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    both = tmp_path / "both.pem"
    both.write_text(certificate.read_text() + key.read_text())
    return both


def test_a_server_is_checked_by_the_authority_that_is_named(start, lines, stranger):
    """By another one, or by those of the system, it is not trusted."""
    for options, kind in ((f"&ca={CERTIFICATE}", TAKEN), (f"&ca={stranger}", AGAIN), ("", AGAIN)):
        fake, backend = start("loki", options, secure=True)
        found = backend.send(lines("one"), 5)
        assert found.kind == kind
        if kind == AGAIN:
            assert found.why == "certificate not trusted"
            assert fake.requests == []


def test_a_server_can_be_believed_without_a_check(start, lines):
    """By `insecure=1`, for a trial."""
    _, backend = start("loki", "&insecure=1", secure=True)

    assert backend.send(lines("one"), 5).kind == TAKEN


def test_a_name_that_is_not_in_the_certificate_is_not_trusted(start, lines):
    """Whoever vouches for it."""
    fake, _ = start("loki", f"&ca={CERTIFICATE}", secure=True)
    url = f"{fake.url}&ca={CERTIFICATE}".replace("localhost", "127.0.0.2")
    backend = backends.open(target.parse(url), {})

    found = backend.send(lines("one"), 5)
    assert (found.kind, found.why) in [
        (AGAIN, "certificate not trusted"),
        (AGAIN, "no connection"),
    ]


def test_a_server_may_want_to_know_who_we_are(start, lines, stranger, tmp_path):
    """By our certificate, whose key may be in a file of its own."""
    text = CERTIFICATE.read_text()
    for mark, name in (("PRIVATE KEY", "ours.key"), ("CERTIFICATE", "ours.pem")):
        begin = text.index(f"-----BEGIN {mark}") if mark[0] == "C" else text.index("-----BEGIN P")
        end = text.index("-----END", begin)
        (tmp_path / name).write_text(text[begin : text.index("\n", end) + 1])
    cases = [
        (f"&cert={CERTIFICATE}", TAKEN),
        (f"&cert={tmp_path}/ours.pem&key={tmp_path}/ours.key", TAKEN),
        (f"&cert={stranger}", AGAIN),
        ("", AGAIN),
    ]
    for options, kind in cases:
        where = f"&ca={CERTIFICATE}{options}"
        _, backend = start("loki", where, secure=True, client_ca=CERTIFICATE)
        found = backend.send(lines("one"), 5)
        assert found.kind == kind, options
        assert kind == TAKEN or found.why in ("no secure connection", "no connection")


@pytest.mark.parametrize(
    "options", ["&ca=/nowhere/ca.pem", "&cert=/nowhere/cert.pem", "&ca=/etc/passwd"]
)
def test_a_certificate_that_cannot_be_read_is_waited_for(options, start, lines):
    """It may be being renewed."""
    _, backend = start("loki", options, secure=True)
    found = backend.send(lines("one"), 5)

    assert found.kind == AGAIN


def test_much_goes_out_over_a_secure_connection(start, lines):
    """Piece by piece, of known length."""
    fake, backend = start("loki", f"&ca={CERTIFICATE}&gzip=0", secure=True)
    assert (
        backend.send(lines(*(f"{number}" + "x" * 100_000 for number in range(20))), 10).kind
        == TAKEN
    )

    assert len(fake.stored) == 20
    assert fake.requests[0].size > 2_000_000


def test_a_token_can_have_a_header_of_its_own(start, lines):
    """It stands there alone."""
    fake, backend = start("otlp", "&auth_header=X-Api-Key")
    assert backend.send(lines("one"), 5).why == "status 401"

    headers = fake.requests[0].headers
    assert headers["x-api-key"] == fake.secret
    assert "authorization" not in headers


def test_an_exchange_may_be_shorter_than_it_might(start, lines):
    """By `timeout=1`."""
    import time

    fake, backend = start("loki", "&timeout=1")
    fake.faults.use("hang")
    begun = time.monotonic()

    assert backend.send(lines("one"), 10).why == "timeout"
    assert time.monotonic() - begun < 3


def test_a_page_to_log_in_is_no_success(start, lines):
    """Somebody on the way says 200."""
    fake, backend = start("humio")
    fake.faults.use("nonsense")
    found = backend.send(lines("one"), 5)

    assert (found.kind, found.why) == (AGAIN, "not understood")
    assert found.answer == "<html>Please log in</html>"


@pytest.mark.parametrize("status", [301, 400, 404, 405, 415])
def test_a_wrong_address_costs_no_line(status, start, lines):
    """It is put right by somebody, and what is wrong with a line is told by 400 and 422 alone."""
    from tests.fakes.web import Reply

    fake, backend = start("loki")
    fake.product.answer = lambda request: Reply(status, b"no")
    found = backend.send(lines("one", "two"), 5)

    assert (found.kind == "refused", found.part) == (status == 400, status == 400)
    assert found.why == f"status {status}"
