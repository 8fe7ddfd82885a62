"""The door of the room: what answers scrapes comes in when it is asked for."""

import subprocess
import sys

import pytest

from obskit import metrics

LATER = ("metrics_app", "metrics_wsgi_app", "render")
CODE = (
    "import sys; from obskit import metrics;"
    "before = 'obskit.metrics.exposition' in sys.modules; metrics.render;"
    "print(before, 'obskit.metrics.exposition' in sys.modules)"
)


@pytest.mark.parametrize("name", LATER)
def test_what_answers_scrapes_is_found_once(name):
    """It is the same object each time, and is announced."""
    assert name in metrics.__all__
    assert callable(getattr(metrics, name))
    assert getattr(metrics, name) is getattr(metrics, name)


def test_a_start_does_not_pay_for_scrapes():
    """Exposition is imported with the first of these names."""
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.split() == ["False", "True"]


def test_an_unknown_name_is_none_of_ours():
    """A slip of the pen is an error like that of any other module."""
    with pytest.raises(AttributeError, match="rendre"):
        metrics.rendre  # noqa: B018
