"""The calls that other rooms and users make."""

import os
import subprocess
import sys

import pytest

from obskit import instrumentation, settings
from obskit.errors import UnknownInstrumentation
from obskit.instrumentation import _ledger
from tests.source import ROOT


def states():
    return {status.name: status.state for status in instrumentation.status()}


def test_settings_choose_what_is_on():
    """Only what is named is on, and the next settings change it."""
    instrumentation.arm(settings.Settings(instrument=("threads",)))
    assert states()["threads"] == "hooked"
    assert states()["executors"] != "hooked"
    instrumentation.arm(settings.Settings(instrument=("-threads",)))

    assert states()["threads"] == "disarmed"
    assert states()["executors"] in ("hooked", "armed")
    instrumentation.uninstrument()
    assert "hooked" not in states().values()


def test_one_row_can_be_switched_by_name(observed):
    """The others stay as they are."""
    instrumentation.uninstrument("httpx")
    assert states()["httpx"] == "disarmed"
    assert states()["threads"] == "hooked"
    assert _ledger.live.on
    instrumentation.instrument("httpx")
    assert states()["httpx"] in ("hooked", "armed")


@pytest.mark.parametrize("call", [instrumentation.instrument, instrumentation.uninstrument])
def test_unknown_names_are_refused(call):
    """A typing error in a call is the caller's to hear."""
    with pytest.raises(UnknownInstrumentation, match="'htpx'"):
        call("htpx")


@pytest.mark.parametrize("name", instrumentation.__all__)
def test_every_public_name_is_there(name):
    """What authors import exists."""
    assert getattr(instrumentation, name) is not None


def test_unknown_names_of_a_setting_are_told_with_those_that_exist():
    """In one line, with the setting."""
    assert instrumentation.problems(settings.Settings(instrument=("httpx", "-flask", "none"))) == []
    [problem] = instrumentation.problems(settings.Settings(instrument=("htpx", "-flask")))

    assert problem.startswith("OBSKIT_INSTRUMENT='htpx,-flask' names htpx; must be any of ")
    assert " httpx," in problem


def test_an_unknown_attribute_is_an_attribute_error():
    """The module behaves as modules do."""
    with pytest.raises(AttributeError, match="nonsense"):
        instrumentation.nonsense  # noqa: B018


def run(code):
    """Run code in a new interpreter and return what it prints."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.split()


FOREIGN = {
    "anyio", "asyncio", "concurrent", "fastapi", "flask", "httpx", "importlib.metadata",
    "multiprocessing", "requests", "ssl", "starlette", "structlog", "uvicorn", "wrapt",
}  # fmt: skip


def test_arming_everything_imports_nothing():
    """No library, and neither wrapt nor asyncio: gevent has to patch before these come."""
    code = (
        "import sys; from obskit import instrumentation; instrumentation.instrument();"
        f"print(*{FOREIGN}.intersection(sys.modules))"
    )

    assert run(code) == []


def test_hooking_functions_of_the_standard_library_imports_nothing():
    """A program that makes a thread pool pays for no more than that."""
    code = (
        "import sys; from obskit import instrumentation; instrumentation.instrument();"
        "import concurrent.futures.thread; from obskit.instrumentation import _ledger;"
        "print(_ledger.entries['executors'].state, 'wrapt' in sys.modules)"
    )

    assert run(code) == ["hooked", "False"]
