import pytest

from tests.integrations.words import alloy, classic, logstash, stanzas


def test_fluent_bits_format_is_read():
    """Sections keep their order, names are the same in any case, comments are left out."""
    text = "[INPUT]\n    # where\n    Name  tail\n    Path  /a b\n\n[OUTPUT]\n    name  es\n"

    assert classic(text) == [
        ("INPUT", {"name": "tail", "path": "/a b"}),
        ("OUTPUT", {"name": "es"}),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Name tail\n",
        "[INPUT]\nName tail\n",
        "[INPUT]\n    Name\n",
        "[in]\n",
        "[A]\n    a 1\n    A 2\n",
    ],
)
def test_slips_in_fluent_bits_format_are_found(text):
    """A name without section, indent or value, and one that is there twice, are refused."""
    with pytest.raises(ValueError, match="line"):
        classic(text)


def test_splunks_format_is_read():
    """Values keep their equals signs, names their case, and the stanza for everything is found."""
    assert stanzas("[]\nexport = none\n[a:b]\n# why\nTIME_PREFIX = x=y\n") == {
        "*": {"export": "none"},
        "a:b": {"TIME_PREFIX": "x=y"},
    }


@pytest.mark.parametrize("text", ["a = 1\n", "[a]\nb\n", "[a]\nb = 1\nb = 2\n", "[a]\n[a]\n"])
def test_slips_in_splunks_format_are_found(text):
    """A name without stanza or value, and what is there twice, are no configuration."""
    with pytest.raises(Exception, match=r"(?i)section|parsing|exists"):
        stanzas(text)


def test_alloys_format_is_read():
    """Blocks have labels, settings hold texts, lists, maps and references."""
    text = 'a.b "c" {\n  x = [d.e.f, "g"] // why\n  stage.y { z = {"k" = "v",} }\n}\n'
    (block,) = alloy(text)

    assert (block.name, block.label, block.settings) == ("a.b", "c", {"x": ["d.e.f", "g"]})
    assert [one.settings for one in block.all("stage.y")] == [{"z": {"k": "v"}}]


def test_logstashs_format_is_read():
    """Plugins stand in sections and in conditions, and may be a setting of another one."""
    text = """input { http { port => 80 codec => json { a => "b" } } }
    filter { if ![x] and [m] =~ /^\\{/ { json { source => "m" tags => ["a", "b"] } } }"""
    found = logstash(text)
    (http,) = found["input"]
    (condition,) = found["filter"]

    assert http.settings["port"] == "80"
    assert http.settings["codec"].settings == {"a": "b"}
    assert condition.label == "if ! [x] and [m] =~ /^\\{/"
    assert condition.blocks[0].settings == {"source": "m", "tags": ["a", "b"]}


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (alloy, "a {"),
        (alloy, "a { b = }"),
        (alloy, "a { b = 1 b = 2 }"),
        (alloy, 'a { b = ["c" "d"] }'),
        (logstash, "input { http { port = 80 } }"),
        (logstash, "inputs { }"),
        (logstash, "filter { if [a] is 1 { } }"),
        (logstash, "filter { json { a => 1 a => 2 } }"),
        (logstash, "filter { json { a => } }"),
        (logstash, "filter { json { a => 'b }"),
    ],
)
def test_slips_in_braces_are_found(read, text):
    """What is left open, left out, or there twice is no configuration."""
    with pytest.raises(ValueError, match=r"where|twice|understood"):
        read(text)
