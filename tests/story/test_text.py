"""The story for people."""

from obskit.story import render_text, tell
from tests.story.scenes import Play, failing_order, healthy_order

EXPECTED = """\
Story of op-1
invoice POST /orders/{customer}: dependency, 502, 20 ms
2 services, 8 lines

Culprit: warehouse POST /parcels: KeyError: 'XX' (server_error, 500, 20 ms)
  said         warehouse ERROR Invalid country code
  first sign   invoice WARNING Unknown country code
  made fail    invoice POST /orders/{customer} (dependency, 502, 20 ms)

  ●    invoice    INFO     Order received
↓ ●    invoice    WARNING  Unknown country code order_id=CD-7
↓ ├─●  warehouse  INFO     Packing a parcel
↓ │ ✗  warehouse  ERROR    Invalid country code
↓ │ ✗  warehouse  ERROR    Exception on /parcels KeyError: 'XX'  ◀ culprit
↓ │ ✗  warehouse  ERROR    request finished POST /parcels 500 server_error 20 ms
↩ ✗─┘  invoice    ERROR    Warehouse did not take the order
↓ ✗    invoice    ERROR    request finished POST /orders/{customer} 502 dependency 20 ms

↓ caused by the line above
↩ heard the answer of the unit above, which was ready before the line above
"""


def test_the_whole_text():
    """Verdict first, then the lines by cause, then what the marks mean."""
    assert render_text(tell(failing_order().lines, "op-1"), times=False) == EXPECTED


def marks(play):
    """Return the marks of all lines of a story, and what is said below of what they mean."""
    told = render_text(tell(play.lines, "op-1"), times=False).split("\n\n")[2:]
    return [row[0] for row in told[0].splitlines()], told[1]


def test_an_answer_that_left_before_the_last_line_is_told_as_one():
    """The caller goes on with it; that its callee wrote on is no riddle."""
    play = Play()
    invoice = play.enter("invoice").log("asks")
    warehouse = invoice.call("warehouse").log("packs")
    invoice.hear(warehouse)
    warehouse.end()
    invoice.log("has it").end()
    shown, meanings = marks(play)

    assert shown == [" ", "↓", "↓", "↩", "↓"]
    assert "∥" not in meanings


def test_who_heard_no_answer_is_beside():
    """Neither a caller that gave up, nor a stranger that the answer was not for."""
    play = Play()
    invoice = play.enter("invoice").log("asks")
    warehouse = invoice.call("warehouse").log("packs")
    warehouse.end()
    invoice.log("waits no longer").end("timeout")
    assert marks(play)[0] == [" ", "↓", "↓", "∥", "↓"]

    play = Play()
    invoice = play.enter("invoice").log("asks")
    first, second = invoice.call("warehouse").log("packs"), invoice.call("stock").log("counts")
    first.end()
    second.end()
    shown, meanings = marks(play)
    assert "↩" not in shown
    assert "∥ beside" in meanings


def test_wall_clocks_are_shown_and_not_shifted():
    """The times of a wrong clock stand as they are, and how wrong it is stands below."""
    text = render_text(tell(failing_order(warehouse=-42.0).lines, "op-1"))

    assert "07:59:18.030  ↓ ├─●" in text
    assert "Clocks\n  warehouse is 42.0 s behind invoice (±" in text


def test_a_healthy_story_says_so():
    """There is no culprit, and no section about trouble."""
    text = render_text(tell(healthy_order().lines, "op-1"), times=False)

    assert "No culprit: nothing failed." in text
    assert not any(word in text for word in ("Broken", "Lost", "Clocks", "left"))


def test_what_was_made_good_is_said():
    """Something failed, and in the end nothing was wrong."""
    play = Play()
    shop = play.enter("shop").log("x")
    price = shop.call("price").log("y")
    shop.hear(price)
    price.end("server_error")
    shop.end()
    text = render_text(tell(play.lines, "op-1"))

    assert "No culprit: all was made good.\nMade good: price POST /parcels (server_error" in text


def test_lines_fit_the_width():
    """Long messages are cut, unless all is wanted."""
    play = Play()
    play.enter("shop").log("x" * 500).end()
    story = tell(play.lines, "op-1")

    assert max(map(len, render_text(story, width=80).splitlines())) <= 80
    assert "x" * 500 in render_text(story, whole=True)


def test_all_means_stacks_too():
    """Each frame on a row of its own."""
    text = render_text(tell(failing_order().lines, "op-1"), whole=True)

    assert any(row.strip() == "at pack" for row in text.splitlines())


def test_colours_are_for_terminals():
    """Without them there is no escape sequence, with them the words are the same."""
    story = tell(failing_order().lines, "op-1")
    plain, coloured = render_text(story), render_text(story, color=True)

    assert "\x1b" not in plain
    assert "\x1b[31m" in coloured
    assert len(plain.splitlines()) == len(coloured.splitlines())


def test_hostile_text_is_made_harmless():
    """A log line cannot clear the screen of who reads its story."""
    play = Play()
    play.enter("sh\x1b[2Jop").log("a\x1b[2Jb\r\n\u202e", "inf\x1bo", **{"k\x1bey": "v\x1b"}).end()
    text = render_text(tell(play.lines, "op-1"), whole=True)

    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\r" not in text


def test_trouble_has_sections():
    """Broken hops, lost lines, work after the caller had left, and lines without a place."""
    play = Play()
    invoice = play.enter("invoice").log("x").log("lost")
    invoice.call("legacy", "GET /x", broken=True).log("y").end()
    warehouse = invoice.call("warehouse").log("y")
    invoice.log("no answer", "error", error_type="ReadTimeout").end("dependency")
    warehouse.log("z").end()
    play.lines = [line for line in play.lines if line["message"] != "lost"]
    play.lines.append({"correlation_id": "op-1", "message": "no clock", "service": "old"})
    text = render_text(tell(play.lines, "op-1"))

    assert (
        "Broken hops\n  legacy GET /x got the ID but no clock; it came from invoice POST /orders"
        in text
    )
    assert "Lost lines\n  invoice on invoice-1: at least 1 line" in text
    assert "Without a place\n  old    no clock" in text
    assert "? cannot tell" in text


def test_a_caller_that_left_is_told():
    """What went on without it is a section."""
    play = Play()
    invoice = play.enter("invoice").log("x")
    warehouse = invoice.call("warehouse").log("y")
    invoice.log("no answer", "error", error_type="ReadTimeout").end("dependency")
    warehouse.log("z").end()
    text = render_text(tell(play.lines, "op-1"))

    assert (
        "After the caller had left\n  warehouse POST /parcels went on: 3 lines, ok, 200, 20 ms;"
        in text
    )
