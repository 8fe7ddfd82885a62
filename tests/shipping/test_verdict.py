"""What a server's answer means."""

import ssl
from email.utils import formatdate
from time import time

import pytest

from obskit.shipping import verdict
from obskit.shipping.verdict import AGAIN, REFUSED, TAKEN, Verdict


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
        (FileNotFoundError(), "no certificate file"),
        (ConnectionRefusedError(), "no connection"),
        (ValueError(), "no answer"),
        (ssl.SSLCertVerificationError(), "certificate not trusted"),
        (ssl.SSLError(), "no secure connection"),
        (ssl.SSLEOFError(), "no secure connection"),
    ],
)
def test_an_error_is_no_refusal(error, why):
    """What did not get through is sent again."""
    found = verdict.of_error(error)

    assert (found.kind, found.why) == (AGAIN, why)


@pytest.mark.parametrize(
    ("status", "kind", "part"),
    [
        (204, TAKEN, False),
        (302, AGAIN, False),
        (400, REFUSED, True),
        (401, AGAIN, False),
        (403, AGAIN, False),
        (404, AGAIN, False),
        (413, REFUSED, True),
        (415, AGAIN, False),
        (422, REFUSED, True),
        (429, AGAIN, False),
        (503, AGAIN, False),
    ],
)
def test_lines_are_refused_for_their_own_faults_only(status, kind, part):
    """A wrong address, index or token is put right while they wait."""
    found = verdict.of_reply(status, {"retry-after": "7"}, b"")

    assert (found.kind, found.part) == (kind, part)
    assert found.wait == (7 if status in (429, 503) else 0)


def test_what_a_server_says_is_kept_on_one_short_line():
    """As far as it is text."""
    found = verdict.of_reply(400, {}, b" no\n\tsuch \xff\x1b thing\n" + b"x" * 9000)

    assert found.answer.startswith("no  such \ufffd  thing x")
    assert len(found.answer) <= verdict.LONGEST_ANSWER
    assert verdict.of_reply(200, {}, b"fine").answer == ""


def test_items_that_were_not_taken_make_the_verdict():
    """Of all of them where there is but one, or none was taken and all may be sent again."""
    again, dead = Verdict(AGAIN, "busy", 3.0), Verdict(REFUSED, "bad")
    found = verdict.of_items

    assert found(3, []) is verdict.ALL_TAKEN
    assert found(3, [(1, dead)]) == Verdict(TAKEN, items=((1, dead),))
    assert found(2, [(0, again), (1, dead)]).kind == TAKEN
    assert found(2, [(0, dead), (1, dead)]).kind == TAKEN
    assert found(2, [(0, again), (1, Verdict(AGAIN, "x", 9.0))])[:3] == (AGAIN, "busy", 9.0)
    assert found(1, [(0, dead)]) is dead
