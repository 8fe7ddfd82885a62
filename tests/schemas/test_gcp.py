"""Google Cloud's structured logging."""

from obskit.schemas import gcp
from tests.schemas.records import FULL, PROCESS, WARNING

SPECIAL = "logging.googleapis.com/"


def test_a_summary_line_has_a_request():
    """Method, path, status and latency where the Logs Explorer looks for them."""
    found = gcp.encode(FULL, project="shop-prod")

    assert list(found)[:3] == ["severity", "message", "time"]
    assert found["httpRequest"] == {
        "requestMethod": "GET", "requestUrl": "/x/7", "status": 503, "latency": "0.012345s",
    }  # fmt: skip
    assert found[SPECIAL + "trace"] == "projects/shop-prod/traces/" + "a" * 32
    assert found[SPECIAL + "spanId"] == "b" * 16
    assert found[SPECIAL + "labels"]["service"] == "shop"
    assert found["stack_trace"] == FULL["error_stack"]
    assert found["order_id"] == "CD-7"


def test_only_a_request_has_one():
    """A task has a duration, too."""
    found = gcp.encode(PROCESS | {"duration_ms": 5.5, "task_name": "mail"})

    assert "httpRequest" not in found
    assert found["duration_ms"] == 5.5


def test_a_trace_without_a_project_has_its_id_alone():
    """Who reads it may know the project."""
    assert gcp.encode(FULL)[SPECIAL + "trace"] == "a" * 32


def test_what_was_sampled_is_said_where_the_application_knows():
    """A boolean of that name."""
    found = gcp.encode(PROCESS | {"trace_sampled": True})

    assert found[SPECIAL + "trace_sampled"] is True
    assert gcp.decode(found) == PROCESS | {"trace_sampled": True}
    assert gcp.encode(PROCESS | {"trace_sampled": 1})["trace_sampled"] == 1


def test_the_place_of_a_warning_is_its_source():
    """The line is text there."""
    assert gcp.encode(WARNING)[SPECIAL + "sourceLocation"] == {"file": "shop/cart.py", "line": "12"}


def test_a_number_that_no_payload_can_hold_is_text():
    """Its last digits would change otherwise."""
    found = gcp.encode(PROCESS | {"id": 2**60 + 1, "severity": "mine"})

    assert found["id"] == str(2**60 + 1)
    assert found["severity"] == "INFO"
    assert gcp.decode(found) == PROCESS | {"id": 2**60 + 1, "severity": "mine"}
