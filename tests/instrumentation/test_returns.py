"""Hooks on methods of what calls return."""

import sqlite3

import pytest

from obskit.instrumentation._drive import Switch
from obskit.instrumentation._returns import returns
from obskit.observation import Kind, Observation

SOURCE = """
import sqlite3

def connect(path):
    return sqlite3.connect(path)

class Cursor:
    def __init__(self):
        self.rows = ["one", "two"]
    async def execute(self, text):
        return text.upper()
    def __aiter__(self):
        return self
    async def __anext__(self):
        if self.rows:
            return self.rows.pop(0)
        raise StopAsyncIteration

class Connection:
    async def __aenter__(self):
        return self
    async def __aexit__(self, *error):
        return None
    def cursor(self):
        return Cursor()

async def aconnect():
    return Connection()
"""


def hook(call):
    yield Observation(f"query {call.argument(0, 'sql').split()[0]}", Kind.CLIENT, protocol="db")


@pytest.fixture
def module(library, observed):
    """Give the toy with the execute methods of its cursors observed."""
    module = library("obskit_toy_returns", SOURCE)
    switch = Switch("toy")
    switch.on = True
    for word in (
        returns("obskit_toy_returns", "connect", "cursor", "execute"),
        returns("obskit_toy_returns", "connect", "execute"),
        returns("obskit_toy_returns", "aconnect", "cursor", "execute"),
    ):
        target = word(lambda call: None).obskit_targets[0]
        made = target.make(getattr(module, target.path), False, hook, switch)
        setattr(module, target.path, made)
    module.switch = switch
    return module


def test_a_cursor_of_a_c_library_is_observed(module, observed):
    """Connections whose type is immutable are reached through what connect returns."""
    connection = module.connect(":memory:")
    cursor = connection.cursor()
    cursor.execute("select 1")

    assert cursor.fetchall() == [(1,)]
    assert [work.name for work in observed] == ["query select"]
    connection.close()


def test_the_connection_itself_may_have_the_method(module, observed):
    """Two ways to a query are both observed."""
    connection = module.connect(":memory:")
    assert connection.execute("select 2").fetchone() == (2,)
    assert len(observed) == 1
    connection.close()


def test_the_results_are_what_they_were(module):
    """Type checks, attributes and assignments work through the wrapping."""
    connection = module.connect(":memory:")

    assert isinstance(connection, sqlite3.Connection)
    assert isinstance(connection.cursor(), sqlite3.Cursor)
    assert connection.total_changes == 0
    connection.row_factory = sqlite3.Row
    assert connection.execute("select 3 as x").fetchone()["x"] == 3
    connection.close()


def test_a_cursor_is_iterated_as_ever(module):
    """Rows come one by one."""
    connection = module.connect(":memory:")
    cursor = connection.cursor()
    cursor.execute("select 1 union select 2 order by 1")

    assert [row[0] for row in cursor] == [1, 2]
    connection.close()


def test_a_context_manager_that_returns_itself_stays_wrapped(module, observed):
    """``with connect() as connection`` does not lead around the hook."""
    with module.connect(":memory:") as connection:
        connection.execute("select 1")

    assert len(observed) == 1
    connection.close()


def test_errors_of_the_library_arrive_unchanged(module, observed):
    """A wrong query raises what it raised."""
    connection = module.connect(":memory:")
    with pytest.raises(sqlite3.OperationalError, match="syntax error"):
        connection.execute("selec 1")

    assert observed[0].outcome == "dependency"
    connection.close()


def test_a_row_that_is_off_observes_nothing(module, observed):
    """The wrapping stays and passes through."""
    module.switch.on = False
    connection = module.connect(":memory:")

    assert connection.execute("select 1").fetchone() == (1,)
    assert not observed
    connection.close()


async def test_async_drivers_are_reached_too(module, observed):
    """A connection that is awaited, with a cursor whose execute is awaited."""
    async with await module.aconnect() as connection:
        cursor = connection.cursor()
        assert await cursor.execute("select x") == "SELECT X"
        assert [row async for row in cursor] == ["one", "two"]

    assert [work.name for work in observed] == ["query select"]
