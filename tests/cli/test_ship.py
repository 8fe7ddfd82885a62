"""What the command sends, what it says, and how it ends."""

import base64
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from obskit import cli, health
from obskit.shipping.spool import Appender
from tests.services.ports import reserve_port

HEAD = "SERVICE  DESTINATION"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Keep the spool in the folder of the test, and no settings of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("OBSKIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OBSKIT_SPOOL", str(tmp_path / "spools"))
    monkeypatch.setenv("OBSKIT_SERVICE", "cron")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", None)
    health.reset()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    health.reset()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def run(capsys):
    """Give what runs the command and returns its code and what it has written."""

    def call(*words):
        code = cli.main(["ship", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def lines(tmp_path):
    """Give the path of a file with two lines, and the URL of where they go."""
    path = tmp_path / "app.log"
    path.write_text('hello\n{"msg": "x", "level": "ERROR"}\n\n')
    return str(path), f"file://{tmp_path}/out.log"


def sent(tmp_path, name="out.log"):
    """Return the lines that have arrived."""
    return [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]


def test_the_lines_of_a_file_are_sent(run, lines, tmp_path):
    """Text becomes lines, JSON keeps its level; the command says how many there were."""
    path, url = lines
    code, out, err = run(path, "--to", url)

    assert (code, out, err) == (0, f"{url}: 2 sent\n", "")
    assert [(one["message"], one["level"]) for one in sent(tmp_path)] == [
        ("hello", "info"),
        ("x", "error"),
    ]
    assert {one["service"] for one in sent(tmp_path)} == {"cron"}


def test_the_status_adds_up(run, lines):
    """A table for people, JSON for programs."""
    run(lines[0], "--to", lines[1])
    code, out, _ = run("--status")
    head, row = out.splitlines()

    assert code == 0
    assert head.startswith(HEAD)
    assert row.split()[2:] == ["2", "2", "0", "0", "0"]

    code, out, _ = run("--status", "--json", "--service", "cron")
    [standing] = json.loads(out)["cron"]["destinations"].values()
    assert (standing["logged"], standing["taken"], standing["waiting"]) == (2, 2, 0)


def test_what_nobody_has_begun_to_send_is_shown(run, tmp_path):
    """A process that was killed at once has left it."""
    spool = Appender(tmp_path / "spools" / "pay", 1 << 20)
    spool.append([b"{}"], True)
    code, out, _ = run("--status")
    spool.close()

    assert (code, out.count("\n")) == (0, 2)
    assert re.search("^pay: [0-9]+ bytes wait, and nobody has begun to send them$", out, re.M)


def test_what_nobody_takes_waits_and_is_sent_later(run, lines, tmp_path):
    """The code says so, and the next run sends it."""
    nobody = f"elasticsearch+http://127.0.0.1:{reserve_port()}"
    code, out, _ = run(lines[0], "--to", nobody, "--wait", "0.5")
    assert code == 1
    assert out == f"{nobody}: 0 sent, 2 wait, trouble: no connection\n"

    code, out, _ = run("--to", lines[1])
    assert (code, out) == (0, f"{lines[1]}: 2 sent\n")
    assert [one["message"] for one in sent(tmp_path)] == ["hello", "x"]


def test_json_tells_the_same(run, lines):
    """For whoever reads it in a script."""
    code, out, _ = run(lines[0], "--to", lines[1], "--json")
    told = json.loads(out)

    assert code == 0
    assert (told["read"], told["waiting"]) == (2, 0)
    [one] = told["destinations"].values()
    assert (one["to"], one["sent"], one["refused"]) == (lines[1], 2, 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "foo+http://x"], "must begin with one of elasticsearch,"),
        ([], "where to? say --to URL or set OBSKIT_SHIP"),
        (["--to", "file:///x/y", "nowhere.log"], "cannot read nowhere.log: No such file"),
        (["--status"], "there is no spool"),
        (["--retry-dead", "--to", "file:///x/y"], "service cron has no spool"),
        (["--to", "humio+https://ann:hunter2@h:x/"], "humio: not a URL"),
    ],
)
def test_wrong_use_is_told_in_one_line(run, words, said):
    """With what would be right, without any secret, and with code 2."""
    code, out, err = run(*words)

    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert "hunter2" not in err


def test_a_service_has_to_be_named(run, monkeypatch):
    """Lines of nobody help nobody."""
    monkeypatch.delenv("OBSKIT_SERVICE")
    code, _, err = run("--to", "file:///x/y")

    assert code == 2
    assert "say --service NAME or set OBSKIT_SERVICE" in err


def start(tmp_path, *words, **options):
    """Start the command as a process."""
    environment = {**os.environ, "OBSKIT_SHIP": f"file://{tmp_path}/out.log"}
    return subprocess.Popen(
        [sys.executable, "-m", "obskit", "ship", *words],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def until(condition, seconds=15.0):
    """Wait until *condition* is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_lines_of_a_pipe_are_sent_as_they_come(tmp_path):
    """Not only when the program ends that writes them."""
    process = start(tmp_path)
    process.stdin.write(b"first\n")
    process.stdin.flush()
    until(lambda: (tmp_path / "out.log").exists() and sent(tmp_path))

    _, err = process.communicate(b"second\nthird", timeout=20)
    assert (process.returncode, err) == (0, b"")
    assert [one["message"] for one in sent(tmp_path)] == ["first", "second", "third"]


def test_a_pipe_that_nobody_writes_into_holds_up_nothing(tmp_path):
    """As by ssh: what waits in the spool is sent meanwhile, and a signal ends it."""
    spool = Appender(tmp_path / "spools" / "cron", 1 << 20)
    spool.append([b'{"timestamp":"2026-01-02T03:04:05.678901Z","message":"left"}'], True)
    spool.close()
    process = start(tmp_path)
    until(lambda: (tmp_path / "out.log").exists() and sent(tmp_path))
    process.send_signal(signal.SIGTERM)
    # The pipe is still open.
    assert process.wait(5) == 0
    out, err = process.communicate()

    assert b"1 sent" in out
    assert err == b""
    assert [one["message"] for one in sent(tmp_path)] == ["left"]


def test_with_follow_it_sends_for_others_until_it_is_told_to_end(tmp_path):
    """A process whose own sending is off leaves its lines in the spool."""
    process = start(tmp_path, "--follow")
    process.stdin.close()
    until(lambda: list((tmp_path / "spools").glob("cron/lease")))
    service = (
        "import obskit, os; obskit.init('cron', metrics_port='off', log_stream=os.devnull,"
        f" ship='file://{tmp_path}/out.log'); obskit.get_logger('x').info('late'); os._exit(0)"
    )
    durable = {**os.environ, "OBSKIT_DURABLE": "x"}
    subprocess.run([sys.executable, "-c", service], env=durable, check=True, timeout=20)
    until(lambda: (tmp_path / "out.log").exists() and "late" in (tmp_path / "out.log").read_text())

    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    process.stdout.close()
    process.stderr.close()


def test_dead_letters_are_sent_again(run, lines, tmp_path):
    """What is taken now is gone from there; the code tells whether some are left."""
    from obskit.shipping import target
    from obskit.shipping.dead import DeadLetters
    from obskit.shipping.entry import Entry
    from obskit.shipping.verdict import REFUSED, Verdict

    run(lines[0], "--to", lines[1])
    name = target.parse(lines[1]).name
    letters = DeadLetters(str(tmp_path / "spools" / "cron"), name)
    body = b'{"timestamp":"2026-01-02T03:04:05.678901Z","level":"info","message":"again"}'
    letters.write(lines[1], Entry("a-1", body), Verdict(REFUSED, "status 400"))

    code, out, _ = run("--retry-dead", "--to", lines[1])

    assert (code, out) == (0, f"{lines[1]}: 1 taken, 0 refused again\n")
    assert sent(tmp_path)[-1]["message"] == "again"
    assert letters.read() == []


@pytest.mark.parametrize(("size", "length"), [("1MiB", 3_000_000), ("100MiB", 70_000_000)])
def test_a_line_without_room_anywhere_is_told_and_holds_up_nobody(
    run, tmp_path, monkeypatch, size, length
):
    """Where the spool can never take it, or it is no line at all."""
    monkeypatch.setenv("OBSKIT_SPOOL_SIZE", size)
    path = tmp_path / "app.log"
    path.write_text("a\n" + length * "x" + "\nb\n")
    code, out, _ = run(str(path), "--to", f"file://{tmp_path}/out.log?size=1GiB", "--wait", "5")

    messages = [one["message"] for one in sent(tmp_path)]
    assert (messages[0], messages[-1]) == ("a", "b")
    if size == "1MiB":
        assert (code, messages) == (1, ["a", "b"])
        assert "1 lost: too long" in out
        assert run("--status")[0] == 1
    else:
        assert code == 0
        assert "".join(messages[1:-1]) == length * "x"


def test_a_spool_that_cannot_be_used_is_bad_news(run, tmp_path, monkeypatch):
    """Nobody knows what waits there; lines of a pipe are sent all the same."""
    (tmp_path / "spools").write_text("")
    code, out, err = run("--to", f"file://{tmp_path}/out.log", "--wait", "0")
    assert code == 1
    assert "no spool" in out
    assert "no spool" in err

    (tmp_path / "app.log").write_text("a\n")
    code, _, _ = run(str(tmp_path / "app.log"), "--to", f"file://{tmp_path}/out.log")
    assert code == 0


def test_what_may_not_be_read_is_wrong_use(run, tmp_path, monkeypatch):
    """A sentence, and no traceback."""

    def show(*_, **__):
        raise PermissionError(13, "Permission denied", "/x")

    monkeypatch.setattr("obskit.cli._spools.show", show)

    assert run("--status") == (2, "", "obskit ship: cannot read /x: Permission denied\n")


class Echo(http.server.BaseHTTPRequestHandler):
    """Refuses all, and says in its answer who has asked."""

    def do_POST(self):
        """Answer."""
        self.rfile.read(int(self.headers["content-length"]))
        who = self.headers["authorization"]
        pair = base64.b64decode(who.removeprefix("Basic ")) if who.startswith("Basic") else b""
        body = who.encode() + b" of " + pair
        self.send_response(400)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def echo():
    """Give the place of a server that repeats each credential."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", reserve_port()), Echo) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    "url",
    [
        "elasticsearch+http://ann:hunter2@ECHO",
        "elasticsearch+http://ECHO?api_key_file=FILE",
        "humio+http://ECHO?token_env=TOKEN",
        "splunk+http://ECHO?token_file=FILE",
        "loki+http://ECHO?user_env=WHO&password_env=TOKEN&tenant=hunter2",
    ],
)
def test_no_output_has_a_secret_of_a_setting(run, echo, tmp_path, monkeypatch, capsys, url):
    """Nor has a name or a letter in the spool, though the server says it to us."""
    (tmp_path / "key").write_text("hunter2")
    (tmp_path / "app.log").write_text("one\ntwo\n")
    monkeypatch.setenv("TOKEN", "hunter2")
    monkeypatch.setenv("WHO", "ann")
    url = url.replace("ECHO", echo).replace("FILE", str(tmp_path / "key"))
    monkeypatch.setenv("OBSKIT_SHIP", url)
    told = [
        run(str(tmp_path / "app.log"), "--wait", "5"),
        run("--retry-dead"),
        run("--retry-dead", "--json"),
        run("--json", "--wait", "0"),
        run("--status"),
        run("--status", "--json"),
    ]
    cli.main(["doctor", "--json", "--", sys.executable, "-c", "pass"])
    kept = [path for path in (tmp_path / "spools").rglob("*") if path.is_file()]
    letters = [path for path in kept if path.parent.name == "dead"]

    assert "2 refused" in told[0][1]
    assert b"***" in b"".join(path.read_bytes() for path in letters)
    said = (repr(told) + str(capsys.readouterr())).encode() + b"".join(map(bytes, kept))
    said += b"".join(path.read_bytes() for path in kept)
    for secret in (b"hunter2", base64.b64encode(b"ann:hunter2")):
        assert secret not in said
