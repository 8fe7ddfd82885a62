"""``obskit demo``, as people run it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from obskit.cli import _shop, demo, main
from obskit.cli._scenes import SCENES
from tests.services.ports import accepts, wait_until
from tests.services.processes import environment
from tests.source import ROOT

README = ROOT.joinpath("README.md").read_text(encoding="utf-8")
SERVICES = ("accounts", "email", "inventory", "invoice", "mailroom", "shipping", "shop")
KINDS = ("log", "metrics")
COMMAND = [sys.executable, "-m", "obskit", "demo"]


def start(folder, *words):
    """Start a demo in a folder."""
    return subprocess.Popen(
        [*COMMAND, *words], cwd=folder, env=environment(None), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def in_order(text, *parts):
    """Tell whether the parts stand in a text, one after the other."""
    position = -1
    for part in parts:
        position = text.find(part, position + 1)
        if position < 0:
            return False
    return True


@pytest.mark.slow
def test_it_shows_mysteries_and_solves_them(tmp_path):
    """Two demos at once: each ends within a minute, with stories, culprits, edges and rates."""
    begun = time.monotonic()
    text_demo, json_demo = start(tmp_path), start(tmp_path, "--json")
    text, errors = text_demo.communicate(timeout=110)
    found = json.loads(json_demo.communicate(timeout=110)[0])

    assert (text_demo.returncode, json_demo.returncode, errors) == (0, 0, "")
    assert time.monotonic() - begun < 60
    assert in_order(
        text,
        "[Shop] WARN Unknown country code",
        "2 orders failed. Whose?",
        "emil       Unknown country code     Invalid country code     502",
        "Looking for the CD",  # by time the CD is looked for before there is an order
        "Order received",
        "$ obskit story ",
        "Culprit: inventory POST /reservations: KeyError",
        "Order received",  # by cause it is not
        "Looking for the CD",
        "Culprit: inventory POST /reservations: went on after its caller had left",
        "Made good: invoice",
        "Culprit: nobody: invoice.write ended in WorkerLostError",
        "[]          mailroom  Card read",
        "Culprit: shop -> email (task celery:mails): the ID gets lost",
        "Culprit: inventory at 127.0.0.1:",
        "$ obskit hops ",
        "1 of 7 edges loses the ID or the clock",
        "invoice    invoice.write         server_error       1",
    )
    assert len(text.splitlines()) < 240
    judge(found)
    shown = README.partition("<!-- story of obskit demo -->")[2].partition("```text\n")[2]
    kept = tmp_path / "obskit-demo" / "2-observed" / "stories" / "country.txt"
    told = bare(kept.read_text(encoding="utf-8"))
    assert told == bare(shown.partition("```")[0]), "scripts/reference --story renews it"
    folders = {path.name for path in tmp_path.iterdir()}
    assert folders == {"obskit-demo", "obskit-demo-2"}
    for folder in folders:
        observed = tmp_path / folder / "2-observed"
        names = {path.name for path in observed.iterdir()}
        assert names == {"stories"} | {f"{name}.{kind}" for name in SERVICES for kind in KINDS}
        told = {path.stem for path in (observed / "stories").iterdir()}
        assert told == {scene.name for scene in SCENES}


def bare(story):
    """Return a story without what differs from run to run: IDs, times, and how wide they are."""
    text = re.sub(r"\b[0-9a-f]{32}\b", "ID", story)
    # What is cut is cut elsewhere where a time is longer.
    text = re.sub(r"request finished .*|.{0,12}…", "…", text)
    text = re.sub(r"\d(?:[\d.:]|,(?=\d))*", "0", text)
    return [" ".join(line.split()) for line in text.strip().splitlines()]


def judge(found):
    """Check what the demo says as JSON."""
    assert found["bare"]["failed"] == ["emil", "gus"]
    bare_answers = found["bare"]["answers"]
    assert {name: found["answers"][name] for name in bare_answers} == bare_answers
    assert found["story"]["culprit"]
    assert set(found["scenes"]) == {scene.name for scene in SCENES}
    numbers = {(row["service"], row["outcome"]): row["number"] for row in found["red"]}
    assert numbers == {
        ("accounts", "ok"): 20,
        ("email", "ok"): 8,
        ("inventory", "ok"): 9,
        ("inventory", "server_error"): 2,
        ("invoice", "ok"): 8,
        ("invoice", "server_error"): 1,
        ("shipping", "ok"): 8,
        ("shop", "dependency"): 3,
        ("shop", "ok"): 8,
        ("shop", "timeout"): 1,
    }


@pytest.mark.slow
def test_the_services_can_be_kept(tmp_path):
    """With --keep all go on, hold the folder, and end when they are told to."""
    words = ("--keep", "--json", "--scenario", "outage")
    found = json.loads(start(tmp_path, *words).communicate(timeout=110)[0])
    services = found["services"]
    ports = [int(one["url"].rpartition(":")[2]) for one in services if one["url"]]
    try:
        assert "bare" not in found
        assert sorted(service["service"] for service in services) == sorted(SERVICES)
        assert len(ports) == 3
        assert all(map(accepts, ports))  # also that of the service that was stopped meanwhile
        assert main(["demo", "--folder", str(tmp_path / "obskit-demo")]) == 2
    finally:
        for service in services:
            os.kill(service["pid"], signal.SIGTERM)
    wait_until(lambda: not any(map(accepts, ports)), lambda: "still there", 30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_an_interrupted_demo_leaves_nothing_running(tmp_path, number):
    """Who has seen enough gets his ports back."""
    process = start(tmp_path)
    log = tmp_path / "obskit-demo" / "1-bare" / "inventory.log"
    wait_until(lambda: log.is_file() and b"Listening" in log.read_bytes(), lambda: "no start", 60)
    port = int(log.read_text().partition("http://127.0.0.1:")[2].partition(" ")[0])
    process.send_signal(number)
    process.communicate(timeout=60)

    assert process.returncode == 130
    assert not accepts(port)


def test_what_is_missing_is_said_in_one_line(monkeypatch, capsys):
    """Without the extra the demo says how to get it."""
    monkeypatch.setattr(_shop, "missing", lambda: ["flask", "uvicorn"])

    assert main(["demo"]) == 2
    assert capsys.readouterr().err == (
        "obskit demo: flask, uvicorn not installed: pip install 'obskit[demo]'\n"
    )


def test_the_extra_brings_what_is_needed():
    """What the demo asks for is what the extra installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]["demo"]

    assert all(name in "".join(extras) for name in _shop.NEEDED)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--folder"], "expected one argument"),
        (["--loud"], "--loud"),
        (["--folder", __file__], "File exists"),
        (["--scenario", "sunshine"], "sunshine"),
        (["--broker", "redis://127.0.0.1"], "--broker: wants amqp://HOST:PORT"),
        (["--broker", "amqp://127.0.0.1:x"], "--broker: wants amqp://HOST:PORT"),
        (["--broker", "amqp://127.0.0.1:1"], "--broker: nobody is at 127.0.0.1:1"),
        (["--zipkin", "127.0.0.1:9411"], "--zipkin: wants http://HOST:PORT"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(words, says, capsys):
    """Nothing is started for words that cannot be followed."""
    assert main(["demo", *words]) == 2
    shown = capsys.readouterr()

    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert says in shown.err


def test_a_service_that_fails_is_said_in_one_message(monkeypatch, tmp_path, capsys):
    """The reason comes from the service, and the exit code is that of wrong use."""

    def fail(*arguments, **options):
        raise RuntimeError("shop did not start:\nno")

    monkeypatch.setattr(demo, "_play", fail)

    assert main(["demo", "--folder", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "obskit demo: shop did not start:\nno\n"


def test_a_folder_is_for_one_demo_at_a_time(tmp_path, monkeypatch):
    """The next one takes another name, and the name is free again afterwards."""
    monkeypatch.chdir(tmp_path)
    with demo._reserved(None) as (first, _), demo._reserved(None) as (second, _):
        assert (first, second) == (Path("obskit-demo"), Path("obskit-demo-2"))
        with pytest.raises(RuntimeError, match="another demo runs"):
            with demo._reserved(first):
                pass
    with demo._reserved(None) as (third, _):
        assert third == first
