"""Let participants run in turns and compare them round by round."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Runner:
    """A participant: a function ``module:name`` that sets up and returns what is timed."""

    name: str
    target: str
    environ: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """The seconds per call of one participant, one number a round."""

    name: str
    seconds: list[float]
    extra: dict[str, float]

    @property
    def median(self) -> float:
        """Seconds of a call in the median round."""
        return statistics.median(self.seconds)


class _Process:
    def __init__(self, runner: Runner) -> None:
        self.name = runner.name
        environ = {key: value for key, value in os.environ.items() if not key.startswith("OBSKIT_")}
        environ |= {"PYTHONHASHSEED": "0", **runner.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.participant", runner.target],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(self._open_answers(),),
            text=True,
        )
        os.close(self._child_end)
        self.ready = self._read()

    def _open_answers(self) -> int:
        read_end, self._child_end = os.pipe()
        self._answers = os.fdopen(read_end)
        os.set_inheritable(self._child_end, True)
        return self._child_end

    def ask(self, count: int) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count} {self._child_end}\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, float]:
        if not hasattr(self, "ready"):
            assert self._process.stdin is not None
            self._process.stdin.write(f"0 {self._child_end}\n")
            self._process.stdin.flush()
        line = self._answers.readline()
        if not line:
            assert self._process.stderr is not None
            raise RuntimeError(f"{self.name} failed: {self._process.stderr.read()[-2000:]}")
        answer: dict[str, float] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._answers.close()
        if self._process.stderr is not None:
            self._process.stderr.close()


def available(runners: Iterable[Runner]) -> list[Runner]:
    """Return the participants whose packages are installed."""
    from importlib.util import find_spec

    return [runner for runner in runners if all(find_spec(name) for name in runner.needs)]


def run(runners: Sequence[Runner], *, rounds: int = 15, seconds: float = 0.05) -> list[Result]:
    """Return the results of *runners*, which take turns for *rounds* rounds.

    A round of each participant lasts about *seconds*.
    """
    processes = [_Process(runner) for runner in runners]
    try:
        counts = [_calibrate(process, seconds) for process in processes]
        times: list[list[float]] = [[] for _ in processes]
        extra: list[dict[str, float]] = [{} for _ in processes]
        for _ in range(rounds):
            for index, process in enumerate(processes):
                answer = process.ask(counts[index])
                times[index].append(answer.pop("seconds") / counts[index])
                extra[index] = answer
        return [
            Result(process.name, times[index], extra[index])
            for index, process in enumerate(processes)
        ]
    finally:
        for process in processes:
            process.close()


def _calibrate(process: _Process, seconds: float) -> int:
    count = 1
    while True:
        taken = process.ask(count)["seconds"]
        if taken > seconds / 4 or count > 10**7:
            return max(1, int(count * seconds / max(taken, 1e-9)))
        count *= 4


def ratio(result: Result, base: Result) -> float:
    """Return how many times *base* the result takes: the median over the rounds."""
    return statistics.median(
        mine / other for mine, other in zip(result.seconds, base.seconds, strict=True)
    )


def added_ratio(result: Result, bare: Result, stack: Result) -> float:
    """Return what *result* adds to *bare*, as a share of what *stack* adds to it."""
    return statistics.median(
        (mine - none) / (theirs - none)
        for mine, none, theirs in zip(result.seconds, bare.seconds, stack.seconds, strict=True)
    )
