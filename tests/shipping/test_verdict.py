"""What a server's answer means."""

from email.utils import formatdate
from time import time

import pytest

from obskit.shipping import verdict
from obskit.shipping.verdict import AGAIN, REFUSED, TAKEN


@pytest.mark.parametrize(
    ("status", "kind", "part"),
    [
        (200, TAKEN, False),
        (202, TAKEN, False),
        (302, REFUSED, False),
        (400, REFUSED, True),
        (401, REFUSED, False),
        (404, REFUSED, False),
        (408, AGAIN, False),
        (413, REFUSED, True),
        (429, AGAIN, False),
        (500, AGAIN, True),
        (503, AGAIN, False),
    ],
)
def test_a_status_is_judged(status, kind, part):
    """Success, busy, and refused: for a part of the batch, perhaps."""
    found = verdict.of_answer(status, {})

    assert (found.kind, found.part, found.wait) == (kind, part, 0.0)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("7", 7, 7),
        (" 7 ", 7, 7),
        ("999999999", verdict.LONGEST_WAIT, verdict.LONGEST_WAIT),
        (formatdate(time() + 3600, usegmt=True), 120, 120),
        (formatdate(time() - 30, usegmt=True), 0, 0),
        ("soon", 0, 0),
        ("-1", 0, 0),
        ("\u0663", 0, 0),
        ("", 0, 0),
    ],
)
def test_the_wait_that_is_asked_for_is_understood(text, low, high):
    """Seconds or a date, within reason."""
    assert low <= verdict.of_answer(503, {"retry-after": text}).wait <= high


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (TimeoutError(), "timeout"),
        (ConnectionRefusedError(), "no connection"),
        (ValueError(), "no answer"),
    ],
)
def test_an_error_is_no_refusal(error, why):
    """What did not get through is sent again."""
    found = verdict.of_error(error)

    assert (found.kind, found.why) == (AGAIN, why)
