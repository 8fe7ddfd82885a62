"""The levels elsewhere."""

import pytest

from obskit.logs import levels
from obskit.schemas import severity


@pytest.mark.parametrize(
    ("level", "otel", "syslog", "google"),
    [
        ("debug", 5, 7, "DEBUG"),
        ("info", 9, 6, "INFO"),
        ("warning", 13, 4, "WARNING"),
        ("error", 17, 3, "ERROR"),
        ("critical", 21, 2, "CRITICAL"),
        ("level 25", 0, 6, "DEFAULT"),
    ],
)
def test_a_level_has_its_place(level, otel, syslog, google):
    """One that the application has made up says nothing of how bad it is."""
    found = severity.otel(level), severity.syslog(level), severity.google(level)
    assert found == (otel, syslog, google)


def test_each_level_of_a_line_comes_back():
    """Google keeps no other name."""
    for level in levels.NAMES.values():
        assert severity.of_google(severity.google(level)) == level
    assert severity.of_google("DEFAULT") is None
