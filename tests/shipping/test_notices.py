"""Trouble is said when it begins, not all the time, and when it is over."""

from obskit import health
from obskit.shipping import notices as room
from obskit.shipping.notices import Notices


def test_trouble_has_a_beginning_and_an_end(said):
    """One line each, however often it is noticed."""
    one = Notices(lambda *line: said.append(line), "spans", "http://z")
    for _ in range(5):
        one.cannot_send("timeout")
    for _ in range(5):
        one.sent()

    assert said == [
        ("spans cannot be sent", {"obskit_to": "http://z", "obskit_reason": "timeout"}),
        ("spans are sent again", {"obskit_to": "http://z"}),
    ]


def test_what_flickers_is_said_once_in_a_while(said, monkeypatch):
    """Its end is said only where its beginning was."""
    one = Notices(lambda *line: said.append(line), "spans", "http://z")
    for _ in range(5):
        one.cannot_send("timeout")
        one.sent()
    one.refused(3, "status 400")
    assert len(said) == 2
    monkeypatch.setattr(room, "SILENT_SECONDS", 0.0)
    one._silent_until = 0.0
    for _ in range(2):
        one.refused(3, "status 400")
    assert [line["obskit_lost"] for _, line in said[2:]] == [3, 3]


def test_what_is_lost_is_said_at_once(said):
    """There will be no other time."""
    one = Notices(lambda *line: said.append(line), "spans", "http://z")
    one.cannot_send("timeout")
    one.lost(7, "process ended")

    assert said[1][1]["obskit_lost"] == 7


def test_a_line_that_cannot_be_written_harms_nobody(said):
    """The error is counted."""
    Notices(lambda *_: 1 / 0, "spans", "http://z").cannot_send("timeout")

    assert health.internal_errors == {"shipping.spans": 1}
