"""Fixtures for tests of backends.

``start(product, options="", **how) -> (fake, backend)``
    A running fake of a product (see ``tests/fakes/fake.py``) and the backend that is made for its
    URL with further *options* ("&index=shop"). Both end with the test.

``lines(*messages, **fields) -> list[Entry]``
    Canonical lines of now, each with an id of its own.
"""

import itertools
import json
from datetime import UTC, datetime

import pytest

from obskit.shipping import backends, target
from obskit.shipping.entry import Entry
from tests.fakes.fake import Fake

FACTS = {"service": "shop", "version": "1.2", "env": "prod", "host": "web-1"}


@pytest.fixture
def start():
    """Give what starts fakes."""
    made = []

    def run(product, options="", **how):
        fake = Fake(product, **how)
        backend = backends.open(target.parse(fake.url + options), FACTS)
        made.append((fake, backend))
        return fake, backend

    yield run
    for fake, backend in made:
        backend.close()
        fake.stop()


@pytest.fixture
def lines():
    """Give what makes entries."""
    numbers = itertools.count()

    def make(*messages, **fields):
        found = []
        for message in messages:
            time = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
            record = {"timestamp": time, "level": "info", "message": message, "logger": "shop"}
            record |= {"service": "shop", "env": "prod", "host": "web-1", "pid": 7}
            body = json.dumps(record | fields, separators=(",", ":")).encode()
            found.append(Entry(f"AbCdEfGhIjKlMnOpQrStUv-{next(numbers):x}", body))
        return found

    return make
