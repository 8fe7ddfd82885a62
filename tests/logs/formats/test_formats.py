"""The choice of a form."""

import pytest

from obskit.logs import formats, get_logger, pipeline


class Stream:
    """Stand for a writer."""

    def __init__(self, *, is_terminal: bool) -> None:
        self.is_terminal = is_terminal
        self.longest = 4096
        self.written: list[bytes] = []

    def write(self, line: bytes) -> None:
        """Keep a line."""
        self.written.append(line)


LINE = (
    b'{"timestamp":"2026-01-02T03:04:05.000006Z","level":"info","message":"hi","logger":"a",'
    b'"service":"s","host":"h","pid":1,"scope":"process"}\n'
)


@pytest.mark.parametrize(
    ("name", "is_terminal", "begin"),
    [
        ("", False, b'{"timestamp":'),
        ("json", True, b'{"timestamp":'),
        ("ecs", True, b'{"@timestamp":'),
        ("otel", False, b'{"timestamp":17'),
        ("gelf", False, b'{"version":"1.1",'),
        ("gcp", False, b'{"severity":'),
        ("logfmt", False, b"timestamp=2026"),
    ],
)
def test_the_setting_wins_over_who_reads(name, is_terminal, begin):
    """Only where nothing is said, a terminal gets lines for people."""
    stream = Stream(is_terminal=is_terminal)
    write, longest = formats.chosen(name, stream)
    write(LINE)

    [written] = stream.written
    assert written.startswith(begin)
    assert longest == 4096


@pytest.mark.parametrize(("name", "is_terminal"), [("", True), ("console", False)])
def test_people_get_lines_of_any_length(name, is_terminal):
    """Nobody cuts what stands on a terminal."""
    stream = Stream(is_terminal=is_terminal)
    write, longest = formats.chosen(name, stream)
    write(LINE)

    assert b"hi" in stream.written[0]
    assert longest == formats.UNLIMITED


def test_the_form_can_change_while_lines_are_written(logged):
    """And back again."""
    log = get_logger("shop")
    for name in ("ecs", "json", "gelf"):
        logged.configure(log_format=name)
        log.info("hello")

    assert [next(iter(line)) for line in logged.lines] == ["@timestamp", "timestamp", "version"]
    assert pipeline.is_json()
