"""Fixtures for tests of the spool.

``folder``
    The path of a service's spool, which does not exist yet.

``appender``
    An Appender over it with room for 64 MiB, closed at the end.
"""

import pytest

from obskit import health
from obskit.shipping.spool import Appender


@pytest.fixture
def folder(tmp_path):
    """Give a path; counts are as new before and after."""
    health.reset()
    yield str(tmp_path / "spool" / "svc")
    health.reset()


@pytest.fixture
def appender(folder):
    """Give an appender."""
    one = Appender(folder, 64 << 20)
    yield one
    one.close()
