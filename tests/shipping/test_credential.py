"""A credential is read when it is needed, and shown to nobody."""

import base64

import pytest

from obskit.shipping.credential import Credential, MissingError, Source


def test_a_secret_is_read_from_where_it_is(monkeypatch, tmp_path):
    """Without the blanks around it."""
    monkeypatch.setenv("SHOP_TOKEN", " one ")
    (tmp_path / "token").write_text("two\n")

    assert Source("text", "zero").read() == "zero"
    assert Source("env", "SHOP_TOKEN").read() == "one"
    assert Source("file", str(tmp_path / "token")).read() == "two"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read"),
        (b"", "is empty or not set"),
        (b" \n", "is empty or not set"),
        (b"two\nlines", "is not one line of text"),
        (b"bad\xff", "cannot be read"),
        (b"a\x00b", "is not one line of text"),
    ],
)
def test_a_file_without_a_secret_is_said_by_its_name(content, why, tmp_path):
    """Without what is in it."""
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MissingError) as caught:
        Source("file", str(path)).read()

    assert str(caught.value) == f"file {path} {why}"


def test_a_variable_that_is_not_set_is_said_by_its_name(monkeypatch):
    """It may be set later."""
    monkeypatch.delenv("SHOP_TOKEN", raising=False)
    with pytest.raises(MissingError, match="variable SHOP_TOKEN is empty or not set"):
        Source("env", "SHOP_TOKEN").read()


@pytest.mark.parametrize(
    ("credential", "words", "headers"),
    [
        (Credential(), (), {}),
        (Credential("token", Source("text", "t")), (), {"Authorization": "Bearer t"}),
        (Credential("token", Source("text", "t")), ("Splunk",), {"Authorization": "Splunk t"}),
        (Credential("token", Source("text", "t")), ("Bearer", "X-Key"), {"X-Key": "t"}),
        (Credential("api_key", Source("text", "t")), (), {"Authorization": "ApiKey t"}),
    ],
)
def test_it_becomes_a_header(credential, words, headers):
    """In the words of the product."""
    assert credential.headers(*words) == headers


def test_user_and_password_are_encoded():
    """Whatever characters they have."""
    one = Credential("basic", Source("text", "pä:ß"), Source("text", "user"))
    word, _, encoded = one.headers()["Authorization"].partition(" ")

    assert (word, base64.b64decode(encoded).decode()) == ("Basic", "user:pä:ß")


def test_a_token_that_is_no_header_is_not_sent():
    """And not shown."""
    with pytest.raises(MissingError) as caught:
        Credential("token", Source("text", "tökén")).headers()

    assert "tökén" not in str(caught.value)


def test_it_is_not_shown():
    """By any name."""
    source = Source("text", "s3cret")
    for one in (source, Credential("token", source), Credential("basic", source, source)):
        assert "s3cret" not in f"{one!r} {one}"


def test_what_others_say_is_shown_without_it():
    """Neither plain nor encoded."""
    basic = Credential("basic", Source("text", "s3cret"), Source("text", "user"))
    encoded = basic.headers()["Authorization"].split()[1]

    assert basic.hide(f"you said s3cret, {encoded}") == "you said ***, ***"
    assert Credential().hide("you said nothing") == "you said nothing"
    assert Credential("basic", Source("text", ""), Source("text", "")).hide("nothing") == "nothing"
    missing = Credential("token", Source("file", "/nowhere"))
    assert missing.hide("you said nothing") == "you said nothing"
