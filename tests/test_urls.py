"""What errors say of URLs is shown without their secrets."""

import time

import pytest

from obskit.logs.secret import MARKER
from obskit.urls import masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Max retries exceeded with url: /a?token=S&x=S (Caused by E('no'))",
         "Max retries exceeded with url: /a?[redacted] (Caused by E('no'))"),
        ("503 Server Error: Busy for url: http://ada:S@host:80/a?S",
         "503 Server Error: Busy for url: http://[redacted]@host:80/a?[redacted]"),
        ("503, url='http://host/a?b=S'", "503, url='http://host/a?[redacted]'"),
        ('GET "amqp://u:p@ss@host" or amqp://S@b', 'GET "amqp://[redacted]@host" or amqp://[redacted]@b'),
        ("a?b=S", "a?[redacted]"),
    ],
)  # fmt: skip
def test_queries_and_userinfo_are_not_shown(text, shown):
    """All that clients say else stays as it is."""
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text",
    ["", "what?", "really?!", "WHERE a/b=? AND c=?", "ada@example.org", "a//b@c", "http://host/a",
     "a ? b=c"],
)  # fmt: skip
def test_what_gives_nothing_away_stays(text):
    """Questions, placeholders, addresses of people."""
    assert masked(text) == text


@pytest.mark.parametrize("part", ["?", "://", "@", "/?", "://@", "a?", "=?", "://x?"])
def test_no_text_takes_long(part):
    """Whatever a stranger has put into an error."""
    begun = time.perf_counter()
    masked(part * 100_000)
    masked(part * 100_000 + " ")

    assert time.perf_counter() - begun < 1.0


def test_the_marker_is_that_of_all_lines():
    """Who looks for it finds both."""
    assert masked("/a?b=c") == f"/a?{MARKER}"
