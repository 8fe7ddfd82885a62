"""``obskit fields``: the map of fields, merged, its conflicts, and the index template."""

import gzip
import json
import sys

import pytest

from obskit import cli, schemas

LINE = {
    "timestamp": "2026-01-02T03:04:05.000006Z", "level": "info", "message": "x", "logger": "app",
    "service": "shop", "host": "h", "pid": 1, "scope": "process",
}  # fmt: skip


@pytest.fixture
def logs(tmp_path):
    """Give what writes a file of lines, each with the fields given, and returns its path."""

    def write(name, *lines, form="json"):
        path = tmp_path / name
        texts = []
        for fields in lines:
            record = LINE | fields
            encoded = record if form == "json" else schemas.of(form).encode(record)
            texts.append(encoded if isinstance(encoded, str) else json.dumps(encoded))
        path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def run(capsys):
    """Give what runs the command, and returns exit code, output and complaints."""

    def call(*words):
        code = cli.main(["fields", *words])
        output = capsys.readouterr()
        return code, output.out, output.err

    return call


def test_fields_of_several_services_are_one_map(logs, run):
    """Each with its type and who writes it; obskit's own and null are not worth a word."""
    path = logs("a", {"order_id": "CD-7", "total": 9}, {"total": 9.5, "service": "cart", "x": None})
    code, output, _ = run(path)

    assert code == 0
    assert output == (
        "field     type    services\n"
        "order_id  string  shop\n"
        "total     number  cart, shop\n"
        "\nNo conflicts.\n"
    )


@pytest.mark.parametrize("form", ["json", *schemas.NAMES])
def test_lines_may_have_any_form(logs, run, form):
    """Types are those that the application gave."""
    path = logs("a", {"a": "7", "b": 7, "c": True, "d": [1], "e": {"f": 1}}, form=form)
    code, output, _ = run("--json", path)

    assert code == 0
    assert json.loads(output) == {
        "fields": {
            "a": {"string": ["shop"]}, "b": {"number": ["shop"]}, "c": {"boolean": ["shop"]},
            "d": {"array": ["shop"]}, "e": {"object": ["shop"]},
        },
        "conflicts": [],
    }  # fmt: skip


def test_a_conflict_is_bad_news(logs, run):
    """It names the services, and the exit code says so in a build."""
    path = logs("a", {"order_id": "CD-7"}, {"order_id": 7, "service": "cart"})
    code, output, _ = run(path)

    assert code == 1
    assert output.endswith("Conflicts (1):\n  order_id is number in cart, string in shop\n")
    assert json.loads(run("--json", path)[1])["conflicts"] == [
        "order_id is number in cart, string in shop"
    ]


def test_a_field_of_obskit_with_another_type_is_a_conflict(logs, run):
    """Some other program writes it so."""
    code, output, _ = run(logs("a", {"duration_ms": "fast"}))

    assert code == 1
    assert "duration_ms is number in obskit, string in shop" in output


def test_maps_are_saved_and_merged(logs, run, tmp_path):
    """Each service's build adds its own; the one of all of them finds the conflict."""
    first, second = str(tmp_path / "first.json"), str(tmp_path / "second.json")
    assert run(logs("a", {"order_id": "CD-7"}), "--save", first)[0] == 0
    assert run(logs("b", {"order_id": 7, "service": "cart"}), "--save", second)[0] == 0
    code, output, _ = run("--map", first, "--map", second, "--save", first, "--json")

    assert code == 1
    saved = json.loads((tmp_path / "first.json").read_text())
    assert saved == json.loads(output)["fields"] == {
        "order_id": {"number": ["cart"], "string": ["shop"]}
    }  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a",
        "b",
        "first.json",
        "second.json",
    ]


def test_the_template_has_the_types_of_the_map(logs, run):
    """It can be put to an index as it is; conflicts are told beside it."""
    path = logs(
        "a", {"order_id": "CD-7"}, {"order_id": 7, "service": "a"}, {"order_id": 8, "service": "b"}
    )
    code, output, complaints = run(path, "--template", "elasticsearch")
    mappings = json.loads(output)["template"]["mappings"]["properties"]

    assert code == 1
    assert mappings["order_id"] == {"type": "double"}
    assert mappings["trace_id"]["type"] == "keyword"
    assert complaints == "obskit fields: order_id is number in a and b, string in shop\n"
    code, output, _ = run(path, "--template", "opensearch", "--schema", "ecs")
    assert json.loads(output)["template"]["mappings"]["properties"]["labels"]["type"] == "object"


def test_a_declared_type_has_no_service(run, tmp_path):
    """A map may be written by hand."""
    path = tmp_path / "types.json"
    path.write_text('{"order_id": {"string": [], "number": ["cart"]}, "total": "number"}')
    code, output, _ = run("--map", str(path))

    assert code == 1
    assert "order_id is number in cart, string as declared" in output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere.log"], "no such file or folder: nowhere.log"),
        (["--map", "nowhere.json"], "cannot read nowhere.json: No such file or directory"),
        (["--map", "bad.json"], "bad.json is no map of types: "),
        (["--map", "good.json", "--save", "no/where"], "cannot write no/where: "),
        (["empty.log"], "there is nothing to read"),
    ],
)
def test_wrong_use_is_said_in_one_line(run, tmp_path, monkeypatch, words, says):
    """With exit code 2."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.json").write_text('{"a": "text"}')
    (tmp_path / "good.json").write_text('{"a": "string"}')
    (tmp_path / "empty.log").write_text("")
    code, output, complaints = run(*words)

    assert (code, output) == (2, "")
    assert complaints.startswith(f"obskit fields: {says}")
    assert complaints.count("\n") == 1


def test_a_terminal_has_no_lines(run, monkeypatch):
    """Nobody types them."""
    monkeypatch.setattr(sys, "stdin", None)
    code, _, complaints = run()

    assert code == 2
    assert complaints.startswith("obskit fields: no logs: ")


def test_made_up_names_end_somewhere(logs, run, monkeypatch):
    """A service that makes names of IDs would fill the memory."""
    monkeypatch.setattr("obskit.cli.fields.MOST_NAMES", 3)
    code, _, complaints = run(logs("a", {f"n{number}": 1 for number in range(5)}))

    assert code == 2
    assert "more than 3 names of fields" in complaints


def test_a_gzipped_file_that_is_cut_off_is_named(logs, run, tmp_path):
    """What can be read of it counts."""
    path = tmp_path / "a.gz"
    text = "".join(json.dumps(LINE | {"a": "x", "message": str(n)}) + "\n" for n in range(9000))
    path.write_bytes(gzip.compress(text.encode())[:-4000])
    code, output, complaints = run(str(path))

    assert code == 0
    assert "a      string  shop" in output
    assert "is cut off" in complaints
