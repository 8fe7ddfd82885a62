"""How frames are shown, folded and told apart."""

import os
import sys
import types

import pytest

from obskit.logs import frames
from obskit.logs.frames import Place, place_of, shown, trail, walk
from tests.logs import failing
from tests.logs.failing import caught

SITE = "/usr/lib/python3/dist-packages"


def app(name):
    """Return a place in the application."""
    return Place(f"  app.py:1 in {name}", "", f"app:{name}")


def lib(name):
    """Return a place in a library."""
    return Place(f"  {name}/x.py:1 in f", name, f"{name}.x:f")


@pytest.fixture(autouse=True)
def as_found():
    """Forget what a test made known."""
    yield
    frames.configure(())


def test_runs_of_libraries_are_one_line():
    """What one did not write is named, not shown."""
    places = [app("a"), lib("starlette"), lib("anyio"), lib("starlette"), app("b"), lib("uvicorn")]

    assert shown(places) == [
        "  app.py:1 in a",
        "  ... 3 frames in starlette, anyio",
        "  app.py:1 in b",
        "  ... 1 frame in uvicorn",
    ]


def test_the_frame_that_raised_is_shown_also_in_a_library():
    """What a library did not like is told by the place that says so."""
    assert shown([lib("json"), lib("json"), app("a")]) == [
        "  json/x.py:1 in f",
        "  ... 1 frame in json",
        "  app.py:1 in a",
    ]


def test_an_error_within_libraries_shows_some_of_them():
    """Where there is no own code, four frames are better than none."""
    places = [Place(f"  x.py:{i} in f", "lib", f"x:{i}") for i in range(9)]

    assert shown(places) == [
        *(f"  x.py:{i} in f" for i in range(frames.SHOWN_BY_LIBRARIES)),
        "  ... 5 frames in lib",
    ]


def test_many_libraries_are_not_all_named():
    """A fold stays short."""
    places = [app("a"), *(lib(name) for name in "bcdefgh")]

    assert shown(places)[1] == "  ... 7 frames in b, c, d, e, others"


@pytest.mark.parametrize(
    ("file", "library"),
    [
        (f"{SITE}/starlette/routing.py", "starlette"),
        (f"{SITE}/six.py", "six"),
        ("/app/.venv/lib/python3.12/site-packages/a/b/c.py", "a"),
        (os.__file__, "os"),
        (os.path.join(os.path.dirname(os.__file__), "json", "decoder.py"), "json"),
        ("<frozen importlib._bootstrap>", "importlib"),
        ("<frozen runpy>", "runpy"),
        (frames.__file__, "obskit"),
        ("/app/shop/orders.py", ""),
        ("<string>", ""),
        ("", ""),
    ],
)
def test_libraries_are_known_by_their_place(file, library):
    """What is installed, built in or of obskit is a library; all else is the application."""
    assert place_of(file, 1, "f", "", "").library == library


def test_an_installed_application_can_be_named():
    """A service that is installed as a package is still the application."""
    frames.configure(["shop"])

    assert place_of(f"{SITE}/shop/orders.py", 1, "f", "", "").library == ""
    assert place_of(f"{SITE}/other/orders.py", 1, "f", "", "").library == "other"


def test_paths_begin_where_python_imports_from(monkeypatch):
    """Two machines with different folders say the same."""
    monkeypatch.setattr(sys, "path", ["/", "/srv", "/srv/app", 5])

    place = place_of("/srv/app/shop/orders.py", 41, "Order.place", "", "pay()")
    assert place.text == "  shop/orders.py:41 in Order.place: pay()"
    assert place.identity == "shop.orders:place"
    assert place_of("/else/where.py", 1, "f", "shop.where", "").identity == "shop.where:f"
    assert place_of("/else/where.py", 1, "f", "", "").identity == "where:f"


def test_a_copy_of_a_function_in_another_file_is_another_place():
    """Code objects of equal content are equal to Python."""
    source = "def f():\n    raise ValueError\nf()"
    trails = [
        trail(caught(lambda p=path: exec(compile(source, p, "exec"), {})).__traceback__)
        for path in ("/srv/one.py", "/srv/two.py")
    ]

    assert "one.py:2 in f" in trails[0].text
    assert "two.py:2 in f" in trails[1].text


def test_a_recursion_is_counted():
    """A thousand equal frames are two lines."""
    lines = trail(caught(failing.endless).__traceback__).text.split("\n")

    assert "in endless" in lines[0]
    assert lines[1].startswith("  ... that frame ")
    assert lines[1].endswith(" more times")
    assert len(lines) == 3


def test_functions_that_call_each_other_are_counted_too():
    """The cycle is shown once."""
    lines = trail(caught(failing.ping).__traceback__).text.split("\n")

    assert {line.partition(" in ")[2].partition(":")[0] for line in lines[:2]} == {"ping", "pong"}
    assert lines[2].startswith("  ... those 2 frames ")
    assert len(lines) <= 6


def test_a_traceback_longer_than_any_is_not_walked_through():
    """Of a hundred thousand frames, both ends are kept."""
    one = caught(failing.plain).__traceback__
    for number in range(100_000):
        one = types.TracebackType(one, one.tb_frame, one.tb_lasti, number)

    places = walk(one)
    assert len(places) <= frames.MOST_WALKED + 1
    assert any(place.text.endswith(" frames left out") for place in places)
    assert "in plain" in places[0].text


def test_a_long_stack_of_one_application_is_bounded():
    """Its ends say most."""
    lines = shown([app(str(number)) for number in range(1000)])

    assert len(lines) <= frames.MOST_SHOWN + 1
    assert lines[0].endswith(" in 0")
    assert lines[-1].endswith(" in 999")


def test_long_lines_of_source_are_cut(tmp_path):
    """A table in one line of code does not fill the log."""
    path = tmp_path / "wide.py"
    path.write_text("x = 1 / 0, " + "1, " * 1000)

    text = trail(
        caught(lambda: exec(compile(path.read_text(), str(path), "exec"), {})).__traceback__
    ).text
    assert text.split("\n")[0].endswith(" ...")
    assert len(text.split("\n")[0]) < len(str(path)) + frames.LONGEST_SOURCE + 50


@pytest.mark.parametrize(
    "names", [{}, {"__name__": 5}, {"__name__": "__main__"}, {"__loader__": 5}]
)
def test_any_module_will_do(names):
    """Code may run with any globals."""
    assert trail(caught(lambda: exec("1/0", dict(names))).__traceback__).text.startswith(
        "  <string>:1"
    )


def test_memory_is_bounded(monkeypatch):
    """Code that is made again and again does not stay."""
    monkeypatch.setattr(frames, "MOST_PLACES", 10)
    monkeypatch.setattr(frames, "MOST_TRAILS", 5)
    for number in range(50):
        trail(caught(lambda n=number: exec(f"def f{n}(): 1/0\nf{n}()", {})).__traceback__)

    assert len(frames._places) <= 10
    assert len(frames._trails) <= 5


def test_no_traceback_is_an_empty_trail():
    """An error that was never raised came from nowhere."""
    assert trail(None) == ("", ())
