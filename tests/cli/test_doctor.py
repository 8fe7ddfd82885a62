"""``obskit doctor``, against real programs."""

import json
import os
import subprocess
import sys

import pytest

from obskit import schemas
from obskit.cli import main
from tests.services.ports import reserve_port
from tests.services.processes import environment

APP = """
import logging, os
from fastapi import FastAPI
app = FastAPI()
logging.basicConfig(level=logging.INFO)

@app.get("/")
async def home():
    logging.getLogger("shop").info("somebody came")
    return {}

if os.environ.get("STRAY"):
    os.write(1, b"past everything token=hunter2\\n")
"""


@pytest.fixture
def doctor(tmp_path):
    """Give the caller of the command in an empty folder; it returns exit code and findings."""

    def call(*words, **changes):
        result = subprocess.run(
            [sys.executable, "-m", "obskit", "doctor", "--json", *words],
            cwd=tmp_path, env=environment(changes), capture_output=True, text=True,
            timeout=100, check=False,
        )  # fmt: skip
        assert result.stderr == "", result.stderr
        assert "hunter2" not in result.stdout
        return result.returncode, json.loads(result.stdout)

    return call


def checks(found):
    """Return the verdicts by name of check."""
    return {check["name"]: check["verdict"] for check in found["checks"]}


def test_a_script_that_ends_is_well(doctor):
    """Lines of a short script are valid, and no request is due."""
    code, found = doctor("--", sys.executable, "-c", "print('hello')")

    assert code == 0, found
    assert found["exit_code"] == 0
    assert checks(found)["lines"] == "ok"
    assert checks(found)["request"] == "note"


@pytest.mark.slow
def test_a_server_with_workers_is_well(doctor, tmp_path):
    """Every line of uvicorn with two workers is valid, the requests carry their IDs."""
    (tmp_path / "app.py").write_text(APP)
    port = str(reserve_port())
    words = ("uvicorn", "app:app", "--port", port, "--workers", "2")
    code, found = doctor("--seconds", "60", "--", sys.executable, "-m", *words)

    assert code == 0, found
    assert set(checks(found).values()) == {"ok"}
    assert len(found["processes"]) >= 3
    seen = {library["name"]: library["seen"] for library in found["libraries"]}
    assert seen["fastapi"] == 4


@pytest.mark.slow
def test_a_line_that_escapes_is_found(doctor, tmp_path):
    """What was written past everything is shown without its secret, and the exit code is 1."""
    (tmp_path / "app.py").write_text(APP)
    port = str(reserve_port())
    words = ("--", sys.executable, "-m", "uvicorn", "app:app", "--port", port)
    code, found = doctor(*words, STRAY="1")

    assert code == 1
    assert checks(found)["lines"] == "bad"
    assert [stray["line"] for stray in found["escapees"]] == ["past everything token=***"]


@pytest.mark.parametrize("option", ["-I", "-S", "-E"])
def test_a_python_that_cannot_be_reached_is_explained(doctor, option):
    """Options that ignore PYTHONPATH are named."""
    code, found = doctor("--", sys.executable, option, "-c", "")

    assert code == 1
    assert option in found["checks"][1]["details"][0]


def test_a_wrong_setting_is_named_with_what_is_in_force(doctor):
    """The default is used, the reason and where each value came from are shown."""
    script = "import obskit; obskit.init('shop', log_level='DEBUG')"
    code, found = doctor("--", sys.executable, "-c", script, OBSKIT_TRUST="everybody")
    sources = {one["name"]: one for one in found["settings"]}

    assert code == 1
    assert checks(found)["settings"] == "bad"
    assert sources["trust"] == {"name": "trust", "value": "auto", "source": "default"}
    assert sources["log_level"] == {"name": "log_level", "value": "DEBUG", "source": "argument"}
    assert sources["metrics_port"]["value"] == 9464


def test_lines_in_a_file_are_judged_where_they_are(doctor, tmp_path):
    """Only what this run has added counts."""
    log = tmp_path / "lines.log"
    log.write_text("from yesterday\n")
    code, found = doctor("--log-stream", str(log), "--", sys.executable, "-c", "print('free')")

    assert code == 0, found
    assert checks(found)["lines"] == "ok"


@pytest.mark.parametrize("form", schemas.NAMES)
def test_lines_are_judged_in_the_form_that_is_set(doctor, form):
    """A print past everything is found all the same."""
    words = ("--log-format", form, "--", sys.executable, "-c")
    code, found = doctor(*words, "print('hello')")
    assert code == 0, found
    assert checks(found)["lines"] == "ok"

    code, found = doctor(*words, "import os; os.write(1, b'past everything\\n')")
    assert code == 1
    assert [stray["number"] for stray in found["escapees"]] == [2]


def test_the_text_says_the_same(capfd, monkeypatch, tmp_path):
    """Without --json the checks are lines for people."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("OBSKIT_")]:
        monkeypatch.delenv(name)
    code = main(["doctor", "--", sys.executable, "-c", "raise SystemExit(3)"])
    shown = capfd.readouterr().out

    assert code == 1
    assert "BAD   program" in shown
    assert shown.endswith("Look at: program.\n")


def test_without_a_program_it_looks_at_the_installation(doctor):
    """Nothing is run then."""
    code, found = doctor(OBSKIT_METRICS_PORT=str(reserve_port()))

    assert code == 0, found
    assert {"python", "platform", "dependencies", "port"} <= set(checks(found))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--path", "orders", "x"], "--path: must be a path"),
        (["--seconds", "soon", "x"], "--seconds: must be a number"),
        (["--seconds", "-1", "x"], "--seconds: must be a number"),
        (["--set", "enabled=0", sys.executable], "OBSKIT_ENABLED=0 is set"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(words, says, refused):
    """What cannot be examined is said in one line, before anything runs."""
    assert says in refused("doctor", *words)


def test_the_words_of_a_program_are_its_own(doctor):
    """It said nothing before it failed, and obskit's own lines are not what it said."""
    code, found = doctor("--", sys.executable, "-c", "raise SystemExit(3)")

    assert code == 1
    assert found["checks"][0]["details"] == []


def test_a_log_file_that_cannot_be_is_named(doctor, tmp_path):
    """With the setting that chooses it."""
    code, found = doctor("--log-stream", str(tmp_path), "--", sys.executable, "-c", "print(1)")
    (lines,) = [check for check in found["checks"] if check["name"] == "lines"]

    assert code == 1
    assert lines["details"] == [f"{tmp_path}: it is a folder (OBSKIT_LOG_STREAM chooses the file)"]


@pytest.mark.slow
def test_metrics_are_found_where_no_request_is_sent(doctor, tmp_path):
    """The port is opened when the start is over, which is waited for."""
    (tmp_path / "app.py").write_text(APP)
    port = str(reserve_port())
    words = ("--", sys.executable, "-m", "uvicorn", "app:app", "--port", port)
    code, found = doctor("--no-request", *words)

    assert code == 0, found
    assert checks(found)["metrics"] == "ok"
