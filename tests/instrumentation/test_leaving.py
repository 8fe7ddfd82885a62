"""How loops over generators are left."""

import contextlib
import gc
import itertools
import sys

import pytest

from obskit.instrumentation import _leaving

TOLD = []
FOUND = []


def items():
    """Yield numbers, and note what is found out at the end."""
    for number in range(5):
        asked_at = _leaving.place()
        try:
            yield number
        except GeneratorExit:
            TOLD.append(_leaving.why(asked_at))
            FOUND.append(_leaving.error())
            raise


def broken_off():
    for _ in items():
        break


def returned_from():
    for number in items():
        return number
    return None


def returned_from_within():
    for _ in items():
        for other in "ab":
            with contextlib.nullcontext():
                return other
    return None


def left_behind():
    found = items()
    for _ in found:
        break
    return 1


def closed():
    found = items()
    next(found)
    found.close()


def rebound():
    found = items()
    next(found)
    found = items
    assert found


def deleted():
    found = items()
    next(found)
    del found


def broken_off_in_a_handler():
    for _ in items():
        try:
            int("x")
        except ValueError:
            break


def taken_some():
    for _ in itertools.islice(items(), 2):
        pass


def counted():
    for number, _ in enumerate(items()):
        if number:
            break


def made_for_one():
    return next(items())


def made_for_one_each_time():
    for _ in range(2):
        last = next(items())
    return last


def raised():
    for _ in items():
        raise ValueError


def failed_in_a_call():
    for _ in items():
        int("x")


def failed_otherwise():
    for number in items():
        number / 0


def failed_in_a_handler():
    for _ in items():
        try:
            int("x")
        except ValueError:
            raise KeyError from None


def caught_outside():
    with contextlib.suppress(ValueError):
        for _ in items():
            int("x")


@pytest.mark.parametrize(
    ("leave", "why"),
    [
        (broken_off, "done"),
        (returned_from, "done"),
        (returned_from_within, "done"),
        (left_behind, "done"),
        (closed, "done"),
        (rebound, "done"),
        (deleted, "done"),
        (broken_off_in_a_handler, "done"),
        (taken_some, "done"),
        (counted, "done"),
        (made_for_one, "one"),
        (made_for_one_each_time, "one"),
        (raised, "failed"),
        (failed_in_a_call, "failed"),
        (failed_otherwise, "failed"),
        (failed_in_a_handler, "failed"),
        (caught_outside, "failed"),
    ],
)
def test_a_generator_finds_out_how_its_loop_was_left(leave, why):
    """On purpose, by an error, or not at all: it was made for one item."""
    TOLD.clear()
    with contextlib.suppress(ArithmeticError, LookupError, ValueError):
        leave()

    assert set(TOLD) == {why}


def failed_after_others():
    kept = []
    for number in items():
        try:
            int("x")
        except ValueError as error:
            kept.append(error)
        if number == 3:
            raise KeyError(number)


def raised_again():
    for _ in items():
        try:
            int("x")
        finally:
            TOLD.clear()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="an error is made when it is caught")
@pytest.mark.parametrize(
    ("leave", "kind"),
    [
        (failed_in_a_call, ValueError),
        (failed_in_a_handler, KeyError),
        (caught_outside, ValueError),
        (failed_after_others, KeyError),
        (raised_again, ValueError),
        (broken_off_in_a_handler, type(None)),
        (returned_from, type(None)),
    ],
)
def test_the_error_that_leaves_a_loop_is_found(leave, kind):
    """It is the one on its way, not one that was caught before."""
    FOUND.clear()
    with contextlib.suppress(LookupError, ValueError):
        leave()

    assert [type(error) for error in FOUND] == [kind]


def test_nobody_looks_for_an_error_among_very_many_objects():
    """Where the collector was told to wait for long the search would take too long."""
    FOUND.clear()
    before = gc.get_threshold()
    gc.set_threshold(_leaving.MOST_YOUNG + 1)
    try:
        with contextlib.suppress(ValueError):
            failed_in_a_call()
    finally:
        gc.set_threshold(*before)

    assert FOUND == [None]
