"""Who is to blame."""

import pytest

from obskit.order import Order
from obskit.story.blame import judge
from obskit.story.units import units_of
from tests.story.scenes import Play, failing_order, healthy_order

KEY_ERROR = {"error_type": "KeyError", "error_message": "'XX'"}


def verdict(play: Play):
    """Return the verdict on a play."""
    return judge(units_of(Order(play.lines)))


def culprits(play: Play) -> list[str]:
    """Return what is said of the culprits."""
    return [f"{one.name}: {one.fault}" for one in verdict(play).culprits]


def test_a_healthy_operation_has_no_culprit():
    """Nothing failed, nobody is blamed."""
    assert culprits(healthy_order()) == []


def test_the_callee_that_failed_is_to_blame():
    """Its caller failed only because of it."""
    play = failing_order()
    [culprit] = verdict(play).culprits

    assert (culprit.name, culprit.fault) == ("warehouse POST /parcels", "KeyError: 'XX'")
    assert [unit.name for unit in culprit.victims] == ["invoice POST /orders/{customer}"]
    assert culprit.evidence.line["message"] == "Exception on /parcels"
    assert culprit.sign.line["message"] == "Unknown country code"


def test_a_bug_of_the_caller_is_its_own():
    """The callee did well, then the caller broke."""
    play = Play()
    invoice = play.enter("invoice").log("x")
    warehouse = invoice.call("warehouse").log("y")
    invoice.hear(warehouse)
    warehouse.end()
    invoice.log("Exception", "error", **KEY_ERROR).end("server_error")

    assert culprits(play) == ["invoice POST /orders: KeyError: 'XX'"]


def test_who_sends_nonsense_is_to_blame():
    """The callee refused it with a 4xx, and the caller made a 5xx of that."""
    play = Play()
    invoice = play.enter("invoice").log("x")
    warehouse = invoice.call("warehouse").log("y")
    invoice.hear(warehouse)
    warehouse.end("client_error", 422)
    invoice.end("server_error")

    assert culprits(play) == ["invoice POST /orders: warehouse POST /parcels refused what it sent"]


def test_a_client_error_at_the_edge_has_no_culprit():
    """A customer who asks for what is not there breaks nothing."""
    play = Play()
    play.enter("shop").log("x").end("client_error", 404)

    assert culprits(play) == []


def test_a_timeout_names_the_callee_that_went_on():
    """The caller left; the callee finished as if nothing was."""
    play = Play()
    invoice = play.enter("invoice").log("x")
    warehouse = invoice.call("warehouse").log("y")
    invoice.log("gave up", "error", error_type="ReadTimeout", error_message="").end(
        "dependency", dependency="w"
    )
    warehouse.log("z").end()

    assert culprits(play) == ["warehouse POST /parcels: went on after its caller had left"]


def test_a_timeout_that_a_third_service_caused_is_that_ones():
    """The chain is followed to its end."""
    play = Play()
    shop = play.enter("shop").log("x")
    invoice = shop.call("invoice", "POST /invoices").log("y")
    warehouse = invoice.call("warehouse").log("z")
    warehouse.log("boom", "error", **KEY_ERROR)
    invoice.hear(warehouse)
    warehouse.end("server_error")
    shop.hear(invoice)
    invoice.end("dependency")
    shop.end("dependency")

    [culprit] = verdict(play).culprits
    assert culprit.name == "warehouse POST /parcels"
    assert [unit.service for unit in culprit.victims] == ["shop", "invoice"]


def test_a_deadline_of_its_own_is_its_own():
    """A unit that ran out of time without a callee is to blame."""
    play = Play()
    play.enter("shop").log("x").end("timeout", 504)

    assert culprits(play) == ["shop POST /orders: ran out of time"]


def test_a_peer_that_wrote_no_line_is_named():
    """A service that is not under obskit, or down."""
    play = Play()
    play.enter("shop").log("x").end("dependency", dependency="pay.example:443")

    assert culprits(play) == [
        "pay.example:443: did not do what shop POST /orders asked of it, and has no line here"
    ]


def test_a_callee_that_was_killed_is_named():
    """Its last line is missing, and its caller failed by it."""
    play = Play()
    shop = play.enter("shop").log("x")
    shop.call("invoice").log("y")
    shop.end("dependency", dependency="invoice")

    assert culprits(play) == [
        "invoice: left no last line: it was killed, or its last lines are lost"
    ]


def test_a_refusal_is_the_callees():
    """A limiter that said no made its caller fail."""
    play = Play()
    shop = play.enter("shop").log("x")
    invoice = shop.call("invoice").log("y")
    shop.hear(invoice)
    invoice.end("rejected", 503)
    shop.end("dependency", dependency="invoice")

    assert culprits(play) == ["invoice POST /parcels: refused the work"]


def test_a_retry_that_succeeds_makes_good():
    """Mentioned, not blamed."""
    play = Play()
    shop = play.enter("shop").log("x")
    for outcome in ("server_error", "ok"):
        invoice = shop.call("invoice").log("y")
        shop.hear(invoice)
        invoice.end(outcome)
    shop.log("z").end()

    found = verdict(play)
    assert found.culprits == ()
    assert [unit.service for unit in found.recovered] == ["invoice"]


def test_a_caller_that_does_without_makes_good():
    """The shop answered although the price service failed."""
    play = Play()
    shop = play.enter("shop").log("x")
    price = shop.call("price").log("y")
    shop.hear(price)
    price.end("server_error")
    shop.end()

    found = verdict(play)
    assert found.culprits == ()
    assert len(found.recovered) == 1


def test_a_message_that_failed_is_a_failure_although_its_sender_went_well():
    """Nobody waited for it, so nobody made it good."""
    play = Play()
    shop = play.enter("shop").log("x")
    header = shop.send()
    shop.end()
    play.enter("mail", "message orders", header, causation_id=shop.span).log("y").end(
        "server_error", **KEY_ERROR
    )

    assert culprits(play) == ["mail kafka orders: KeyError: 'XX'"]


def test_a_message_that_was_delivered_again_is_made_good():
    """The second try has the same cause."""
    play = Play()
    shop = play.enter("shop").log("x")
    shop.log("to be sent")
    header = shop.send()
    shop.end()
    mail = play.enter("mail", "message orders", header, causation_id=shop.span).log("y")
    mail.end("server_error")
    play.enter("mail", "message orders", mail.send(), causation_id=shop.span).log("y").end()

    assert culprits(play) == []


@pytest.mark.parametrize(("task_id", "left"), [("7", []), ("8", ["invoice write: Lost"])])
def test_a_task_that_was_redelivered_is_made_good(task_id, left):
    """Both deliveries are of one message: none knows of the other, and the ID tells."""
    play = Play()
    shop = play.enter("shop").log("x")
    header = shop.send()
    shop.end()
    first = play.enter("invoice", "task write", header, causation_id=shop.span)
    first.end("server_error", error_type="Lost", task_id="7")
    second = play.enter("invoice", "task write", header, causation_id=shop.span)
    second.end(task_id=task_id, redelivered=True)

    assert culprits(play) == left


def test_of_two_failures_the_earlier_one_is_first():
    """By cause, not by time."""
    play = Play(price=-3600)
    shop = play.enter("shop").log("x")
    for name in ("stock", "price"):
        callee = shop.call(name, f"GET /{name}").log("y")
        shop.hear(callee)
        callee.end("server_error", **KEY_ERROR)
    shop.end("dependency")

    assert [one.name for one in verdict(play).culprits] == ["stock GET /stock", "price GET /price"]


def test_without_last_lines_the_first_error_is_to_blame():
    """Services that write no summary still have error lines."""
    play = Play()
    shop = play.enter("shop").log("x")
    invoice = shop.call("invoice").log("broken", "error")
    shop.hear(invoice).log("no invoice", "error")

    assert culprits(play) == ["invoice: broken"]


def test_a_failure_without_words_says_so():
    """A 500 that nothing was logged for."""
    play = Play()
    play.enter("shop").log("x").end("server_error")

    assert culprits(play) == ["shop POST /orders: failed without a word"]
