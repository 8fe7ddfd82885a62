"""Ways to fail, for the tests of what is said about errors."""


def plain():
    """Raise an error."""
    raise ValueError("plain")


def spoken():
    """Raise an error of several lines."""
    raise ValueError("first\nsecond")


def chained():
    """Raise an error while another one is handled."""
    try:
        plain()
    except ValueError:
        raise KeyError("second")  # noqa: B904 - the missing cause is what is tested


def caused():
    """Raise an error because of another one."""
    try:
        plain()
    except ValueError as error:
        raise RuntimeError("third") from error


def suppressed():
    """Raise an error in the stead of another one."""
    try:
        plain()
    except ValueError:
        raise RuntimeError("alone") from None


def caught(function):
    """Return the error that *function* raises."""
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def grouped():
    """Raise several errors at once."""
    raise ExceptionGroup("many", [caught(plain), caught(caused)])


def nested():
    """Raise groups within a group."""
    raise ExceptionGroup("outer", [caught(grouped), caught(spoken), OSError("never raised")])


def group_in_chain():
    """Raise an error because of several."""
    try:
        grouped()
    except ExceptionGroup as error:
        raise RuntimeError("after a group") from error


def group_after_chain():
    """Raise several errors while another one is handled."""
    try:
        plain()
    except ValueError:
        grouped()


def endless():
    """Call itself until there is no room left."""
    endless()


def ping():
    """Call the other one."""
    pong()


def pong():
    """Call the one."""
    ping()


def in_library():
    """Fail deep in a library."""
    import json

    json.loads("{")


def executed():
    """Fail in code that stands in no file."""
    exec("def inner():\n    return 1 / 0\ninner()", {"__name__": "made"})


def bad_syntax():
    """Compile what is no code."""
    compile("x = (\n", "bad.py", "exec")


class Unspeakable(Exception):
    """An error whose text cannot be had."""

    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


def unspeakable():
    """Raise an error whose text cannot be had."""
    raise Unspeakable


WAYS = (
    plain, spoken, chained, caused, suppressed, grouped, nested, group_in_chain, group_after_chain,
    endless, ping, in_library, executed,
)  # fmt: skip
