"""What the program is called, and whose its streams are."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.settings import (
    LAUNCH,
    Launch,
    google_project,
    kubernetes,
    launch,
    program_name,
    stream_name,
)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("billing.py", "billing"),
        ("/srv/shop/billing.py --fast", "billing"),
        ("-m billing.jobs", "billing"),
        ("-mbilling", "billing"),
        ("-X dev -W error -u billing.py", "billing"),
        ("-m uvicorn --port 80 shop.main:app", "shop"),
        ("/venv/bin/gunicorn --bind localhost:8000 -w 2 shop:create()", "shop"),
        ("gunicorn -b 127.0.0.1:80 warehouse.wsgi", "gunicorn"),
        ("flask --app shop run", "shop"),
        ("flask --app=shop.web:make run", "shop"),
        ("celery -A shop worker", "shop"),
        ("-c pass", "python"),
        ("-cpass", "python"),
        ("", "python"),
        ("-", "python"),
    ],
)
def test_a_service_that_nobody_named_is_named_for_its_program(command, name):
    """The name that a person would give."""
    assert program_name(command.split()) == name


@given(st.lists(st.text()))
def test_any_command_has_a_name(words):
    """A name is found or made up, never an error."""
    assert program_name(words)


@given(
    st.from_regex(r"[a-z][a-z0-9 _.-]{0,20}", fullmatch=True),
    st.lists(st.from_regex(r"[0-9]+:[0-9]+", fullmatch=True), max_size=3),
)
def test_what_run_tells_arrives(program, streams):
    """Name and streams go through the environment unchanged."""
    told = Launch(program, tuple(streams))

    assert launch({LAUNCH: str(told)}) == told


@given(st.text())
def test_anything_in_the_variable_is_tolerated(text):
    """The variable may have been set by anybody."""
    assert isinstance(launch({LAUNCH: text}), Launch)


def test_without_run_there_is_no_launch():
    """A program that calls init itself owns its streams."""
    assert launch({}) == Launch()


def test_a_stream_is_named_by_its_file():
    """Two descriptors of one file have one name; a closed one has none."""
    read_end, write_end = os.pipe()
    copy = os.dup(write_end)

    assert stream_name(copy) == stream_name(write_end) != stream_name(1)
    for descriptor in (read_end, write_end, copy):
        os.close(descriptor)
    assert stream_name(copy) == ""


def test_the_downward_api_is_read():
    """Pod, namespace and node are known by the names that manifests usually give them."""
    assert kubernetes({}) == {}
    assert kubernetes({"POD_NAME": "", "K8S_POD_NAME": "shop-1", "MY_POD_NAME": "other"}) == {
        "pod": "shop-1"
    }
    found = kubernetes({"NODE_NAME": "n1", "POD_NAMESPACE": "prod", "POD_NAME": "shop-1"})
    assert list(found.items()) == [("pod", "shop-1"), ("namespace", "prod"), ("node", "n1")]


def test_the_project_of_google_is_read():
    """Traces have its name in theirs."""
    assert google_project({}) == ""
    assert google_project({"GOOGLE_CLOUD_PROJECT": "shop-prod"}) == "shop-prod"
