"""Read the code blocks of a page, and run them in order, as a reader would.

A ``python`` block that begins with ``# file: NAME`` is a file; any other is a program of its own.
In a ``console`` block, words behind ``$ `` are typed into one shell for the whole page, and the
lines below are what it answers; ``...`` stands for anything. A command that ends in ``&`` goes on
once it listens. Ports of the pages are replaced by free ones. A block below a comment
``<!-- not run: REASON -->`` is not run.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from obskit.cli._processes import listening
from tests.services.ports import reserve_port, wait_until
from tests.services.processes import environment
from tests.source import ROOT, project_files

BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+) -->\n)?```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
FILE = re.compile(r"# file: (\S+)\n")
PORTS = re.compile(r"\b(?:80[0-9]{2}|946[0-9])\b")
ANYTHING = re.compile(r"\\\.\\\.\\\.")
PATIENCE = 30.0
# Pages that speak to a server of somebody's: a test of their own starts one, and follows them.
SERVED = "docs/how-to/ship-"


class Block(NamedTuple):
    """A fenced block, and why it is not run, if it is not."""

    language: str
    code: str
    reason: str = ""


class Step(NamedTuple):
    """A command with the answer that the page shows."""

    command: str
    answer: str


def pages() -> list[Path]:
    """Return the pages that people read."""
    docs = ROOT / "docs"
    return [
        path
        for path in project_files()
        if path.suffix == ".md" and (path == ROOT / "README.md" or docs in path.parents)
    ]


def blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    for match in BLOCK.finditer(text):
        yield Block(match["language"], match["code"], match["reason"] or "")


def steps(code: str) -> Iterator[Step]:
    """Yield the commands of a console block; one that ends in a backslash goes on."""
    for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        end = next(i for i, line in enumerate(lines) if not line.endswith("\\"))
        yield Step("\n".join(lines[: end + 1]), "\n".join(lines[end + 1 :]).strip())


def matches(shown: str, real: str) -> bool:
    """Tell whether a real answer is the shown one."""
    pattern = ANYTHING.sub(".*", re.escape(shown))
    return re.fullmatch(pattern, real.strip(), re.DOTALL) is not None


class Reader:
    """Somebody who follows a page from top to bottom, in a folder of his own."""

    def __init__(self, folder: Path, words: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        # What stands for something else in this test, by pattern.
        self._words = words or {}
        self._ports: dict[str, str] = {}
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        told = {"PATH": path, "HOME": str(folder), "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}
        self._environ = environment(told)
        self._said = folder / ".said"
        self._shell: subprocess.Popen[str] | None = None

    def follow(self, block: Block) -> None:
        """Do what a block says, and compare."""
        code = block.code
        for pattern, real in self._words.items():
            code = re.sub(pattern, real, code)
        code = PORTS.sub(self._port, code)
        file = FILE.match(code)
        if file:
            path = self._folder / file[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code[file.end() :], encoding="utf-8")
        elif block.language == "python":
            self._run(code)
        elif block.language == "console":
            for step in steps(code):
                self._type(step)

    def _port(self, match: re.Match[str]) -> str:
        return self._ports.setdefault(match[0], str(reserve_port()))

    def _run(self, code: str) -> None:
        environ = {"OBSKIT_METRICS_PORT": "off", **self._environ}
        result = subprocess.run(
            [sys.executable, "-W", "error", "-c", code], cwd=self._folder, env=environ,
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert result.returncode == 0, f"{code}\n{result.stdout}{result.stderr}"

    def _type(self, step: Step) -> None:
        shell = self._shell = self._shell or self._open()
        assert shell.stdin is not None
        before = len(listening(shell.pid))
        self._said.write_bytes(b"")
        done = self._folder / ".done"
        done.unlink(missing_ok=True)
        # What was sent to the background is reported by a shell at its next line, or later.
        # The commands to come are no input of this one.
        shell.stdin.write(f"{{ {step.command}\n}} < /dev/null >> .said 2>&1\n: > .done\n")
        shell.stdin.flush()
        wait_until(done.exists, lambda: f"{step.command}: {self._heard()}", PATIENCE * 2)
        if step.command.endswith("&"):
            wait_until(
                lambda: len(listening(shell.pid)) > before,
                lambda: f"{step.command} does not listen: {self._all()}",
                PATIENCE,
            )
            time.sleep(0.1)
        answer = self._heard()
        assert matches(step.answer, answer), f"$ {step.command}\n{answer}\n-- not:\n{step.answer}"

    def _open(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "--norc"], cwd=self._folder, env=self._environ, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip

    def _heard(self) -> str:
        return self._said.read_text(encoding="utf-8")

    def _all(self) -> str:
        logs = sorted(self._folder.glob("*.log"))
        return "\n".join([self._heard(), *(path.read_text("utf-8")[-2000:] for path in logs)])

    def close(self) -> None:
        """End everything that the page has started."""
        if self._shell is not None:
            assert self._shell.stdin is not None
            os.killpg(self._shell.pid, signal.SIGKILL)
            self._shell.wait()
            self._shell.stdin.close()
