"""A service ships to a real OpenSearch, and dies in the middle of it."""

import json
import os
import signal
import subprocess
import sys
import time

from obskit.shipping.spool import ledger

COUNT, POISON = 5000, 700
# It says each number when the call that logged it has returned.
PROGRAM = f"""
import os, sys, time
import obskit
obskit.init("shop", metrics_port="off", log_stream=os.devnull)
audit = obskit.get_logger("audit")
for number in range(int(sys.argv[1]), {COUNT}):
    audit.info(f"order {{number}}", number=number, amount=1e300 if number == {POISON} else 0.5)
    os.write(1, b"%d\\n" % number)
    number % 100 or time.sleep(0.05)
"""
MAPPINGS = {"properties": {"@timestamp": {"type": "date_nanos"}, "amount": {"type": "long"}}}


def test_every_durable_line_is_stored_once_and_poison_is_a_dead_letter(opensearch, tmp_path):
    """5,000 lines, one of which the index refuses; SIGKILL in the middle, and a restart."""
    stream = opensearch.stream("whole", mappings=MAPPINGS)
    opensearch.ask("PUT", f"_data_stream/{stream}")
    said = tmp_path / "said"
    environment = os.environ | {
        "OBSKIT_SHIP": f"opensearch+{opensearch.url}?index={stream}",
        "OBSKIT_SPOOL": str(tmp_path / "spools"),
        "OBSKIT_DURABLE": "audit",
    }

    def start(first):
        with said.open("wb") as out:
            words = [sys.executable, "-c", PROGRAM, str(first)]
            return subprocess.Popen(words, env=environment, stdout=out)

    process = start(0)
    opensearch.documents(stream, lambda rows: len(rows) > 1000, timeout=30)
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    returned = int(said.read_bytes().split(b"\n")[-2])
    assert POISON < returned < COUNT - 1
    # The next line may be spooled, too: the process was killed before it could say so.
    assert start(returned + 2).wait(60) == 0
    folder = tmp_path / "spools" / "shop"
    deadline = time.monotonic() + 30
    while ledger(folder).standings[0].waiting and time.monotonic() < deadline:
        time.sleep(0.1)
    rows = opensearch.documents(stream, lambda rows: len(rows) >= COUNT - 2)
    numbers = sorted(row["number"] for row in rows if row["logger"] == "audit")
    (standing,) = ledger(folder).standings
    (letter,) = (folder / "dead" / f"{standing.destination}.ndjson").read_text().splitlines()

    expected = set(range(COUNT)) - {POISON, returned + 1}
    assert len(numbers) == len(set(numbers))
    assert expected <= set(numbers) <= expected | {returned + 1}
    assert json.loads(json.loads(letter)["line"])["number"] == POISON
    assert "amount" in json.loads(letter)["answer"]
    assert (standing.dead, standing.dropped, standing.waiting) == (1, {}, 0)
    assert standing.taken == standing.logged - 1 == len(rows)
