"""What is seen of the orders, without and with IDs."""

from obskit.cli import _mystery

UNKNOWN, INVALID = "Unknown country code", "Invalid country code"


def line(service, correlation_id, message, timestamp="1", level="error", **more):
    """Return a line of a service's own logger."""
    return {
        "service": service,
        "logger": service,
        "correlation_id": correlation_id,
        "message": message,
        "timestamp": timestamp,
        "level": level,
        **more,
    }


def summary(correlation_id, customer, status):
    """Return the summary line of an order."""
    more = {"url_path": f"/orders/{customer}", "http_response_status_code": status}
    return line("shop", correlation_id, "request finished", "9", "info", **more)


LINES = [
    line("inventory", "b", INVALID, "0"),
    line("shop", "a", UNKNOWN, "1", "warn"),
    line("shop", "b", UNKNOWN, "2", "warn"),
    line("inventory", "b", "Exception on /reservations [POST]", "3"),
    summary("a", "zoe", 200),
    summary("b", "ann", 502),
    {"scope": "process", "service": "shop", "message": "process started", "timestamp": "0"},
]


def test_words_of_both_services_are_put_together_by_id():
    """Who said what about whom is a matter of looking at the ID."""
    ann, zoe = _mystery.tell_apart(LINES)

    assert (ann.customer, ann.shop, ann.inventory, ann.status) == (
        "ann", (UNKNOWN,), (INVALID,), 502,
    )  # fmt: skip
    assert (zoe.customer, zoe.shop, zoe.inventory) == ("zoe", (UNKNOWN,), ())
    assert ann.is_mysterious
    assert not zoe.is_mysterious


def test_by_time_is_by_the_clock_alone():
    """The lines of one operation, sorted as log viewers do."""
    assert [one["timestamp"] for one in _mystery.by_time(LINES, "b")] == ["0", "2", "3", "9"]


def test_bare_words_are_warnings_and_errors_of_the_shop(tmp_path):
    """Tracebacks, information and the servers' own words are left out."""
    log = tmp_path / "log"
    log.write_bytes(
        b"[Shop] INFO Order received\n[Shop] WARN Unknown country code\n"
        b"Traceback \xff\n[Inventory] ERROR Invalid country code\n[7] [INFO] Booting\n"
    )

    assert _mystery.bare_words(log) == [f"[Shop] WARN {UNKNOWN}", f"[Inventory] ERROR {INVALID}"]
