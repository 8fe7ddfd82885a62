"""What arrives of what was logged, by who ships it and what goes wrong meanwhile.

    python -m benchmarks.faults [--events N] [--who NAME ...] [--fault NAME ...] [--json FILE]

Each participant logs 1,000 events a second to a strict fake of its server in a process of its own.
A second process of the same service begins afterwards, as after a restart: what was kept on disk
may be sent then. Exit code 1 if obskit loses or repeats anything that it must not.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.shippers import WHO
from tests.fakes import fake as fakes
from tests.fakes.otlp import Otlp
from tests.fakes.web import Reply

PATIENCE = 60.0
NUMBER = re.compile(r"event (\d+)")
BEGIN, END = 0.4, 1.6


class OtlpProtobuf(Otlp):
    """A collector that takes logs as OpenTelemetry's exporter sends them."""

    def answer(self, request: Any, every: int = 0) -> Reply:
        """Store the records, unless one of them is poison."""
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
            ExportLogsServiceRequest,
        )

        if request.headers.get("authorization") != f"Bearer {self.secret}":
            return Reply(401, b"")
        found = ExportLogsServiceRequest.FromString(request.body)
        bodies = [
            record.body.string_value
            for resource in found.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]
        if any(self.faults.is_poison(body) for body in bodies):
            return Reply(400, b"")
        self.received += [{"message": body} for body in bodies]
        return Reply(200, b"")


fakes.PRODUCTS["otlp protobuf"] = OtlpProtobuf


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong: a fault of the server for a while or for some requests, and the end."""

    name: str
    fault: str = ""
    times: int | None = None
    for_good: bool = False
    end: str = "return"
    poison: bool = False
    burst: bool = False


FAULTS = (
    Fault("nothing"),
    Fault("refused 1.2 s", "refused"),
    Fault("429 for 1.2 s", "429"),
    Fault("503 for 1.2 s", "503"),
    Fault("401 for 1.2 s", "401"),
    Fault("one poison event", poison=True),
    Fault("accepted, then cut", "cut after acceptance", times=1),
    Fault("server hangs", "hang", for_good=True),
    Fault("burst", burst=True),
    Fault("SIGTERM", end="SIGTERM"),
    Fault("SIGKILL after 0.3 s", end="SIGKILL"),
    Fault("fork, os._exit", end="fork"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What arrived, in events: by the end of the process, and after the next one has begun."""

    fault: str
    who: str
    logged: int
    arrived: int
    after_restart: int
    repeated: int
    exit_seconds: float

    @property
    def shown(self) -> str:
        """A cell of the table."""
        text = _share(self.arrived, self.logged)
        if self.after_restart != self.arrived:
            text += f" -> {_share(self.after_restart, self.logged)}"
        if self.repeated:
            text += f", {self.repeated} twice"
        return text + (f", exit {self.exit_seconds:.0f} s" if self.exit_seconds > 4 else "")


def _share(arrived: int, logged: int) -> str:
    missing = logged - arrived
    return f"{100 * arrived / logged:.0f} %" + (f" (-{missing})" if 0 < missing < 10 else "")


def measure(who: str, fault: Fault, events: int) -> Outcome:
    """Return what has become of the events of one participant."""
    events = 20_000 if fault.burst else events
    with tempfile.TemporaryDirectory() as folder, fakes.Fake(WHO[who][1]) as fake:
        if fault.poison:
            fake.faults.poison = f"event {events // 2}"
        child = _start(who, fake, folder, events, 0 if fault.burst else 1000, fault.end)
        trouble = threading.Thread(target=_trouble, args=(fake, fault, folder), daemon=True)
        trouble.start()
        seconds = _end_of(child, folder)
        time.sleep(0.3)
        arrived = _numbers(fake)
        if fault.for_good:
            fake.faults.clear()
        after, before = arrived, -1
        while len(set(after)) < events and len(set(after)) > before:
            before = len(set(after)) if after is not arrived else -1
            _end_of(_start(who, fake, folder, 0, 0, "return"), folder)
            time.sleep(0.3)
            after = _numbers(fake)
    return Outcome(
        fault.name, who, events, len(set(arrived)), len(set(after)), len(after) - len(set(after)),
        round(seconds, 1),
    )  # fmt: skip


def _start(
    who: str, fake: fakes.Fake, folder: str, events: int, pace: int, end: str
) -> subprocess.Popen[bytes]:
    words = [who, str(fake.port), str(fake.token_file), folder, str(events), str(pace), end]
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.shippers", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _trouble(fake: fakes.Fake, fault: Fault, folder: str) -> None:
    """Put the fault in force when the first events have arrived, and end it."""
    if not fault.fault:
        return
    deadline = time.monotonic() + 20
    if not fault.for_good:
        while not fake.received and time.monotonic() < deadline:
            time.sleep(0.01)
    fake.faults.use(fault.fault, fault.times)
    if fault.times is None and not fault.for_good:
        time.sleep(END - BEGIN)
        fake.faults.clear()


def _end_of(child: subprocess.Popen[bytes], folder: str) -> float:
    """Wait until *child* has ended; return how long that took after its last event."""
    try:
        child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    try:
        return max(0.0, time.time() - float(Path(folder, "logged").read_text()))
    except (OSError, ValueError):
        return PATIENCE


def _numbers(fake: fakes.Fake) -> list[int]:
    found = (NUMBER.search(json.dumps(event)) for event in fake.received)
    return [int(match[1]) for match in found if match]


def run(who: Sequence[str], faults: Sequence[Fault], events: int) -> Iterator[Outcome]:
    """Measure all, each fault with all participants before the next one."""
    for fault in faults:
        for name in who:
            yield measure(name, fault, events)


def wrong(one: Outcome) -> bool:
    """Tell whether obskit has not kept what it promises."""
    if not one.who.startswith("obskit"):
        return False
    allowed = 1 if one.fault == "one poison event" else 0
    missing = one.logged - one.after_restart > allowed
    twice = one.repeated > 0 and one.who.endswith("Elasticsearch")
    return missing or twice or one.exit_seconds > 5


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the matrix: a row for each fault, a column for each participant."""
    who = list(dict.fromkeys(one.who for one in outcomes))
    cells = {(one.fault, one.who): one.shown for one in outcomes}
    names = list(dict.fromkeys(one.fault for one in outcomes))
    rows = [
        ["fault", *who],
        *([name, *(cells.get((name, one), "") for one in who)] for name in names),
    ]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def main(words: Sequence[str] | None = None) -> int:
    """Measure what is asked for, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", allow_abbrev=False)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--who", nargs="*", choices=list(WHO), default=list(WHO))
    parser.add_argument("--fault", nargs="*", default=[fault.name for fault in FAULTS])
    parser.add_argument("--json")
    arguments = parser.parse_args(words)
    chosen = [fault for fault in FAULTS if fault.name in arguments.fault]
    outcomes = []
    for one in run(arguments.who, chosen, arguments.events):
        outcomes.append(one)
        print(f"{one.fault:<22}{one.who:<24}{one.shown}", file=sys.stderr, flush=True)
    print(table(outcomes))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps([asdict(one) for one in outcomes], indent=2))
    return int(any(map(wrong, outcomes)))


if __name__ == "__main__":
    sys.exit(main())
