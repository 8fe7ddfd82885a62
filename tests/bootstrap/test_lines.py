"""Where lines go is chosen by one setting, and a wrong one stops nothing."""

import json
from pathlib import Path

import pytest

import obskit
from obskit import health, metrics, shipping
from obskit._bootstrap import lines
from obskit.settings import Settings


@pytest.fixture
def out(tmp_path, monkeypatch):
    """Give the file that lines are shipped to, with the setting; the spool is beside it."""
    monkeypatch.setenv("OBSKIT_SPOOL", str(tmp_path / "spools"))
    path = tmp_path / "out.log"
    return path, f"file://{path}"


def messages(path):
    """Return what the lines in *path* say."""
    return [json.loads(line)["message"] for line in path.read_text().splitlines()]


def test_each_line_is_written_and_shipped(started, out):
    """The same line, in both places."""
    path, url = out
    started(ship=url)
    obskit.get_logger("x").info("hello", a=1)
    obskit.shutdown()

    shipped = [json.loads(line) for line in path.read_text().splitlines()]
    assert shipped == started.lines
    assert messages(path) == ["process started", "hello"]


def test_the_status_says_how_it_stands(started, out):
    """With the address, and without what is secret in it."""
    _, url = out
    started(ship=f"{url} loki+http://ann:hunter2@127.0.0.1:1?tenant=hunter2")
    obskit.get_logger("x").info("hello")
    shipping.flush()
    status = obskit.status()

    told = {one["to"]: one for one in status["lines"].values()}
    assert told[url]["sent"] >= 2
    assert told["loki+http://127.0.0.1:1"]["trouble"] == "no connection"
    assert "hunter2" not in json.dumps(status)
    assert "hunter2" not in json.dumps(started.lines)


def test_a_wrong_destination_is_named_and_the_others_work(started, out):
    """One line says what would be right, without any secret."""
    path, url = out
    started(ship=f"splunk+http://h?nope=hunter2 {url}")
    obskit.shutdown()

    [problem] = [line for line in started.lines if line["message"] == "setting not understood"]
    assert problem["obskit_problem"].startswith("OBSKIT_SHIP splunk: ")
    assert "hunter2" not in json.dumps(started.lines)
    assert messages(path)[0] == "process started"


def test_other_settings_change_where_lines_go(started, out, tmp_path):
    """What was logged before went to where it was to go."""
    path, url = out
    started(ship=url)
    obskit.get_logger("x").info("first")
    started(ship=f"file://{tmp_path}/other.log")
    obskit.get_logger("x").info("second")
    obskit.shutdown()

    assert "first" in messages(path)
    assert "second" not in messages(path)
    assert "second" in messages(tmp_path / "other.log")


def test_without_the_setting_nothing_of_it_is_there(started):
    """No thread, no folder, no line of it in the status."""
    started()
    obskit.get_logger("x").info("hello")

    assert shipping.lines() == {}


def test_durable_loggers_are_spooled_before_the_call_returns(started, out):
    """Nothing has been sent then."""
    started(ship="loki+http://127.0.0.1:1", durable="audit")
    obskit.get_logger("audit.pay").info("paid")
    folder = lines.folder(obskit._bootstrap.active())

    assert any(b'"paid"' in path.read_bytes() for path in Path(folder).glob("*.*d"))


def test_spans_take_the_same_road(started, out):
    """A Zipkin that is chosen there gets the spans, not the lines."""
    started(ship="zipkin+http://127.0.0.1:1")
    with obskit.observe("work"):
        obskit.get_logger("x").info("hello")
    shipping.flush()

    [one] = obskit.status()["lines"].values()
    assert one["waiting"] == 1


@pytest.mark.parametrize(
    ("service", "name"),
    [
        ("shop", "shop"),
        ("a/b c", "a_b_c-904d1d86"),
        ("..", "-"),
        ("ü" * 200, "_" * 90 + "-"),
        ("x" * 101, "x" * 90 + "-"),
        ("b\udcffd", "b_d-"),
        ("", "-00000000"),
    ],
)
def test_a_service_has_a_folder_of_its_own(service, name):
    """Whatever it is called, the same each time, and short enough for a file system."""
    found = lines.folder_name(service)

    assert found.startswith(name)
    assert len(found) <= 100
    assert found == lines.folder_name(service)


@pytest.mark.parametrize(
    ("one", "other"), [("заказ", "склад"), ("a b", "a_b"), ("x" * 200, "x" * 201), ("", "_")]
)
def test_two_services_never_share_a_folder(one, other):
    """Else one of them would send the lines of the other as its own."""
    assert lines.folder_name(one) != lines.folder_name(other)


def test_a_spool_stays_where_it_was_when_the_process_goes_elsewhere(tmp_path, monkeypatch):
    """A relative path counts from where the process begins, ~ is the user's home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/somewhere")

    assert lines.folder(Settings(spool="here", service="shop")) == f"{tmp_path}/here/shop"
    assert lines.folder(Settings(spool="~/x", service="shop")) == "/somewhere/x/shop"


def test_a_spool_may_be_off():
    """Lines wait in memory then."""
    assert lines.folder(Settings(spool="off", service="shop")) is None
    assert lines.folder(Settings(spool="/var/x", service="shop")) == "/var/x/shop"


def test_metrics_say_how_the_spool_stands(started, out):
    """At each scrape, by destination."""
    started(ship=out[1])
    obskit.shutdown()
    text = metrics.render()[1].decode()

    assert 'obskit_shipped_total{destination="file-' in text
    assert 'result="taken"} 1.0' in text
    assert health.internal_errors == {}
