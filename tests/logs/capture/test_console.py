"""Which streams lead to the console."""

import io
import os

import pytest

from obskit.logs.capture import console


@pytest.fixture(autouse=True)
def _clean():
    """Know nothing before and after."""
    console.forget()
    yield
    console.forget()


def test_a_stream_is_known_by_identity():
    """A stand-in of somebody else's, once it is named."""
    stream = io.StringIO()
    assert not console.leads_there(stream)
    console.know(stream, None)

    assert console.leads_there(stream)
    assert not console.leads_there(io.StringIO())


def test_the_same_file_opened_once_more_is_the_console(tmp_path):
    """As with a log file called /dev/stdout."""
    with open(tmp_path / "out", "w") as out, open(tmp_path / "out", "a") as again:
        console.know_file(console.file_of(out.fileno()))
        with open(tmp_path / "other", "w") as other:
            assert console.leads_there(again)
            assert console.leads_there(again)
            assert not console.leads_there(other)


def test_dev_stdout_is_stdout():
    """A pipe that is opened by its path is the same pipe."""
    read_end, write_end = os.pipe()
    console.know_file(console.file_of(write_end))
    with open(f"/proc/self/fd/{write_end}", "w") as stream:
        assert console.leads_there(stream)
    os.close(read_end)
    os.close(write_end)


def test_what_is_no_stream_leads_nowhere():
    """Whatever a handler calls its stream, asking does not fail."""

    class Strange:
        __hash__ = None  # type: ignore[assignment]

        def fileno(self):
            raise RuntimeError("no")

    console.know_file((0, 0))
    closed = io.TextIOWrapper(io.BytesIO())
    closed.close()

    assert not console.leads_there(Strange())
    assert not console.leads_there(closed)
    assert not console.leads_there("text")
