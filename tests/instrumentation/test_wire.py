"""Header names for the policy in force."""

from obskit import propagation
from obskit.instrumentation import _wire
from obskit.propagation import Policy


def test_the_names_follow_the_policy():
    """Another header name is looked for and sent after the policy has changed."""
    before = _wire.current()
    propagation.configure(Policy(correlation_header="X-Case"))
    after = _wire.current()

    assert after is not before
    assert after.correlation_bytes == b"x-case"
    assert b"x-case" in after.scope_names
    assert after.environ_names["HTTP_X_CASE"] == "x-case"
    assert _wire.current() is after


def test_a_policy_may_send_no_id():
    """Where correlation is not propagated, the answer's headers are left alone."""
    propagation.configure(Policy(propagate=frozenset({"w3c"})))

    assert not _wire.current().says_id
    assert _wire.current().replaced == {"obskit-cause"}


def test_names_of_headers_mean_the_same_in_any_spelling():
    """What is ours, what is looked at, and all others; a name that is hostile is not kept."""
    known = _wire.current().known
    meanings = [
        known[name] for name in ("X-Correlation-ID", "obskit-CAUSE", "Content-Length", "Vary")
    ]
    for number in range(1000):
        assert known[f"x-{number}"] is None

    assert meanings == [True, True, False, None]
    assert known["x-CORRELATION-id"] is True
    assert len(known) <= 500
