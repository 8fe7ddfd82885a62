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
from tests.services.ports import accepts, wait_until
from tests.services.processes import environment
from tests.source import ROOT

README = ROOT.joinpath("README.md").read_text(encoding="utf-8")
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
def test_it_shows_a_mystery_and_solves_it(tmp_path):
    """Two demos at once: each ends well within a minute, with a story, a culprit and rates."""
    begun = time.monotonic()
    text_demo, json_demo = start(tmp_path), start(tmp_path, "--json")
    text, errors = text_demo.communicate(timeout=110)
    found = json.loads(json_demo.communicate(timeout=110)[0])

    assert (text_demo.returncode, json_demo.returncode, errors) == (0, 0, "")
    assert time.monotonic() - begun < 60
    assert in_order(
        text,
        "[Invoice] WARN Unknown country code",
        "[Warehouse] ERROR Invalid country code",
        "2 orders failed. Whose?",
        "emil       Unknown country code     Invalid country code     502",
        "Packing a parcel",  # by time the parcel comes before the order
        "Order received",
        "$ obskit story ",
        "Culprit: warehouse POST /parcels: KeyError",
        "Order received",  # by cause it does not
        "Packing a parcel",
        "warehouse  /parcels             server_error         2",
    )
    assert len(text.splitlines()) < 100
    judge(found)
    shown = README.partition("<!-- story of obskit demo -->")[2].partition("```text\n")[2]
    told = (tmp_path / "obskit-demo" / "2-observed" / "story.txt").read_text(encoding="utf-8")
    assert bare(told) == bare(shown.partition("```")[0]), "scripts/reference --story renews it"
    folders = {path.name for path in tmp_path.iterdir()}
    assert folders == {"obskit-demo", "obskit-demo-2"}
    for folder in folders:
        told = tmp_path / folder / "2-observed"
        assert {path.name for path in told.iterdir()} == {
            "invoice.log", "invoice.metrics", "story.txt", "warehouse.log", "warehouse.metrics",
        }  # fmt: skip


def bare(story):
    """Return a story without what differs from run to run: IDs, times, and how wide they are."""
    text = re.sub(r"\b[0-9a-f]{32}\b", "ID", story)
    text = re.sub(r" [\w-]*…", "…", re.sub(r"\d[\d.:]*", "0", text))
    return [" ".join(line.split()) for line in text.strip().splitlines()]


def judge(found):
    """Check what the demo says as JSON."""
    assert found["bare"]["failed"] == ["emil", "gus"]
    assert found["answers"] == found["bare"]["answers"]
    assert found["story"]["culprit"]
    requests = {(row["service"], row["outcome"]): row["requests"] for row in found["red"]}
    assert requests == {
        ("invoice", "dependency"): 2,
        ("invoice", "ok"): 6,
        ("warehouse", "server_error"): 2,
        ("warehouse", "ok"): 6,
    }


@pytest.mark.slow
def test_the_services_can_be_kept(tmp_path):
    """With --keep they go on, hold the folder, and end when they are told to."""
    found = json.loads(start(tmp_path, "--keep", "--json").communicate(timeout=110)[0])
    services = found["services"]
    try:
        assert [service["service"] for service in services] == ["invoice", "warehouse"]
        assert all(accepts(int(service["url"].rpartition(":")[2])) for service in services)
        assert main(["demo", "--folder", str(tmp_path / "obskit-demo")]) == 2
    finally:
        for service in services:
            os.kill(service["pid"], signal.SIGTERM)
    ports = [int(service["url"].rpartition(":")[2]) for service in services]
    wait_until(lambda: not any(map(accepts, ports)), lambda: "still there", 30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_an_interrupted_demo_leaves_nothing_running(tmp_path, number):
    """Who has seen enough gets his ports back."""
    process = start(tmp_path)
    log = tmp_path / "obskit-demo" / "1-bare" / "warehouse.log"
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
        raise RuntimeError("invoice did not start:\nno")

    monkeypatch.setattr(demo, "_play", fail)

    assert main(["demo", "--folder", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "obskit demo: invoice did not start:\nno\n"


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
