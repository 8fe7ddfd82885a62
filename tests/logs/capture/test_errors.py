"""How errors that nobody caught, and warnings, become lines."""

import gc
import io
import logging
import sys
import threading
import traceback
import warnings

import pytest

from obskit import health
from obskit.logs.capture import errors, streams


class Reports:
    """What was reported."""

    def __init__(self):
        self.all = []
        self.fails = False
        self.undos = []

    def __call__(self, logger, level, message, fields, error):
        """Take a report."""
        if self.fails:
            raise RuntimeError("broken")
        self.all.append((logger, level, message, fields, error))

    def install(self, **options):
        """Begin to report."""
        self.undos = errors.install(self, **options)

    def remove(self):
        """Stop."""
        while self.undos:
            self.undos.pop()()


@pytest.fixture
def reports(monkeypatch):
    """Give reports; what is hooked is as in a fresh interpreter before, and put back."""
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    made = Reports()
    yield made
    made.remove()
    health.reset()


def raised(error):
    """Return *error* with a traceback."""
    try:
        raise error
    except BaseException as caught:
        return caught


def test_an_uncaught_error_is_one_line(reports, capsys):
    """Its traceback is not printed beside it."""
    reports.install()
    error = raised(ValueError("lost"))
    sys.excepthook(ValueError, error, error.__traceback__)

    assert reports.all == [("sys.excepthook", 50, "uncaught exception", {}, error)]
    assert capsys.readouterr().err == ""


def test_an_interruption_is_no_crash(reports):
    """Somebody has pressed a key."""
    reports.install()
    error = raised(KeyboardInterrupt())
    sys.excepthook(KeyboardInterrupt, error, error.__traceback__)

    assert reports.all[0][:3] == ("sys.excepthook", 30, "interrupted")


def test_a_hook_that_was_there_is_still_called(reports, monkeypatch):
    """Such as that of a debugger or an error tracker."""
    calls = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: calls.append(args))
    reports.install()
    error = raised(ValueError("lost"))
    sys.excepthook(ValueError, error, error.__traceback__)

    assert len(calls) == len(reports.all) == 1


def test_what_cannot_be_reported_is_printed(reports, capsys):
    """An error of ours costs the user nothing."""
    reports.install()
    reports.fails = True
    error = raised(ValueError("lost"))
    sys.excepthook(ValueError, error, error.__traceback__)

    assert "ValueError: lost" in capsys.readouterr().err
    assert health.internal_errors["logs.capture.errors"] == 1


def test_beside_a_file_errors_are_printed_as_well(reports, capsys):
    """The console is left as it was."""
    reports.install(beside=True)
    error = raised(ValueError("lost"))
    sys.excepthook(ValueError, error, error.__traceback__)

    assert len(reports.all) == 1
    assert "ValueError: lost" in capsys.readouterr().err


def test_an_error_in_a_thread_names_the_thread(reports, capsys):
    """It ends the thread only."""
    reports.install()

    def run():
        raise ValueError("in a thread")

    thread = threading.Thread(target=run, name="worker")
    thread.start()
    thread.join()

    [(logger, level, message, fields, error)] = reports.all
    assert (logger, level, message) == ("threading.excepthook", 40, "uncaught exception in thread")
    assert fields == {"error_thread": "worker"}
    assert str(error) == "in a thread"
    assert capsys.readouterr().err == ""


def test_a_thread_may_exit(reports):
    """SystemExit in a thread is its end, not an error."""
    reports.install()
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()

    assert reports.all == []


def test_an_error_that_python_ignores_is_one_line(reports, capsys):
    """As in a finalizer."""
    reports.install()

    class Broken:
        def __del__(self):
            raise ValueError("in del")

    thing = Broken()
    del thing
    gc.collect()

    [(logger, level, message, fields, error)] = reports.all
    assert (logger, level) == ("sys.unraisablehook", 40)
    assert message.startswith("exception ignored")
    assert "Broken.__del__" in fields["error_object"]
    assert str(error) == "in del"
    assert capsys.readouterr().err == ""


def test_an_error_without_an_instance_is_described(reports):
    """C code may give the class alone, and the class may refuse to be made."""
    reports.install()

    class Strange(Exception):
        def __init__(self, needed):
            super().__init__(needed)

    for kind in (KeyError, Strange):
        args = type("Args", (), {"exc_type": kind, "exc_value": None, "exc_traceback": None,
                                 "err_msg": None, "object": None})  # fmt: skip
        sys.unraisablehook(args)  # type: ignore[arg-type]

    assert [type(one[4]) for one in reports.all] == [KeyError, RuntimeError]


def test_an_object_that_cannot_be_shown_is_named(reports):
    """Its repr may fail."""

    class Shy:
        def __repr__(self):
            raise ValueError("no")

    assert errors._represented(Shy()) == "<Shy whose repr failed>"
    assert len(errors._represented("x" * 1000)) == 200


def test_a_warning_says_where(reports, capsys):
    """Category and place are fields."""
    reports.install()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    [(logger, level, message, fields, error)] = reports.all
    assert (logger, level, message, error) == ("py.warnings", 30, "old", None)
    assert fields["warning_category"] == "DeprecationWarning"
    assert fields["warning_at"].rpartition(":")[0] == __file__
    assert capsys.readouterr().err == ""


def test_a_warning_for_a_file_goes_there(reports, monkeypatch):
    """Whoever names a file gets the text in it."""
    shown = []
    monkeypatch.setattr(warnings, "showwarning", lambda *args: shown.append(args))
    reports.install()
    file = io.StringIO()
    warnings.showwarning("old", UserWarning, "x.py", 1, file)

    assert reports.all == []
    assert shown == [("old", UserWarning, "x.py", 1, file, None)]


def test_recorded_warnings_are_recorded(reports):
    """Tests that look for warnings find them."""
    reports.install()
    with pytest.warns(UserWarning, match="seen"):
        warnings.warn("seen", stacklevel=1)

    assert reports.all == []


def test_a_handler_that_cannot_write_is_one_line(reports, capsys, monkeypatch):
    """Instead of two tracebacks in many lines; what was to be written is named."""
    monkeypatch.setattr(logging, "raiseExceptions", True)
    reports.install()

    class Broken(logging.Handler):
        def emit(self, record):
            try:
                raise OSError("disk full")
            except OSError:
                self.handleError(record)

    Broken().handle(logging.makeLogRecord({"msg": "lost"}))

    [(logger, level, message, fields, error)] = reports.all
    assert (logger, level, message) == ("logging", 40, "logging error")
    assert fields == {"log_handler": "Broken", "log_message": "'lost'"}
    assert str(error) == "disk full"
    assert capsys.readouterr().err == ""


def test_a_printed_traceback_is_one_text(reports, tmp_path, monkeypatch):
    """It is handed over as a whole, not line by line."""
    texts = []
    reports.install()
    original = open(tmp_path / "err", "w")  # noqa: SIM115 - closed below
    stream = streams.LineStream(original, "stderr", lambda name, text: texts.append(text))
    monkeypatch.setattr(sys, "stderr", stream)
    try:
        raise ValueError("printed\nFile x")
    except ValueError:
        traceback.print_exc()
    stream.retire()
    original.close()

    assert len(texts) == 1
    assert texts[0].is_traceback
    assert texts[0].text.endswith("ValueError: printed\nFile x")


def test_a_traceback_for_another_file_goes_there(reports):
    """Only what is printed to the console is taken."""
    reports.install()
    file = io.StringIO()
    traceback.print_exception(raised(ValueError("x")), file=file)

    assert "ValueError: x" in file.getvalue()


def test_hooks_are_taken_away_unless_somebody_put_others_there(reports):
    """What was put around ours since stays."""
    reports.install()
    ours, other = sys.excepthook, lambda *args: None
    assert ours is not sys.__excepthook__
    threading.excepthook = other
    reports.remove()

    assert sys.excepthook is sys.__excepthook__
    assert threading.excepthook is other
    threading.excepthook = threading.__excepthook__
