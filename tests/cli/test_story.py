"""``obskit story`` as people call it: on files, on pipes, with and without an ID."""

import gzip
import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from obskit.cli import main
from tests.story.scenes import failing_order, healthy_order
from tests.story.test_machine import check_shiviz

ID, HEALTHY = "4bf92f35-failing", "7a1c0000-healthy"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Give a folder with the lines of a failing and of a healthy operation."""
    for name, play in ((ID, failing_order(warehouse=-42.0)), (HEALTHY, healthy_order())):
        for line in play.lines:
            with (tmp_path / f"{line['service']}.log").open("a", encoding="utf-8") as file:
                file.write(json.dumps(dict(line, correlation_id=name)) + "\nplain words\n")
    return tmp_path


@pytest.fixture
def story(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Give a call of the command that returns exit code, stdout and stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        code = main(["story", *map(str, words)])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_a_failing_operation_is_bad_news(story, logs):
    """The story has the culprit and the measured clock, and the exit code is 1."""
    code, out, err = story(ID, logs)

    assert (code, err) == (1, "")
    assert "Culprit: warehouse POST /parcels: KeyError: 'XX'" in out
    assert "warehouse is 42.0 s behind invoice" in out


def test_a_healthy_operation_is_well(story, logs):
    """Nobody is to blame: 0."""
    code, out, _ = story(HEALTHY, logs)

    assert code == 0
    assert "No culprit" in out


@pytest.mark.parametrize("words", [["4bf9"], ["CD-7"], ["--field", "order_id=CD-7"]])
def test_an_operation_is_found_by_what_people_have(story, logs, words):
    """The beginning of the ID, an order number, or the field that holds it."""
    code, out, _ = story(*words, logs)

    assert code == 1
    assert f"Story of {ID}" in out


def test_the_id_may_come_last(story, logs):
    """Nobody remembers which comes first."""
    assert story(logs, ID) == story(ID, logs)


def test_an_empty_pipe_is_said(start_process, obskit_command):
    """Perhaps the command before it wrote nothing."""
    output = start_process(*obskit_command, "story", "4bf9").wait()

    assert output.returncode == 2
    assert b"there is nothing to read" in output.stderr


def test_a_compressed_file_that_is_cut_off_is_told_as_far_as_it_goes(story, logs):
    """What is there is read, and which file has no end is said."""
    for path in logs.glob("*.log"):
        whole = gzip.compress(path.read_bytes())
        path.with_suffix(".log.gz").write_bytes(whole[:-10])
        path.unlink()
    code, out, err = story(ID, logs)
    assert code == 1
    assert "Culprit: warehouse POST /parcels: KeyError: 'XX'" in out
    said = [f"obskit story: {path} is cut off: its last lines are missing" for path in
            sorted(logs.iterdir())]  # fmt: skip
    assert err.splitlines() == said
    code, out, err = story(logs)
    assert (code, err.splitlines()) == (1, said)
    assert "KeyError" in out


def test_a_compressed_file_without_a_single_line_is_named(story, logs):
    """That is something else than an empty folder."""
    path = logs / "a.gz"
    path.write_bytes(gzip.compress(b"x" * 1000)[:10])
    code, out, err = story(ID, path)

    assert (code, out) == (2, "")
    assert f"obskit story: there is nothing left to read in {path}" in err.splitlines()


def test_without_an_id_what_failed_is_listed(story, logs):
    """A table for three o'clock at night."""
    code, out, _ = story(logs)
    heading, row, *rest = out.splitlines()

    assert code == 1
    assert heading.split() == ["id", "when", "what", "outcome", "culprit"]
    assert row.startswith(ID)
    assert row.endswith("warehouse POST /parcels: KeyError: 'XX'")
    assert not rest


def test_all_operations_can_be_listed(story, logs):
    """Those that went well too."""
    code, out, _ = story("--all", "--json", logs)

    assert code == 1
    assert [row["id"] for row in json.loads(out)] == [ID, HEALTHY]


def test_nothing_that_failed_is_good_news(story, logs):
    """Exit code 0, and a sentence."""
    code, out, _ = story("--width", "80", _only_healthy(logs))

    assert code == 0
    assert out == "No operation failed (5 lines of obskit).\n"


def _only_healthy(logs: Path) -> Path:
    path = logs / "healthy.jsonl"
    rows = [
        row
        for file in logs.glob("*.log")
        for row in file.read_text(encoding="utf-8").splitlines()
        if HEALTHY in row
    ]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def test_json_and_shiviz(story, logs):
    """For programs, and for the eye."""
    assert json.loads(story(ID, "--json", logs)[1])["culprit"]["service"] == "warehouse"
    assert check_shiviz(story(ID, "--shiviz", logs)[1]) == 8


def test_times_can_be_left_out(story, logs):
    """What remains depends on causes only."""
    out = story(ID, "--no-times", logs)[1]

    assert "Clocks" not in out
    assert "07:59" not in out
    assert "timestamp" not in story(ID, "--no-times", "--json", logs)[1]


def test_the_width_is_kept(story, logs):
    """No row is longer."""
    rows = [row for row in story(ID, "--width", "80", logs)[1].splitlines() if row[:1].isdigit()]

    assert max(map(len, rows[1:])) <= 80
    assert any(row.endswith("…") for row in rows)
    assert any(row.endswith("◀ culprit") for row in rows)


def test_whole_lines_are_shown(story, logs):
    """With stacks."""
    assert "at pack" in story(ID, "--all", logs)[1]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["4bf92f35-fallen", "."], "did you mean 4bf92f35-failing?"),
        (["4bf", "."], "'4bf' is too short: give 4 characters or more"),
        ([ID, "nowhere.log"], "no such file or folder: nowhere.log"),
        (["nowhere.log"], "no such file or folder: nowhere.log"),
        ([ID, "empty"], "no log files in the folder empty"),
        ([ID, "foreign.txt"], "no line of obskit in 1 lines of 1 files"),
        (["foreign.txt"], "no line of obskit in 1 lines"),
        (["--field", "order_id", "."], "--field wants NAME=VALUE"),
        (["--width", "3", ID, "."], "--width must be at least 40"),
    ],
)
def test_wrong_use_is_explained(story, logs, monkeypatch, words, error):
    """The first error says what to do; the exit code is 2."""
    monkeypatch.chdir(logs)
    Path("empty").mkdir()
    Path("foreign.txt").write_text("hello\n", encoding="utf-8")
    code, out, err = story(*words)

    assert (code, out) == (2, "")
    assert err.startswith("obskit story: ")
    assert error.rstrip("?") in err


def test_an_ambiguous_beginning_lists_its_candidates(story, logs):
    """Two operations begin alike."""
    text = (logs / "invoice.log").read_text(encoding="utf-8").replace(HEALTHY, "4bf92f35-other")
    (logs / "invoice.log").write_text(text, encoding="utf-8")
    code, _, err = story("4bf92f35", logs)

    assert code == 2
    assert err.splitlines()[1:] == [f"  {ID}", "  4bf92f35-other"]


def test_lines_are_read_from_a_pipe(start_process, obskit_command, logs):
    """As in ``kubectl logs ... | obskit story ID``."""
    given = b"".join(path.read_bytes() for path in sorted(logs.glob("*.log")))
    named = start_process(*obskit_command, "story", "4bf9", "-", stdin=given).wait()
    unnamed = start_process(*obskit_command, "story", "CD-7", stdin=given).wait()

    assert named.returncode == unnamed.returncode == 1
    assert named.stdout == unnamed.stdout
    assert b"Culprit: warehouse" in named.stdout


def test_a_reader_that_has_seen_enough_is_no_error(start_process, obskit_command, logs):
    """As in ``obskit story ID logs | head -1``."""
    command = shlex.join([*obskit_command, "story", ID, str(logs)])
    output = start_process("sh", "-c", f"{command} | head -n 1").wait()

    assert output.stdout == f"Story of {ID}\n".encode()
    assert output.stderr == b""


def test_a_terminal_of_another_encoding_gets_readable_text(start_process, obskit_command, logs):
    """Signs that it cannot show are replaced."""
    output = start_process(
        *obskit_command,
        "story",
        ID,
        str(logs),
        env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    ).wait()

    assert output.returncode == 1
    assert output.stdout.isascii()
