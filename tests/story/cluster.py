"""A simulated cluster that drives the real clock, and an oracle that knows better.

The cluster runs random programs (log, hold a line back, quiet hop, call, lost answer, sends,
fork, join, hop without a header) on hosts whose wall clocks are wrong. The oracle takes down each
micro-step with what came before it; it imports nothing of obskit and sees only lines and headers.
"""

import contextvars
import json
import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

from obskit import clock
from obskit.logs import held
from obskit.propagation import causal

Steps = Generator[None, None, None]
START = 1_000_000.0


class Oracle:
    """The truth: every micro-step with the set of those before it, as bits.

    *tracked* follows what the clock is told of: program order, forks, headers that arrive.
    *truth* adds joins inside a process and hops without a header. *observed* adds that the
    steps of one operation in one process really happened one after another.
    """

    def __init__(self) -> None:
        self.tracked: list[int] = []
        self.truth: list[int] = []
        self.observed: list[int] = []
        self.unclear: list[int] = []
        self.lines: dict[str, int] = {}
        self.last_of: dict[int, int] = {}

    def step(
        self,
        process: int,
        *,
        tracked: tuple[int, ...] = (),
        real: tuple[int, ...] = (),
        broken: bool = False,
    ) -> int:
        """Take down a step after those given, and return its number."""
        number = len(self.tracked)
        own = 1 << number
        last = self.last_of.get(process)
        self.tracked.append(own | union(self.tracked, tracked))
        self.truth.append(own | union(self.truth, (*tracked, *real)))
        seen = (*tracked, *real) if last is None else (*tracked, *real, last)
        self.observed.append(own | union(self.observed, seen))
        self.unclear.append((own if broken else 0) | union(self.unclear, seen))
        self.last_of[process] = number
        return number


def union(sets: list[int], members: tuple[int, ...]) -> int:
    """Return all that is in the sets of these members."""
    total = 0
    for member in members:
        total |= sets[member]
    return total


@dataclass
class Wall:
    """The wall clock of a host: off from the beginning, too fast or slow, and set now and then."""

    offset: float = 0.0
    drift: float = 0.0
    steps: list[tuple[float, float]] = field(default_factory=list)

    def off(self, now: float) -> float:
        """Return by how many seconds it is ahead at the true time *now*."""
        jumped = sum(size for when, size in self.steps if when <= now)
        return self.offset + self.drift * (now - START) + jumped


@dataclass
class Task:
    """A thread or an asyncio task: its context, and its last step in the oracle's eyes."""

    process: int
    context: contextvars.Context
    step: int
    done: bool = False
    steps: Steps | None = None


@dataclass
class Plan:
    """How wild the cluster is."""

    broken: float = 0.0
    lost_answers: float = 0.2
    depth: int = 4
    size: int = 40
    # Seconds that host clocks are wrong by, lose or gain in a second, and are set by meanwhile.
    offset: float = 3600.0
    drift: float = 0.0
    step: float = 0.0
    # How often a task holds a line back, beside what else it does.
    held: float = 0.0


@dataclass
class Cluster:
    """One operation on several hosts, run step by step by a random scheduler."""

    random: random.Random
    plan: Plan
    oracle: Oracle = field(default_factory=Oracle)
    lines: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    now: float = START
    processes: int = 0
    budget: int = 0
    hosts: list[Wall] = field(default_factory=list)
    held: dict[int, int] = field(default_factory=dict)

    def run(self) -> "Cluster":
        """Run one operation to its end."""
        self.hosts = [Wall(), *(self._wall() for _ in range(3))]
        self.budget = self.plan.size
        previous = clock.join_line
        root = self._enter(None, ())
        clock.join_line = self._join_line
        try:
            self._running = self._start(root, self._program(root, 0))
            while any(not task.done for task in self.tasks):
                self._advance()
        finally:
            clock.join_line = previous
        return self

    def _wall(self) -> Wall:
        """Make a wrong clock; an operation of this size takes about a second."""
        chance, plan = self.random, self.plan
        wall = Wall(chance.uniform(-plan.offset, plan.offset))
        if plan.drift:
            wall.drift = chance.uniform(-plan.drift, plan.drift)
        if plan.step:
            for _ in range(chance.randint(0, 2)):
                when = START + chance.uniform(0.0, plan.size / 80)
                wall.steps.append((when, chance.uniform(-plan.step, plan.step)))
        return wall

    def _advance(self) -> None:
        task = self.random.choice([task for task in self.tasks if not task.done])
        self.now += self.random.expovariate(100)
        assert task.steps is not None
        try:
            next(task.steps)
        except StopIteration:
            task.done = True

    def _start(self, task: Task, steps: Steps) -> Task:
        task.steps = steps
        self.tasks.append(task)
        return task

    def _enter(self, header: str | None, sent: tuple[int, ...], *, broken: bool = False) -> Task:
        """Begin a hop in another process, with what the header says."""
        process = self.processes
        self.processes += 1
        context = contextvars.Context()
        cause = clock.parse(header) if header is not None else None
        strand = f"{self.random.getrandbits(64):016x}"
        context.run(clock.attach, context.run(clock.begin, strand, cause, broken=broken))
        if broken:
            step = self.oracle.step(process, real=sent, broken=True)
        else:
            step = self.oracle.step(process, tracked=sent)
        return Task(process, context, step)

    def _log(self, task: Task) -> None:
        self._write(task, task.context.run(clock.tick))

    def _write(self, task: Task, piece: str) -> None:
        task.step = self.oracle.step(task.process, tracked=(task.step,))
        line = json.loads("{" + piece + "}")
        host = task.process % len(self.hosts)
        line |= {"host": f"host{host}", "service": f"service{host}", "correlation_id": "op"}
        wall = self.now + self.hosts[host].off(self.now)
        line |= {"wall": wall, "true": self.now, "message": f"line {len(self.lines)}"}
        self.oracle.lines[line["lc_at"]] = task.step
        self.lines.append(line)

    def _hold(self, task: Task) -> None:
        """Hold a line back, which takes no number of its own."""
        number = self.held[task.process] = self.held.get(task.process, 0) + 1
        found = task.context.run(held.place, number)
        assert found is not None
        self._write(task, held.piece(found)[1:])

    def _join_line(self) -> None:
        self._write(self._running, clock.tick())

    def _send(self, task: Task) -> str:
        self._running = task
        text = task.context.run(causal.value)
        assert text is not None
        assert len(text) <= clock.LONGEST_HEADER
        task.step = self.oracle.step(task.process, tracked=(task.step,))
        return text

    def _program(self, task: Task, depth: int) -> Steps:
        quiet = self.random.random() < 0.2
        children: list[Task] = []
        for _ in range(self.random.randint(1, 7)):
            yield
            if self.budget <= 0:
                break
            self.budget -= 1
            if self.plan.held and self.random.random() < self.plan.held:
                self._hold(task)
            move = self.random.choice(self._moves(depth))
            if move == "log":
                if not quiet:
                    self._log(task)
            elif move == "fork":
                children.append(self._fork(task, depth))
            elif move == "await" and children:
                yield from self._await(task, children.pop(self.random.randrange(len(children))))
            elif move == "call":
                yield from self._call(task, depth)
            elif move == "send":
                for _ in range(self.random.randint(1, 3)):
                    self._receive(task, depth)
                    yield
        for child in children:
            if self.random.random() < 0.6:
                yield from self._await(task, child)
        if not quiet and self.random.random() < 0.6:
            self._log(task)

    def _moves(self, depth: int) -> list[str]:
        moves = ["log", "log", "log", "fork", "await"]
        return [*moves, "call", "call", "send"] if depth < self.plan.depth else moves

    def _fork(self, task: Task, depth: int) -> Task:
        task.step = self.oracle.step(task.process, tracked=(task.step,))
        context = task.context.run(contextvars.copy_context)
        child = Task(task.process, context, task.step)
        return self._start(child, self._program(child, depth + 1))

    def _await(self, task: Task, child: Task) -> Steps:
        """Wait for a task of the same process, as `await` does: the clock is not told."""
        while not child.done:
            yield
        task.step = self.oracle.step(task.process, tracked=(task.step,), real=(child.step,))

    def _receive(self, task: Task, depth: int) -> Task:
        header = self._send(task)
        broken = self.random.random() < self.plan.broken
        callee = self._enter(None if broken else header, (task.step,), broken=broken)
        return self._start(callee, self._program(callee, depth + 1))

    def _call(self, task: Task, depth: int) -> Steps:
        header = self._send(task)
        broken = self.random.random() < self.plan.broken
        callee = self._enter(None if broken else header, (task.step,), broken=broken)
        answer: list[tuple[str, int]] = []
        self._start(callee, self._answering(callee, depth, answer))
        if self.random.random() < self.plan.lost_answers:
            yield
            return
        while not answer:
            yield
        text, sent = answer[0]
        task.context.run(causal.heard, text)
        task.step = self.oracle.step(task.process, tracked=(task.step, sent))

    def _answering(self, callee: Task, depth: int, answer: list[tuple[str, int]]) -> Steps:
        yield from self._program(callee, depth + 1)
        answer.append((self._send(callee), callee.step))
        yield
        if self.random.random() < 0.5:
            self._log(callee)


def operations(seeds: range, plan: Plan) -> Iterator[Cluster]:
    """Yield one operation after another."""
    for seed in seeds:
        yield Cluster(random.Random(seed), plan).run()


def damaged(
    lines: list[dict[str, Any]], chance: random.Random, *, lost: float, doubled: float
) -> list[dict[str, Any]]:
    """Return the lines as a poor pipeline delivers them: some lost, some twice, none in order."""
    kept = [line for line in lines if chance.random() >= lost]
    kept += [dict(line) for line in kept if chance.random() < doubled]
    chance.shuffle(kept)
    return kept
