"""The pages on shipping: they can be followed, and say what the code does."""

import re

import pytest

from obskit.shipping import backends, target
from tests.docs.pages import Reader, blocks
from tests.fakes.fake import CERTIFICATE, Fake
from tests.source import ROOT

HOW_TO = ROOT / "docs" / "how-to"
# The page of each product, what is in its place here, and how its batches are limited.
PAGES = {
    "elasticsearch": "elasticsearch",
    "humio": "humio",
    "splunk": "splunk",
    "loki": "loki",
    "logstash": "logstash",
    "gelf": "gelf",
    "otlp": "otlp",
    "zipkin": "zipkin",
    "file": "",
}
COMMON = {*target._HTTP, *target._BASIC, *target._TOKEN, *target._API_KEY}
FACTS = {"service": "shop"}


def text_of(name):
    """Return a page."""
    return (HOW_TO / f"ship-{name}.md").read_text(encoding="utf-8")


def documented(text):
    """Return the options that stand in the tables of a page."""
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)=", row.split("|")[1])}


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_followed(name, tmp_path):
    """Over TLS to a strict fake of the product, with its token in a file."""
    if not PAGES[name]:
        follow(Reader(tmp_path), name)
        return
    with Fake(PAGES[name], secure=True) as fake:
        # What the page says that the index refuses.
        fake.faults.poison = "not yet known"
        words = {
            rf"{re.escape(url_of(name))}(?=\?)": f"https://localhost:{fake.port}",
            rf"{re.escape(url_of(name))}(?=[\":])": f"https://localhost:{fake.port}",
            r"/run/secrets/\w+": str(fake.token_file),
            r"/etc/ssl/\w+\.pem": str(CERTIFICATE),
        }
        follow(Reader(tmp_path, words), name)
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(files) > 3
        assert not any(fake.secret.encode() in path.read_bytes() for path in files)


def url_of(name):
    """Return the address that the page names."""
    return re.search(r"\+(https://[\w.]+(?::\d+)?)\?", text_of(name))[1]


def follow(reader, name):
    """Do what a page says."""
    try:
        for block in blocks(text_of(name)):
            reader.follow(block)
    finally:
        reader.close()


@pytest.mark.parametrize("name", PAGES)
def test_each_option_is_explained(name):
    """Those of the product on its page, the others on the page for all; none that is not there."""
    options = set(target.KINDS[name].options)
    common = documented((HOW_TO / "ship.md").read_text(encoding="utf-8"))

    assert common == COMMON
    assert documented(text_of(name)) == options - COMMON
    assert options & COMMON in (set(), *common_parts())


def common_parts():
    """Return the sets of common options that products have."""
    basic = {*target._HTTP, *target._BASIC, *target._TOKEN}
    return basic, {*basic, *target._API_KEY}


@pytest.mark.parametrize("name", PAGES)
def test_limits_of_a_batch_are_the_codes(name):
    """Entries and bytes, as the page says them."""
    scheme = "file:///x" if name == "file" else f"{name}+http://h?token_env=T"
    backend = backends.open(target.parse(scheme), FACTS)
    said = re.search(
        r"A batch has at most (\d+) (lines|spans)(?: or (\d+) ([KM])iB)?", text_of(name)
    )

    assert int(said[1]) == backend.most_entries
    assert said[2] == f"{backend.kind}s"
    if said[3]:
        assert int(said[3]) * {"K": 1024, "M": 1024**2}[said[4]] == backend.most_bytes


FAULT, BACKEND = "tests/shipping/test_every_fault.py", "tests/shipping/test_every_backend.py"
DELIVERY, WRITER = "tests/logs/test_delivery.py", "tests/logs/test_writer.py"
ENDS = "test_however_a_process_ends_each_durable_line_is_stored_once"
SEEN = "test_best_effort_lines_of_an_end_that_python_sees"
# The table "what survives what": the tests that show what stands in the cells of a row.
PROOFS = {
    "the program ends": {
        DELIVERY: ["test_lines_are_written_until_the_very_end"],
        FAULT: [ENDS, SEEN],
    },
    "SIGTERM": {WRITER: ["test_a_line_is_out_when_the_call_returns"], FAULT: [ENDS, SEEN]},
    "SIGKILL": {
        DELIVERY: ["test_the_last_words_before_a_kill_are_out"],
        FAULT: [ENDS, "test_best_effort_lines_of_an_end_that_nobody_sees"],
    },
    "`os._exit`": {WRITER: ["test_a_line_is_out_when_the_call_returns"], FAULT: [ENDS, SEEN]},
    "a child is forked": {
        DELIVERY: ["test_forks_while_threads_log_lose_and_double_nothing"],
        FAULT: ["test_children_of_a_fork_and_of_multiprocessing"],
    },
    "the machine crashes": {
        "tests/shipping/spool/test_appender.py": ["test_durable_lines_may_wait_for_the_disk"]
    },
    "the server is away": {
        FAULT: ["test_a_server_that_is_away_for_long_and_a_spool_that_is_full"],
        "tests/shipping/test_intake.py": ["test_a_durable_line_may_wait_for_room"],
    },
    "the disk of the spool": {
        FAULT: [
            "test_a_disk_that_is_full_costs_nobody_a_line",
            "test_a_disk_that_fails_for_a_while",
            "test_a_spool_that_cannot_be_made",
        ],
    },
    "the server refuses one line": {BACKEND: ["test_poison_costs_one_event_until_it_is_taken"]},
    "credentials are rotated": {BACKEND: ["test_a_token_that_is_rotated_costs_nothing"]},
    "the server hangs": {FAULT: ["test_hanging_servers_do_not_keep_a_process"]},
    "an answer of the server is lost": {
        BACKEND: ["test_an_answer_that_gets_lost_costs_one_batch_sent_twice"]
    },
    "nobody reads stdout": {
        WRITER: ["test_a_full_queue_drops_and_counts_exactly"],
        FAULT: ["test_a_stdout_that_nobody_reads_holds_up_nothing"],
    },
    "a byte of the spool": {FAULT: ["test_a_damaged_byte_costs_its_line"]},
}


def test_what_survives_what_is_tested():
    """Each row of the table has its tests, and there is no other row."""
    page = ROOT / "docs" / "explanation" / "are-your-logs-important.md"
    text = page.read_text(encoding="utf-8")
    rows = [line.strip("| ") for line in text.splitlines() if line.startswith("| ")][1:]

    assert len(rows) == len(PROOFS)
    for row, (begin, proofs) in zip(rows, PROOFS.items(), strict=True):
        assert row.startswith(begin)
        for path, names in proofs.items():
            tests = (ROOT / path).read_text(encoding="utf-8")
            assert all(f"def {name}(" in tests for name in names), (begin, path)


def test_words_of_the_runbook_are_those_of_the_code():
    """Reasons and notices that people search the page for."""
    text = (HOW_TO / "logs-are-missing.md").read_text(encoding="utf-8")
    code = "".join(path.read_text() for path in (ROOT / "src/obskit/shipping").rglob("*.py"))
    found = {}
    for number in (3, 5):
        section = re.search(rf"^## {number}\. .*?(?=^## )", text, re.M | re.S)[0]
        rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
        found[number] = {word for row in rows for word in re.findall("`([^`]+)`", row)}
    reasons = {word for word in found[3] | found[5] if not word.startswith("status ")}

    assert len(found[3]) > 12
    assert len(found[5]) == 6
    for word in reasons | {"process ended", "terminated", "os._exit", "not spooled"}:
        assert f'"{word.removesuffix("...").rstrip()}' in code, word
    assert {int(one.split()[1]) for one in found[3] - reasons} == {401, 403, 404, 429, 503}


def test_each_product_has_a_page():
    """A new one wants one, and the page for all names it."""
    found = (HOW_TO / "ship.md").read_text(encoding="utf-8")

    assert {path.stem.removeprefix("ship-") for path in HOW_TO.glob("ship-*.md")} == set(PAGES)
    assert set(target.KINDS) - {"opensearch", "logscale"} == set(PAGES)
    assert all(f"(ship-{name}.md)" in found for name in PAGES)
