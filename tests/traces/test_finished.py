"""Spans that are over, and those who take them."""

from obskit import health, observation, traces
from obskit.context import DEBUG
from obskit.observation import Kind, Observation, unit_of_work
from obskit.traces import finished


def test_all_who_listen_get_each_span(joined):
    """Once each, however often somebody has said that he listens."""
    first, second = [], []
    traces.listen(first.append)
    traces.listen(second.append)
    with unit_of_work("job"):
        pass
    traces.unlisten(second.append)
    with unit_of_work("job"):
        pass

    assert (len(first), len(second)) == (2, 1)
    assert finished.is_listening()


def test_the_same_listener_counts_once(joined):
    """To say it twice changes nothing."""
    taken = []

    def take(span):
        taken.append(span)

    traces.listen(take)
    traces.listen(take)
    with unit_of_work("job"):
        pass
    assert len(taken) == 1


def test_a_listener_that_raises_is_contained_and_counted(joined):
    """The others get the span nevertheless."""
    taken = []
    traces.listen(lambda span: 1 / 0)
    traces.listen(taken.append)
    with unit_of_work("job"):
        pass

    assert len(taken) == 1
    assert health.internal_errors == {"traces.listener": 1}
    assert health.lost == {("spans", "listener"): 1}


def test_what_is_collected_is_bounded(joined):
    """The last ones stay."""
    with traces.collected(2) as spans:
        for name in "abc":
            with unit_of_work(name):
                pass
    with unit_of_work("d"):
        pass

    assert [span.name for span in spans] == ["b", "c"]
    assert not finished.is_listening()


def test_an_error_is_said_of_the_span(spans):
    """With what it was."""
    work = Observation("job")
    observation.start(work)
    observation.end(work, LookupError("no such order"))

    (span,) = spans
    assert (span.status, span.description) == ("error", "LookupError: no such order")
    assert span.attributes["error.type"] == "LookupError"
    assert "LookupError" not in repr(span)


def test_links_and_debug_are_kept(spans):
    """B3's debug is for whoever encodes it."""
    work = Observation("job")
    work.links = (("1" * 32, "2" * 16),)
    observation.start(work)
    work.context.unit.flags |= DEBUG
    observation.end(work)

    assert spans[0].links == [finished.Link("1" * 32, "2" * 16, {})]
    assert spans[0].debug is True


def test_what_has_no_context_has_no_span():
    """It never began."""
    assert finished.of(Observation("x", Kind.SERVER)) is None
