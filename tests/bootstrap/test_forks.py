"""What is imported late, and a fork in the middle of it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import obskit
from obskit._bootstrap import forks
from tests.bootstrap.test_bootstrap import FASTAPI, START, imported, modules

SOURCE = Path(obskit.__file__).parent
# These rooms work before there is anything to fork, or in a program of their own.
OTHERS = ("__init__", "__main__", "_bootstrap", "asgi", "cli", "settings", "story", "wsgi")
# What comes with the import of somebody else's module, in the thread that imports it; what only
# a setting brings; and what a command or the end of a process needs.
ELSEWHERE = modules(
    FASTAPI,
    {
        "logs": "held loguru storm structlog tap",
        "logs.capture": "descriptors",
        "logs.formats": "console foreign",
        "shipping": "road",
        "traces": "eager ids late shortcut",
    },
) | {
    "difflib", "importlib", "importlib.metadata", "logging", "orjson", "os", "re", "signal",
    "structlog.dev",
}  # fmt: skip

PROGRAM = """
import os, sys, threading, time
from importlib.machinery import PathFinder
import obskit
obskit.init("shop", log_stream="/dev/null", metrics_port=False)
begun = threading.Event()
class Slow:
    def find_spec(name, path=None, target=None):
        if name == {name!r}:
            begun.set()
            time.sleep(0.3)
sys.meta_path.insert(0, Slow)
thread = threading.Thread(target=__import__, args=({name!r},))
thread.start()
begun.wait()
if {is_begun}:
    while {name!r} not in sys.modules:
        time.sleep(0)
pid = os.fork()
if pid == 0:
    __import__({name!r})
    os._exit(7)
thread.join()
os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def late_imports():
    """Yield the modules that functions of the rooms import."""
    for path in SOURCE.rglob("*.py"):
        if path.relative_to(SOURCE).parts[0].removesuffix(".py") in OTHERS:
            continue
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    yield from named(node)


def named(node):
    """Return the modules that an import statement names; of another package, only its root."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    inner = [f"{node.module}.{alias.name}" for alias in node.names]
    files = [SOURCE.parent / (name.replace(".", "/") + ".py") for name in inner]
    return [name for name, file in zip(inner, files, strict=True) if file.exists()] or [node.module]


def test_each_late_import_has_its_place():
    """An import in the middle of work is made before a fork, or waited for."""
    known = {name for names in forks.LATE.values() for name in names}
    known |= modules(START) | ELSEWHERE | set(forks.SLOW)
    roots = {name for name in forks.SLOW if name in ("opentelemetry", "prometheus_client")}

    missing = {
        name for name in late_imports() if name not in known and name.partition(".")[0] not in roots
    }

    assert missing == set()


def test_what_comes_before_a_fork_is_light():
    """The first fork does not bring in what takes long to import."""
    late = sorted(name for names in forks.LATE.values() for name in names)

    loaded = imported("", f"import {', '.join(late)}")

    assert set(late) <= loaded
    assert not {"asyncio", "ssl", "email", "prometheus_client", "opentelemetry.trace"} & loaded


@pytest.mark.parametrize("is_begun", [False, True])
@pytest.mark.parametrize("name", ["obskit.metrics.messages", "obskit.logs.budget"])
def test_a_fork_amid_an_import_sticks_nowhere(name, is_begun):
    """A child finds whole what another thread was in the middle of importing."""
    code = PROGRAM.format(name=name, is_begun=is_begun)

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=20)

    assert done.returncode == 7, done.stderr
