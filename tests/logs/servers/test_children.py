"""A child whose output its parent reads says what it would say without obskit, byte for byte."""

import base64
import json
import sys
from textwrap import dedent

import pytest

from tests.logs.servers.reading import lines

ENV = {"OBSKIT_METRICS_PORT": "off"}

CHILD = """
import logging, os, subprocess, sys, threading, warnings

print("text \\u2713")
print("no end", end="")
sys.stdout.flush()
sys.stdout.buffer.write(bytes(range(256)))
sys.stdout.buffer.flush()
sys.stdout.write("\\r10%\\r20%\\n")
warnings.warn("warned")
logging.basicConfig(level="INFO")
logging.getLogger("child").info("logged")
logging.warning("twice")
print("error", file=sys.stderr)
subprocess.run(["sh", "-c", "echo grandchild; echo its errors >&2"])
thread = threading.Thread(target=lambda: 1 / 0, name="t")
thread.start()
thread.join()
sys.exit("the end")
"""

PARENT = """
import base64, json, subprocess, sys

def read(shell, **streams):
    words = [sys.executable, *FLAGS, "child.py"]
    if shell:
        words = " ".join(words) + shell
    done = subprocess.run(words, shell=bool(shell), **streams)
    texts = [base64.b64encode(part or b"").decode() for part in (done.stdout, done.stderr)]
    print(json.dumps([*texts, done.returncode]))

PIPE, STDOUT = subprocess.PIPE, subprocess.STDOUT
FLAGS = sys.argv[1:]
read("", stdout=PIPE, stderr=PIPE)
read("", stdout=PIPE, stderr=STDOUT)
read("", stderr=PIPE)
read("", stdout=PIPE)
read(" 2>/dev/null | cat", stdout=PIPE)
read(" 2>&1 | cat", stdout=PIPE)
"""


@pytest.mark.parametrize("flags", [(), ("-u",)])
def test_output_that_is_read_is_the_same(start_process, obskit_command, tmp_path, flags):
    """Text, bytes, warnings, logging, errors, exit code: both streams, one of them, by a shell."""
    (tmp_path / "child.py").write_text(dedent(CHILD), encoding="utf-8")
    (tmp_path / "parent.py").write_text(dedent(PARENT), encoding="utf-8")
    answers = []
    for launcher in ((), (*obskit_command, "run", "--")):
        command = (*launcher, sys.executable, "parent.py", *flags)
        output = start_process(*command, env={**ENV, "PYTHONIOENCODING": "utf-8"}).wait()
        assert output.returncode == 0
        answers.append(output)
    bare, ours = answers
    expected = [json.loads(line) for line in bare.stdout.splitlines() if line[:2] == b'["']
    # What the child prints beside its errors, where these are read, is left as it is.
    raw = b"".join(line for line in ours.stdout.splitlines(True) if line[:1] == b"{")
    said = [line["message"] for line in lines(raw) if line["logger"] == "stdout"]
    read = [json.loads(text) for text in said if text[:2] == '["']

    assert [len(expected), len(read)] == [6, 6]
    assert read == expected
    assert b"text \xe2\x9c\x93\nno end\x00\x01" in base64.b64decode(read[0][0])


def test_a_child_whose_stdout_alone_is_read_speaks_lines_on_stderr(
    start_process, obskit_command, tmp_path
):
    """What it logs has the parent's correlation ID no more than any program's, and is valid."""
    (tmp_path / "child.py").write_text(dedent(CHILD), encoding="utf-8")
    source = "import subprocess, sys\nsubprocess.run([sys.executable, 'child.py'], stdout=-1)"
    command = (*obskit_command, "run", "--", sys.executable, "-c", source)
    output = start_process(*command, env=ENV).wait()
    raw = output.stderr.replace(b"its errors\n", b"")
    found = [line["message"] for line in lines(raw)]

    assert found == [
        "process started", "warned", "logged", "twice", "error",
        "uncaught exception in thread", "the end",
    ]  # fmt: skip
    assert output.stderr.count(b"its errors\n") == 1


def test_a_file_that_a_child_writes_to_is_left_alone(start_process, obskit_command, tmp_path):
    """Redirected by a shell, stdout is not the launcher's."""
    source = "import os, sys\nos.system(f'{sys.executable} -c \"print(7)\" > out')"
    command = (*obskit_command, "run", "--", sys.executable, "-c", source)
    output = start_process(*command, env=ENV).wait()

    assert (tmp_path / "out").read_bytes() == b"7\n"
    assert output.returncode == 0
    lines(output.stdout)
