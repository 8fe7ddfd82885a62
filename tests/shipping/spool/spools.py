"""What tests of the spool have in common: to fill it, to empty it, to look at its files."""

import os
import re

from obskit.shipping.spool import Reader, ledger
from obskit.shipping.spool.segments import listing


def lines(count, start=0, length=40):
    """Return so many different bodies."""
    return [b'{"n":%d,"x":"%s"}' % (start + n, b"x" * length) for n in range(count)]


def numbers(bodies):
    """Return the numbers of bodies made by `lines`."""
    return [int(re.match(rb'{"n":(\d+),', body)[1]) for body in bodies]


def drain(reader, most=1000):
    """Take all that *reader* has; return the entries."""
    found = []
    reader._look_at = 0.0
    while batch := reader.batch(most, 1 << 20):
        reader.decide(taken=len(batch))
        found += batch
    return found


def drained(folder, destination="es", **options):
    """Take all that is there; return the bodies."""
    return [entry.body for entry in drain(Reader(folder, destination, **options))]


def standing(folder, destination="es"):
    """Return how a destination stands, and see that it adds up."""
    one = next(one for one in ledger(folder).standings if one.destination == destination)
    assert one.logged == one.taken + one.dead + sum(one.dropped.values()) + one.waiting
    return one


def files(folder):
    """Return the names of the segments."""
    return [os.path.basename(one.path) for one in listing(folder)]
