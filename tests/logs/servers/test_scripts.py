"""What programs that are no servers write to the descriptors 1 and 2 under ``obskit run``."""

import signal
import sys
from textwrap import dedent

import pytest

from tests.logs.servers.reading import assert_all_there, bare_messages, lines, messages

ENV = {"OBSKIT_METRICS_PORT": "off", "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def run_both(start_process, obskit_command, tmp_path):
    """Give what runs a script bare and under ``obskit run``; both must end in the same way."""

    def run(source, *args, signals=(), env=None, **options):
        path = tmp_path / "script.py"
        path.write_text(dedent(source), encoding="utf-8")
        outputs = []
        for launcher in ((), (*obskit_command, "run", "--")):
            command = (*launcher, sys.executable, str(path), *args)
            process = start_process(*command, env={**ENV, **(env or {})}, **options)
            if signals:
                process.wait_for(rb"ready")
                for number in signals:
                    process.send(number)
            outputs.append(process.wait())
        bare, ours = outputs
        assert ours.returncode == bare.returncode
        return lines(ours.stdout) + lines(ours.stderr), bare

    return run


def check(found, bare):
    """Compare, and return the lines that are not about the start."""
    assert_all_there(found, bare_messages(bare.stdout, bare.stderr))
    return [line for line in found if line["message"] != "process started"]


def test_a_crash_is_one_line(run_both):
    """With the error's type, text and stack; the exit code is the same."""
    found, bare = run_both(
        """
        def work():
            print("working")
            raise LookupError("of the program")

        work()
        """
    )
    [working, crash] = check(found, bare)

    assert bare.returncode == 1
    assert working["logger"] == "stdout"
    assert (crash["level"], crash["message"]) == ("critical", "uncaught exception")
    assert (crash["error_type"], crash["error_message"]) == ("LookupError", "of the program")
    assert "in work" in crash["error_stack"]


def test_everything_that_goes_wrong_in_a_program_is_a_line(run_both):
    """Warnings, threads, tasks, finalizers, printed tracebacks, handlers that fail, the end."""
    found, bare = run_both(
        """
        import asyncio, atexit, gc, logging, sys, threading, traceback, warnings

        logging.basicConfig(level="INFO", format="%(message)s")
        logging.info("by logging")
        warnings.warn("by warnings")
        print("to stderr", file=sys.stderr)
        print("no end of line", end="")
        sys.stdout.flush()
        print()

        def fail(text):
            raise ValueError(text)

        thread = threading.Thread(target=fail, args=("of a thread",))
        thread.start()
        thread.join()

        async def main():
            asyncio.create_task(main2())
            await asyncio.sleep(0)
            gc.collect()

        async def main2():
            fail("of a task")

        asyncio.run(main())

        class Broken:
            def __del__(self):
                fail("of a finalizer")

        Broken()
        try:
            raise ExceptionGroup("of a group", [KeyError("inner")])
        except ExceptionGroup:
            traceback.print_exc(file=sys.stdout)
        atexit.register(print, "at the end")
        atexit.register(fail, "of an end")
        kept = Broken()
        sys.exit("the last words")
        """,
    )
    counted = messages(found)
    expected = [
        "by logging", "by warnings", "to stderr", "no end of line", "ValueError: of a thread",
        "ValueError: of a task", "at the end", "ValueError: of an end", "the last words",
    ]  # fmt: skip

    assert bare.returncode == 1
    assert {text: counted[text] for text in expected} == dict.fromkeys(expected, 1)
    assert counted["ValueError: of a finalizer"] == 2
    assert bare.stderr.count(b"ValueError: of a finalizer") == 2
    assert [line["level"] for line in found if "of a group" in line["message"]] == ["error"]


def test_logging_that_fails_is_one_line(run_both):
    """The record of a handler that cannot write, instead of two tracebacks in pieces."""
    found, _ = run_both(
        """
        import logging

        class Failing(logging.Handler):
            def emit(self, record):
                try:
                    raise OSError("no space")
                except OSError:
                    self.handleError(record)

        logging.getLogger("x").addHandler(Failing())
        logging.getLogger("x").error("unwritten")
        """
    )

    assert [line["message"] for line in found[1:]] == ["unwritten", "logging error"]
    assert found[2]["log_message"] == "'unwritten'"


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("sys.exit()", 0),
        ("sys.exit(3)", 3),
        ("sys.exit('text')", 1),
        ("raise SystemExit", 0),
        ("raise KeyboardInterrupt", -2),
        ("os._exit(4)", 4),
        ("os.kill(os.getpid(), 9)", -9),
        ("os.abort()", -6),
        ("1 / 0", 1),
        ("def f(): f()\nf()", 1),
        ("raise SyntaxError('odd')", 1),
        ("import missing_module", 1),
    ],
)
def test_a_program_ends_as_it_would(run_both, ending, code):
    """Its exit code is its own, and what it had said is out."""
    found, bare = run_both(f"import os, sys\nprint('said')\n{ending}")

    assert bare.returncode == code
    assert [line["message"] for line in found[:2]] == ["process started", "said"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_program_as_it_would(run_both, number):
    """Interrupted or ended by somebody else, the last line before is out."""
    found, _ = run_both(
        """
        import time

        print("ready")
        time.sleep(60)
        """,
        signals=[number],
    )

    assert found[1]["message"] == "ready"
    assert messages(found)["interrupted"] == (number == signal.SIGINT)


def test_children_speak_for_themselves(run_both):
    """Forked, spawned, of a pool, and programs started by a shell: all of them write lines."""
    found, bare = run_both(
        """
        import concurrent.futures, multiprocessing, os, subprocess, sys

        def work(word):
            print(word, end="")
            return os.getpid()

        if __name__ == "__main__":
            for method in ("fork", "spawn", "forkserver"):
                start = multiprocessing.get_context(method)
                process = start.Process(target=work, args=(f"by {method}",))
                process.start()
                process.join()
            with concurrent.futures.ProcessPoolExecutor(1) as pool:
                pool.submit(work, "by a pool").result()
            if os.fork() == 0:
                print("by a fork")
                sys.exit(0)
            os.wait()
            subprocess.run([sys.executable, "-c", "print('by a program')"])
            os.system(sys.executable + ' -c "print(\\'by a shell\\')"')
            os.execv(sys.executable, [sys.executable, "-c", "print('by its successor')"])
        """,
        env={"PYTHONWARNINGS": "ignore"},
    )
    counted = messages(found)
    expected = ["by fork", "by spawn", "by forkserver", "by a pool", "by a fork", "by a program",
                "by a shell", "by its successor"]  # fmt: skip

    assert {word: counted[word] for word in expected} == dict.fromkeys(expected, 1)
    assert all(word.encode() in bare.stdout for word in expected)
    said = [line for line in found if line["message"].startswith("by ")]
    assert len({line["pid"] for line in said}) == len(expected)


def test_lines_belong_to_the_operation_that_prints_them(run_both, tmp_path):
    """Also a piece without an end, and what a thread of the operation says."""
    path = tmp_path / "script.py"
    source = """
        import sys, threading, obskit

        def work(number):
            with obskit.unit_of_work("job", correlation_id=f"job-{number}"):
                print("printed", number)
                threading.Thread(target=print, args=("thread of", number)).start()
                sys.stderr.write(f"piece of {number}")
                sys.stderr.flush()

        for number in range(3):
            thread = threading.Thread(target=work, args=(number,))
            thread.start()
            thread.join()
        """
    path.write_text(dedent(source), encoding="utf-8")
    found, _ = run_both(source)

    for number in range(3):
        own = [line for line in found if line.get("correlation_id") == f"job-{number}"]
        assert sorted(line["message"] for line in own) == [
            f"piece of {number}", f"printed {number}", "task finished", f"thread of {number}",
        ]  # fmt: skip


def test_what_c_code_says_becomes_lines_on_demand(run_both):
    """Bytes, children of other languages and Python's own fault handler, too."""
    source = """
        import ctypes, faulthandler, os, subprocess, sys

        ctypes.CDLL(None).puts(b"by C")
        ctypes.CDLL(None).fflush(None)
        os.write(1, b"by a write\\n")
        subprocess.run(["sh", "-c", "echo by a shell; echo by its errors >&2"])
        sys.stdout.buffer.write(b"by bytes\\n")
        sys.stdout.flush()
        subprocess.run([sys.executable, "-c", "print('by a program')"])
        faulthandler.dump_traceback()
        print("by print")
        """
    found, _ = run_both(source, env={"OBSKIT_CAPTURE_FD": "1"})
    counted = messages(found)
    expected = ["by C", "by a write", "by a shell", "by its errors", "by bytes", "by a program",
                "by print", "Current thread NxN (most recent call first):"]  # fmt: skip

    for word in expected[:-1]:
        assert counted[word] == 1, word
    assert any("most recent call first" in line["message"] for line in found)
