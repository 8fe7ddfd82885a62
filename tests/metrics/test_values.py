"""The numbers behind metrics, and where they are kept."""

import sys
import threading
from types import SimpleNamespace

import pytest

from obskit import health
from obskit.metrics import values
from obskit.metrics.values import Memory, Value

pytestmark = pytest.mark.usefixtures("fresh")


class Shelf:
    """A home that siblings can read: eight pairs of doubles."""

    shared = True

    def __init__(self, era, *, full=False):
        self.era = era
        self.full = full
        self.cells = memoryview(bytearray(8 * 16)).cast("d")
        self.kept = []
        self.names = []

    def place(self, value):
        """Give each name a pair of cells."""
        if self.full:
            raise OSError("the disk is full")
        name = value.identity.sample
        if name not in self.names:
            self.names.append(name)
        return self.cells, 2 * self.names.index(name)

    def keep_exemplar(self, identity, exemplar):
        """Remember it."""
        self.kept.append((identity.sample, exemplar))


def value(name="n_total", kind="counter"):
    """Make a value as prometheus_client does."""
    return Value(kind, name, name, ["a"], ["b"], "What it is", multiprocess_mode="", further=1)


def test_a_number_is_kept():
    """It goes up, is replaced, and is read."""
    number = value()
    number.inc(2)
    number.inc(0.5)
    assert number.get() == 2.5
    number.set(7)
    assert number.get() == 7
    number.set_exemplar("exemplar")
    assert number.get_exemplar() == "exemplar"


def test_a_number_moves_with_its_process():
    """What was counted in memory goes on where siblings can read it."""
    number = value()
    number.inc(3)
    shelf = Shelf(values.home().era)
    values.use(shelf)
    number.inc(1)

    assert number.get() == 4
    assert shelf.cells[0] == 4
    number.set_exemplar("exemplar")
    assert shelf.kept == [("n_total", "exemplar")]


def test_a_counter_goes_on_where_the_last_process_stopped():
    """A new process in the slot adds to what it finds; a gauge begins with it."""
    shelf = Shelf(values.home().era)
    shelf.cells[0], shelf.cells[2] = 10, 5
    counter, gauge = value("c_total"), value("g", "gauge")
    counter.inc(1)
    gauge.inc(1)
    values.use(shelf)

    assert counter.get() == 11
    assert gauge.get() == 1


def test_what_a_fork_has_inherited_stays_with_the_parent():
    """The child begins at zero: its parent goes on counting the rest."""
    number = value()
    number.inc(3)
    values.use(Memory(object()))

    assert number.get() == 0


def test_a_number_without_a_place_is_kept_in_memory():
    """A full disk is reported once for each number, and no count is lost for this process."""
    number = value()
    number.inc(1)
    values.use(Shelf(values.home().era, full=True))
    for _ in range(5):
        number.inc(1)

    assert number.get() == 6
    assert health.internal_errors == {"metrics.file": 1}


def test_who_had_no_place_is_asked_again():
    """A metric that is registered late is moved when everything is."""
    number = value()
    shelf = Shelf(values.home().era, full=True)
    values.use(shelf)
    number.inc(2)
    shelf.full = False
    values.move_all()

    assert shelf.cells[0] == 2


def test_errors_are_reported_when_the_lock_is_free():
    """Whoever listens for errors may count, log and wait for other threads that count."""
    free = []

    def try_lock():
        free.append(values._lock.acquire(timeout=5))
        values._lock.release()

    def listen(*_):
        other = threading.Thread(target=try_lock)
        other.start()
        other.join()

    health.on_count(listen)
    values.use(Shelf(values.home().era, full=True))
    value().inc(1)

    assert free == [True]


def test_a_home_is_found_when_it_is_needed():
    """A process that counts nothing takes no slot; the first number settles it."""
    found = []

    def settle():
        found.append(Shelf(values.home().era))
        return found[-1]

    values.settle_by(settle)
    values.use(values.Unsettled(values.home().era))
    number = value()
    assert not found
    number.inc(1)
    number.inc(1)

    assert len(found) == 1
    assert found[0].cells[0] == 2


def test_a_failed_exemplar_is_contained():
    """The number is counted, the request goes on, the error is counted."""
    shelf = Shelf(values.home().era)
    shelf.keep_exemplar = lambda *_: 1 / 0
    values.use(shelf)
    number = value()
    number.inc(1)
    number.set_exemplar(SimpleNamespace())

    assert health.internal_errors == {"metrics.exemplar": 1}


def test_threads_lose_no_count():
    """Many threads on one number, in memory and in a file."""
    for home in (Memory(object()), Shelf(object())):
        values.use(home)
        number = value()
        threads = [
            threading.Thread(target=lambda n=number: [n.inc(1) for _ in range(5000)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert number.get() == 20_000


def test_a_child_is_not_stuck_in_its_parents_lock():
    """The lock that another thread held at the fork is replaced."""
    assert values.before_fork(1.0)
    held = threading.Thread(target=values.child_after_fork)
    held.start()
    held.join()
    number = value()
    number.inc(1)

    assert number.get() == 1


def test_several_numbers_are_brought_at_once():
    """All of them are where this process keeps its numbers, with what they have counted."""
    numbers = [value("first_total"), value("second_total")]
    numbers[1].inc(2)
    shelf = Shelf(values.home().era)
    values.use(shelf)

    assert values.bring(numbers) is shelf
    assert [number._cells is shelf.cells for number in numbers] == [True, True]
    assert list(shelf.cells[:4]) == [0, 0, 2, 0]


def test_what_goes_wrong_on_the_way_is_reported():
    """The numbers stay in memory."""
    number = value()
    values.use(Shelf(values.home().era, full=True))
    values.bring([number])

    assert health.internal_errors == {"metrics.file": 1}
    assert number._cells is None


@pytest.fixture
def restless():
    """Let threads take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def run_together(*functions):
    """Run each in a thread of its own, all beginning at once, and wait for their ends."""
    barrier = threading.Barrier(len(functions))
    threads = [
        threading.Thread(target=lambda f=function: (barrier.wait(), f())) for function in functions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.usefixtures("restless")
def test_a_home_is_found_once_however_many_look_for_it():
    """Who asks for the numbers while others count takes no home away that was just found."""
    found = []

    def settle():
        found.append(Shelf(values.home().era))
        return found[-1]

    values.settle_by(settle)
    for _ in range(300):
        found.clear()
        values.use(Memory(object()))
        number = value()

        def count(number=number):
            for _ in range(5):
                number.inc(1)

        def share():
            for _ in range(5):
                values.unsettle()

        values.unsettle()
        run_together(count, share, count, share)
        assert len(found) == 1
        assert found[0].cells[0] == 10


@pytest.mark.skipif(not values.ATOMIC, reason="without a global lock nothing is atomic")
@pytest.mark.usefixtures("restless")
def test_counting_without_the_lock_loses_nothing():
    """Not while others count with it, nor while the number moves to a file."""
    for _ in range(40):
        values.use(Memory(object()))
        number = value()
        number.inc(0)

        def count(number=number):
            for _ in range(2000):
                cells = number._cells
                if cells is None:
                    number._number += 1.0
                else:
                    cells[number._index] += 1.0

        def count_safely(number=number):
            for _ in range(500):
                number.inc(1)

        def move():
            values.use(Shelf(values.home().era))

        run_together(count, count, count_safely, move)
        assert number.get() == 4500
