"""Records formatted as lines, for those who keep a set-up of `logging` of their own."""

import io
import json
import logging
import logging.config
import os
import sys

import pytest

import obskit
from obskit import context, observation
from obskit.logs import formatter
from obskit.logs.formatter import LONGEST_LINE, JsonFormatter
from tests.logs import failing
from tests.logs.torture import CASES, strict


@pytest.fixture(autouse=True)
def as_found(floor):
    """Leave no unit of work behind."""
    yield
    context.attach(None)


def record(message="hello", *args, extra=None, exc_info=None):
    """Return a record as a logger makes it."""
    log = logging.Logger("shop.cart")
    made = log.makeRecord("shop.cart", 30, "/x/cart.py", 7, message, args, exc_info, "pay")
    made.__dict__.update(extra or {})
    return made


def formatted(made, **options):
    """Return the line of a record."""
    return strict(JsonFormatter(**options).format(made).encode() + b"\n")


def test_the_line_is_the_one_that_obskit_writes(logged):
    """Same fields, same order, same values."""
    made = record("%s of %d", "one", 2, extra={"order_id": 7})
    logging.getLogger("shop.cart").handle(made)

    mine = formatted(made)
    assert list(mine) == list(logged.line)
    assert mine == logged.line


def test_it_needs_no_init():
    """Level, name, process and fields are there in a program that never calls `init`."""
    line = formatted(record(extra={"order_id": 7}))

    assert (line["level"], line["message"], line["logger"]) == ("warning", "hello", "shop.cart")
    assert (line["pid"], line["scope"], line["order_id"]) == (os.getpid(), "process", 7)
    assert line["service"]


def test_a_unit_of_work_is_on_the_line():
    """Its IDs, its clock and its bound fields."""
    headers = {"x-correlation-id": "abc", "baggage": "obskit.synthetic=probe"}
    with observation.unit_of_work("job", carrier=headers):
        obskit.bind(user="ada")
        one, two = formatted(record()), formatted(record())

    assert (one["correlation_id"], one["user"]) == ("abc", "ada")
    assert (one["lc"], two["lc"]) == (1, 2)
    assert one["synthetic"] is True
    assert "scope" not in one


def test_exceptions_are_described():
    """As on all lines."""
    error = failing.caught(failing.caused)
    made = record(exc_info=(type(error), error, error.__traceback__))

    line = formatted(made)
    assert (line["error_type"], line["error_message"]) == ("RuntimeError", "third")
    assert line["error_stack"].startswith("ValueError: plain\n")
    assert formatted(made, exc_info_as_array=True)["error_stack"][0] == "ValueError: plain"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_nothing_that_is_logged_breaks(capfd, case):
    """Each case is one valid line, nothing is raised, and nothing is printed."""
    line = formatted(record(case.message, *case.args, extra=case.make()))

    assert line["timestamp"]
    assert case.shows in json.dumps(line, ensure_ascii=False)
    assert (
        len(JsonFormatter().format(record(case.message, extra=case.make())).encode())
        <= LONGEST_LINE
    )
    assert capfd.readouterr() == ("", "")


def test_the_options_of_python_json_logger_are_kept():
    """Renamed, static and default fields, a prefix, a name for the time."""
    line = formatted(
        record(extra={"order_id": 7}),
        rename_fields={"levelname": "severity", "message": "msg", "order_id": "order"},
        static_fields={"team": "checkout", "service": "mine"},
        defaults={"order_id": 0, "region": "eu"},
        timestamp="@timestamp",
    )

    assert (line["severity"], line["msg"], line["order"]) == ("warning", "hello", 7)
    assert (line["team"], line["service"], line["region"]) == ("checkout", "mine", "eu")
    assert "@timestamp" in line
    assert not {"level", "message", "order_id", "timestamp"} & set(line)
    assert JsonFormatter(prefix="app: ").format(record()).startswith('app: {"timestamp"')


def test_what_the_format_string_names_is_added():
    """The usual is there anyway; the rest is taken from the record."""
    fmt = "%(asctime)s %(levelname)s %(name)s %(message)s %(funcName)s %(lineno)d %(nothing)s"
    line = formatted(record(), fmt=fmt)

    assert (line["funcName"], line["lineno"]) == ("pay", 7)
    assert not {"asctime", "levelname", "name", "nothing"} & set(line)


def test_options_of_encoders_are_ignored():
    """Who comes from another formatter keeps the file as it is."""
    assert formatted(record(), json_ensure_ascii=False, json_indent=2, json_default=str)


def test_a_subclass_may_change_the_line():
    """The method for that is python-json-logger's."""

    class Mine(JsonFormatter):
        def process_log_record(self, log_data):
            return {"mine": True, **log_data}

    assert json.loads(Mine().format(record()))["mine"] is True


def test_an_error_of_our_own_costs_the_fields_only(monkeypatch):
    """Something valid comes out, whatever happens."""
    monkeypatch.setattr(formatter.facts, "facts", lambda settings: 1 / 0)

    assert formatted(record())["message"] == "a record could not be formatted"


def test_records_are_not_changed():
    """Other handlers format them too."""
    made = record("%s", "x", extra={"a": 1})
    before = dict(vars(made))
    formatted(made)

    assert vars(made) == before


@pytest.mark.parametrize("name", ["obskit.JsonFormatter", "obskit.logs.formatter.JsonFormatter"])
def test_it_is_named_in_configurations(name):
    """By its public name or by its place."""
    stream = io.StringIO()
    log = logging.getLogger("formatted")
    logging.config.dictConfig(
        {
            "version": 1, "disable_existing_loggers": False,
            "formatters": {"line": {"()": name, "static_fields": {"a": 1}}},
            "handlers": {
                "out": {"class": "logging.StreamHandler", "stream": stream, "formatter": "line"}
            },
            "loggers": {"formatted": {"handlers": ["out"], "level": "INFO", "propagate": False}},
        }
    )  # fmt: skip
    log.info("x")
    log.handlers.clear()
    log.propagate = True

    assert json.loads(stream.getvalue())["a"] == 1


def test_a_file_for_gunicorn_may_name_it(start_process, tmp_path):
    """`--log-config` takes files like this one."""
    (tmp_path / "log.ini").write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=out\n[formatters]\nkeys=line\n"
        "[logger_root]\nlevel=INFO\nhandlers=out\n"
        "[handler_out]\nclass=StreamHandler\nformatter=line\nargs=(sys.stdout,)\n"
        "[formatter_line]\nclass=obskit.JsonFormatter\nformat=%(message)s %(funcName)s\n"
    )
    code = (
        "import logging.config, os\nlogging.config.fileConfig('log.ini')\n"
        "logging.getLogger('a').info('one')\n"
        "if not os.fork():\n    logging.getLogger('a').info('two')\n    os._exit(0)\nos.wait()\n"
    )
    output = start_process(sys.executable, "-c", code, cwd=tmp_path).wait()

    one, two = map(strict, output.stdout.splitlines(keepends=True))
    assert (one["message"], one["funcName"]) == ("one", "<module>")
    assert two["pid"] != one["pid"]
    assert output.stderr == b""
