"""``obskit hops`` as people call it."""

import gzip
import json
from pathlib import Path

import pytest

from obskit.cli import main
from tests.story.company import Company, bare

pytestmark = pytest.mark.usefixtures("floor")
PLANS = {
    "shop": [("call", "warehouse"), ("send", "invoices")],
    "warehouse": [],
    "billing": [],
}


def written(folder: Path, company: Company) -> Path:
    """Write the lines of each service into a file of its own."""
    for name in company.plans:
        rows = [json.dumps(line) for line in company.lines if line["service"] == name]
        (folder / f"{name}.log").write_text("\n".join([*rows, "other words", ""]), "utf-8")
    return folder


@pytest.fixture
def logs(tmp_path) -> Path:
    """Give the logs of a shop, of whose eight requests the warehouse got two without an ID."""
    company = Company(PLANS, {}, {"invoices": ["billing"]})
    for number in range(8):
        company.roads = {("shop", "warehouse"): bare} if number > 5 else {}
        company.ask("shop")
    return written(tmp_path, company)


@pytest.fixture
def command(capsys):
    """Give a call of the command that returns exit code, stdout and stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        code = main(["hops", *map(str, words)])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_the_worst_edge_comes_first(command, logs):
    """With counts, share and operations to look at; the exit code is 1."""
    code, out, err = command(logs)
    verdict, _, heading, worst, other, _, outside, head, shop = out.splitlines()

    assert (code, err) == (1, "")
    assert verdict == "1 of 2 edges loses the ID or the clock."
    assert heading.split() == ["edge", "kind", "calls", "lost", "ID", "lost", "clock", "share",
                               "examples"]  # fmt: skip
    assert worst.split()[:9] == ["shop", "->", "warehouse", "http", "8", "2", "0", "25", "%"]
    assert len(worst.split()) == 11
    assert other.split() == ["shop", "->", "billing", "message", "rabbitmq:invoices", "8", "0",
                             "0", "0", "%"]  # fmt: skip
    assert outside.startswith("From outside")
    assert head.split() == ["service", "kind", "count", "examples"]
    assert shop.split()[:3] == ["shop", "http", "8"]


def test_an_edge_may_lose_what_is_allowed(command, logs):
    """By share, or by too few calls to judge."""
    for words in (["--threshold", "25"], ["--min-calls", "9"]):
        code, out, _ = command(*words, logs)
        assert code == 0
        assert out.startswith("No edge of 2 loses more than it may.\n")
    assert command("--threshold", "24.9", "--min-calls", "8", logs)[0] == 1


def test_all_well_is_said(command, tmp_path):
    """With how much was looked at."""
    company = Company(PLANS, {}, {"invoices": ["billing"]})
    company.ask("shop")
    code, out, _ = command(written(tmp_path, company))

    assert code == 0
    assert out.startswith("No edge of 2 loses anything (3 units of work).\n")


def test_programs_get_json(command, logs):
    """All that is in the table, and which edges are bad."""
    code, out, _ = command(logs, "--json")
    found = json.loads(out)
    worst = found["edges"][0]

    assert code == 1
    assert (worst["caller"], worst["callee"], worst["bad"]) == ("shop", "warehouse", True)
    assert (worst["calls"], worst["lost_id"], worst["lost_clock"], worst["share"]) == (
        8,
        2,
        0,
        0.25,
    )
    assert len(worst["examples"]) == 2
    assert [edge["bad"] for edge in found["edges"]] == [True, False]
    assert found["outside"][0]["service"] == "shop"
    assert (found["units"], found["unjudged"]) == (24, 0)


def test_entries_settle_what_is_doubtful(command, logs):
    """A client without obskit leaves nothing to go by."""
    with (logs / "warehouse.log").open("a", encoding="utf-8") as file:
        company = Company(PLANS)
        company.ask("warehouse")
        file.write(json.dumps(company.lines[0]) + "\n")

    assert "warehouse: called from outside and by services here" in command(logs)[1]
    code, out, _ = command("--entry", "shop", logs)
    assert code == 1
    assert out.splitlines()[3].split()[:6] == ["?", "->", "warehouse", "http", "1", "1"]
    assert "called from outside" not in out


def test_compressed_logs_and_pipes_are_read(command, logs, start_process, obskit_command):
    """As by obskit story."""
    told = command("--json", logs)[1]
    everything = b"".join(path.read_bytes() for path in sorted(logs.glob("*.log")))
    for path in logs.glob("*.log"):
        path.with_suffix(".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert command("--json", logs)[1] == told

    piped = start_process(*obskit_command, "hops", "--json", stdin=everything).wait()
    assert piped.returncode == 1
    assert json.loads(piped.stdout)["edges"][0]["lost_id"] == 2


def test_a_file_that_is_cut_off_is_named(command, logs):
    """What is there is read."""
    path = logs / "shop.log"
    path.write_bytes(gzip.compress(path.read_bytes())[:-9])

    assert command(logs)[2] == f"obskit hops: {path} is cut off: its last lines are missing\n"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["nowhere.log"], "no such file or folder: nowhere.log"),
        (["empty"], "no log files in the folder empty"),
        (["foreign.txt"], "no line of obskit in 1 lines of 1 files"),
        (["steps.log"], "none of the 1 lines of obskit is the last one of a request"),
        (["--threshold", "101", "."], "--threshold wants a percentage from 0 to 100"),
        (["--threshold", "nan", "."], "--threshold wants a percentage from 0 to 100"),
        (["--threshold", "many", "."], "argument --threshold: invalid float value: 'many'"),
        (["--min-calls", "0", "."], "--min-calls must be at least 1"),
        (["--entry", "shpo", "."], "--entry shpo: there is no such service, only billing, shop"),
    ],
)
def test_wrong_use_is_explained(command, logs, monkeypatch, words, error):
    """The first error says what to do; the exit code is 2."""
    monkeypatch.chdir(logs)
    Path("empty").mkdir()
    Path("foreign.txt").write_text("hello\n", encoding="utf-8")
    Path("steps.log").write_text('{"correlation_id":"op-1","message":"x"}\n', encoding="utf-8")
    code, out, err = command(*words)

    assert (code, out) == (2, "")
    assert err.startswith("obskit hops: ")
    assert error in err


def test_without_logs_that_is_said(command, monkeypatch):
    """Nobody types lines into a terminal."""
    monkeypatch.setattr("sys.stdin", None)

    code, out, err = command()
    assert (code, out) == (2, "")
    assert err.startswith("obskit hops: no logs: name the files or folders of all services")


def test_what_a_terminal_must_not_see_is_shown_as_signs(command, tmp_path):
    """Names on lines are data of strangers."""
    company = Company({"shop": []})
    company.ask("shop")
    line = json.dumps(company.lines[0] | {"service": "sh\x1b[2Jop", "caller": "a\nb"})
    (tmp_path / "x.log").write_text(line, encoding="utf-8")
    out = command(tmp_path)[1]

    assert "\x1b" not in out
    assert len(out.splitlines()) == 4
