"""What a service reads, and whom it believes."""

import pytest

from obskit.propagation import Policy

OUTSIDE = "93.184.216.34"


@pytest.mark.parametrize(
    ("trust", "believes_outside", "believes_inside"),
    [("auto", False, True), ("internal", True, True), ("edge", False, False)],
)
def test_trust_decides_who_is_believed(trust, believes_outside, believes_inside):
    """Everybody, nobody, or who is inside."""
    judge = Policy(trust=trust).judge()

    assert judge(OUTSIDE, {}) is believes_outside
    assert judge("10.0.0.9", {}) is believes_inside


@pytest.mark.parametrize(("trust", "known"), [("auto", True), ("internal", False), ("edge", False)])
def test_who_was_found_inside_is_known_where_that_counts(trust, known):
    """At an edge nobody is near, whoever was seen by others of the same boundary."""
    policy = Policy(trust=trust)
    policy.judge()("10.0.0.9", {})
    policy.boundary.trusts("10.0.0.9", {})

    assert ("10.0.0.9" in policy.near()) is known


def test_headers_of_other_names_are_read_instead():
    """In lower case, as carriers have them."""
    names = Policy(correlation_header="X-Trace", cause_header="X-Cause").names()

    assert {"x-trace", "x-cause", "traceparent", "b3"} <= names
    assert not {"x-correlation-id", "obskit-cause"} & names
