"""What is shown of raw text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.cli._masking import LONGEST, command_line, excerpt, mask

SECRET = "hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"GET /orders?card={SECRET}&x=1 HTTP/1.1",
        f"http://ada:{SECRET}@db/",
        f"password={SECRET}",
        f"DB_PASSWORD: '{SECRET}'",
        f'{{"api_key": "{SECRET}", "a": 1}}',
        f"Authorization: Bearer {SECRET}",
        f"authorization=Basic {SECRET}",
        f"sent Bearer {SECRET} to it",
        f"cookie: {SECRET}; path=/",
        f"--access-token={SECRET}",
        f"client_secret => {SECRET}",
    ],
)
def test_secrets_are_not_shown(text):
    """Queries, userinfo and values of secret names are masked."""
    assert SECRET not in mask(text)
    assert "***" in mask(text)


@pytest.mark.parametrize(
    "text",
    ["Traceback (most recent call last):", "why? because", "a=b", "http://host/path", "2 ? 3"],
)
def test_other_text_stays(text):
    """What is no secret is shown as it is."""
    assert mask(text) == text


def test_a_secret_option_hides_the_word_behind_it():
    """Commands are shown as they are typed, but for what must not be read over a shoulder."""
    words = ["app", "--password", SECRET, "--port", "80", f"--token={SECRET}", "a b"]

    assert command_line(words) == "app --password *** --port 80 --token=*** 'a b'"


@given(st.binary(max_size=600))
def test_an_excerpt_is_one_short_printable_line(raw):
    """Whatever the bytes are, a terminal can show them."""
    shown = excerpt(raw)

    assert len(shown) <= LONGEST
    assert shown.isprintable()
