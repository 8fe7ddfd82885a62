"""What goes up together when work of one kind goes well."""

import dis
import sys

import pytest

from obskit import observation
from obskit.metrics import values
from obskit.metrics.red import Red
from tests.metrics.test_red import SERVED, series, serve
from tests.metrics.test_values import run_together


class Shelf:
    """A home that siblings can read."""

    shared = True

    def __init__(self):
        self.era = values.home().era
        self.cells = memoryview(bytearray(16 * 500)).cast("d")
        self.places = {}

    def place(self, value):
        """Give each number a pair of cells."""
        identity = value.identity
        key = (identity.sample, identity.label_values)
        return self.cells, 2 * self.places.setdefault(key, len(self.places))

    def keep_exemplar(self, identity, exemplar):
        """Keep none."""


LABELS = SERVED | {"outcome": "ok", "http_response_status_code": "200", "synthetic": "false"}


@pytest.fixture
def observer(configured, monkeypatch):
    """Let an observer listen that gives no exemplars, which go the long way."""
    monkeypatch.setattr("obskit.metrics.red.EXEMPLAR_PAUSE_NS", 2**62)
    configured()
    made = Red()
    observation.configure([("metrics", made)])
    return made


def short_way(observer):
    """Return the one row that requests have by now."""
    (row,) = observer._served.rows.values()
    row.duration.slowest_ns = 2**62
    return row


@pytest.mark.skipif(not values.ATOMIC, reason="each number is locked")
def test_numbers_of_one_process_alone_go_up_the_shortest_way(observer, samples):
    """Until they are kept where siblings read them."""
    for _ in range(3):
        serve()
    row = short_way(observer)
    serve()
    assert row.alone is not None

    shelf = Shelf()
    values.use(shelf)
    serve()
    serve()

    assert row.alone is None
    assert samples()[series("http_server_requests_total", **LABELS)] == 6
    assert sum(shelf.cells) > 0


@pytest.mark.skipif(not values.ATOMIC, reason="each number is locked")
def test_requests_that_end_while_numbers_move_are_counted(observer, samples):
    """All five numbers of each, whichever thread brings them elsewhere."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        serve()
        serve()
        short_way(observer)

        def several():
            for _ in range(200):
                serve()

        def move():
            for _ in range(20):
                values.use(values.Memory(values.home().era))
                values.move_all()
            values.use(Shelf())

        run_together(several, several, several, move)
    finally:
        sys.setswitchinterval(before)
    found = samples()

    assert found[series("http_server_requests_total", **LABELS)] == 602
    assert found[series("http_server_active_requests", http_request_method="GET")] == 0
    counted = series("http_server_request_duration_seconds_count", **SERVED, outcome="ok")
    assert found[counted] == 602


def test_the_shortest_way_has_no_place_to_come_in_between():
    """From where it is taken to the last number there is no call and no loop."""
    code = list(dis.get_instructions(Red.end))
    taken = next(place for place, step in enumerate(code) if step.argval == "is_alone")
    stored = [place for place, step in enumerate(code) if step.opname == "STORE_ATTR"]
    names = [step.opname for step in code[taken : stored[-1]]]

    assert [code[place].argval for place in stored] == ["_number"] * 6
    assert taken < stored[0]
    assert not [name for name in names if name.startswith("CALL") or "BACKWARD" in name]
