"""The configuration of rsyslog: checked by rsyslogd, and run in front of a real OpenSearch."""

import json
import re
import subprocess

import pytest

from tests.integrations.files import stocked, text
from tests.services.processes import Process, bare_environment

STREAM = "logs-obskit-default"
CONFIGURATION = text("rsyslog/obskit.conf")


@pytest.fixture
def binary(service_binary):
    """Give rsyslogd with its output for Elasticsearch."""
    service_binary("rsyslog-elasticsearch")
    return service_binary("rsyslog")


@pytest.fixture
def node(shared_opensearch):
    """Give OpenSearch with the files of the integration."""
    with stocked(shared_opensearch) as server:
        yield server


def placed(folder, port):
    """Write the configuration with paths and port of a test, and return its path."""
    words = CONFIGURATION
    for old, new in (
        ("/var/log/services", str(folder / "logs")),
        ("/var/spool/rsyslog", str(folder)),
        ("127.0.0.1:9200", f"127.0.0.1:{port}"),
    ):
        assert old in words
        words = words.replace(old, new)
    folder.joinpath("logs").mkdir(exist_ok=True)
    path = folder / "rsyslog.conf"
    path.write_text(f'global(workDirectory="{folder}")\n{words}', encoding="utf-8")
    return path


def test_rsyslog_accepts_the_configuration(binary, tmp_path):
    """The checker of rsyslog finds nothing to complain about."""
    command = [binary, "-N1", "-f", str(placed(tmp_path, 9200))]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert checked.returncode == 0, checked.stderr
    assert "error" not in checked.stderr.lower(), checked.stderr


def test_rsyslog_refuses_a_wrong_word(binary, tmp_path):
    """The checker is a real one."""
    path = placed(tmp_path, 9200)
    path.write_text(path.read_text().replace("bulkMode", "bulkMood"), encoding="utf-8")
    command = [binary, "-N1", "-f", str(path)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert "bulkmood" in checked.stderr.lower()


def test_lines_go_through_rsyslog_unharmed(binary, node, tmp_path, lines, records):
    """Lines of services, one of 15 kB and a text that is no line arrive once, typed and whole."""
    long = {"timestamp": "2026-01-31T12:00:00.000001Z", "level": "info", "message": "é" * 7500}
    path = placed(tmp_path, node.port)
    given = [*lines, json.dumps(long, ensure_ascii=False).encode(), b'Killed "by" \\ nobody\t!']
    (tmp_path / "logs" / "shop.log").write_bytes(b"\n".join(given) + b"\n")
    command = (binary, "-n", "-f", str(path), "-i", str(tmp_path / "pid"))
    env = bare_environment(tmp_path)
    daemon = Process(command, env=env, cwd=tmp_path, stdin=b"", capture="file", merge=True)
    try:
        found = node.documents(STREAM, until=lambda rows: len(rows) >= len(given), timeout=20.0)
    finally:
        output = daemon.stop()

    assert output.returncode == 0, output.stdout
    expected = [{**one, "@timestamp": one["timestamp"]} for one in (*records, long)]
    for one in expected:
        del one["timestamp"]
    told = sorted(json.dumps(one, sort_keys=True) for one in found if "tags" not in one)
    assert told == sorted(json.dumps(one, sort_keys=True) for one in expected)
    hits = node.ask("GET", f"{STREAM}/_search", size=100)["hits"]["hits"]
    assert all(re.fullmatch("[0-9A-F]{32}", hit["_id"]) for hit in hits), "sent twice, stored once"
    (other,) = [one for one in found if "tags" in one]
    assert (other["message"], other["tags"]) == ('Killed "by" \\ nobody\t!', ["not_obskit"])
