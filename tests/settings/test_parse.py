"""How the text of a setting becomes its value."""

import math
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.settings import parse

PARSERS = {
    "boolean": parse.boolean,
    "count": parse.count,
    "header": parse.header,
    "level": parse.level,
    "names": parse.names,
    "number": parse.number,
    "one_of": parse.one_of("replace", "keep"),
    "port": parse.port,
    "propagators": parse.propagators,
    "ratio": parse.ratio,
    "signal_name": parse.signal_name,
    "size": parse.size,
    "stream": parse.stream,
}
HARD = ("", " ", "nan", "inf", "-inf", "1e999", "-1", "²", "١٢", "0x10", "1_000", "9" * 400, "\0")


@pytest.mark.parametrize("name", PARSERS)
@given(text=st.one_of(st.text(), st.sampled_from(HARD), st.floats().map(str)))
def test_any_text_is_a_value_or_a_reason(name, text):
    """A parser returns a value or raises ValueError saying what must be, nothing else."""
    try:
        value = PARSERS[name](text)
    except ValueError as error:
        assert str(error).startswith("must be ")  # noqa: PT017 - a value is right as well
    else:
        assert not isinstance(value, float) or math.isfinite(value)


@given(st.sampled_from(["1", "true", "YES", "On"]), st.sampled_from(["0", "False", "no", "OFF"]))
def test_booleans_have_four_spellings(yes, no):
    """People write true in many ways."""
    assert parse.boolean(yes) is True
    assert parse.boolean(no) is False


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("100", 100), ("4k", 4096), ("1 KiB", 1024), ("8MiB", 8 << 20), ("0.5g", 1 << 29)],
)
def test_sizes_have_units(text, size):
    """A size is bytes, or has a unit."""
    assert parse.size(text) == size


@pytest.mark.parametrize("text", ["off", "OFF", "none"])
def test_a_port_can_be_off(text):
    """No port is a choice."""
    assert parse.port(text) is None


@given(st.integers(0, 65535))
def test_every_port_is_understood(port):
    """All numbers that are ports are taken, and no others."""
    assert parse.port(str(port)) == port
    with pytest.raises(ValueError, match="must be a port"):
        parse.port(str(port + 65536))


@pytest.mark.parametrize("text", ["INFO", "debug", "15", "INFO,shop.db=DEBUG", "root=ERROR"])
def test_levels_may_name_loggers(text):
    """Levels go for all loggers or for named ones."""
    assert parse.level(text) == text


@pytest.mark.parametrize("text", ["LOUD", "shop=LOUD", "INFO,=", "-5"])
def test_unknown_levels_are_refused(text):
    """A level that nobody knows is a slip."""
    with pytest.raises(ValueError, match="must be a level"):
        parse.level(text)


def test_lists_forgive_spaces_and_empty_items():
    """Commas are set by hand."""
    assert parse.names(" a, b ,,c,") == ("a", "b", "c")


def test_hosts_are_suffixes_and_networks():
    """What is meant as a network is one."""
    text = "shop.example, .internal.shop,10.0.0.0/8,fd00::/8,192.0.2.7"
    assert parse.hosts(text) == tuple(part.strip() for part in text.split(","))
    for wrong in ("10.0.0.0/99", "shop.example/x", "shop.example:80", "http://shop"):
        with pytest.raises(ValueError, match="must be host suffixes or networks"):
            parse.hosts(f"a.example,{wrong}")


@pytest.mark.parametrize("text", ["X-Id\r\nEvil: 1", "X Id", "Ünique", "a:b"])
def test_a_header_is_a_token(text):
    """A setting cannot smuggle a second header in."""
    with pytest.raises(ValueError, match="must be the name of a header"):
        parse.header(text)


@pytest.mark.parametrize("text", ["fd:", "fd:x", "fd:-1", "fd:²"])
def test_a_descriptor_has_a_number(text):
    """What looks like a descriptor is one."""
    with pytest.raises(ValueError, match="must be stdout"):
        parse.stream(text)


@pytest.mark.parametrize(
    ("text", "name"), [("sigusr2", "SIGUSR2"), ("SIGRTMIN+1", "SIGRTMIN+1"), ("SIGHUP", "SIGHUP")]
)
def test_a_signal_has_a_name(text, name):
    """Signals are given by name, real-time ones by their distance from the first."""
    assert parse.signal_name(text) == name
    assert parse.signal_number(name) in signal.valid_signals()


@pytest.mark.parametrize(
    "text",
    [
        "10",
        "USR1",
        "SIG_DFL",
        "SIGNAL",
        "SIGRTMIN+",
        "SIGRTMIN+99",
        "SIGRTMIN+x",
        "SIGKILL",
        "SIGSTOP",
        "SIGTERM",
        "SIGINT",
        "SIGCHLD",
        "SIGSEGV",
    ],
)
def test_what_is_no_signal_to_handle_is_refused(text):
    """A slip is told with what would be right."""
    with pytest.raises(ValueError, match=r"must be .* such as SIGRTMIN\+1"):
        parse.signal_name(text)


def test_a_line_has_room_for_its_fields():
    """A budget that would cut every line to nothing is refused."""
    assert parse.line_size("0") == 0
    assert parse.line_size("2 KiB") == 2048
    with pytest.raises(ValueError, match="must be 0, or at least 512 bytes"):
        parse.line_size("3")


@pytest.mark.parametrize(
    "text",
    [
        "http://z",
        "https://z:9411/zipkin",
        "http://ann:p%40@z:1",
        "http://[::1]:9411",
        "http://[::1]",
    ],
)
def test_a_server_is_a_url(text):
    """With a port, a path, who logs in: as the address of any server."""
    assert parse.url(text + "/") == text


@pytest.mark.parametrize(
    "text",
    [
        "z:9411", "ftp://z", "http://", "http:///", "http://z:99999", "http://z:port", "http://:1",
        "http://[::1", "http://::1", "http://[z]", "http://[::1]x", "http://a b", "http://z\r\n",
        "http://u@", "http://z?a=b", "http://z:-1",
    ],
)  # fmt: skip
def test_what_is_no_url_of_a_server_is_said_at_the_start(text):
    """Not when the first span is to be sent."""
    with pytest.raises(ValueError, match="must be a URL"):
        parse.url(text)


def test_where_lines_are_sent_is_a_url():
    """Who sends there says what else is allowed."""
    assert parse.destinations("splunk+https://a file:///b") == "splunk+https://a file:///b"
    with pytest.raises(ValueError, match=r"must be one or more of BACKEND\+SCHEME"):
        parse.destinations("localhost:9200")


@pytest.mark.parametrize(
    "value",
    [
        "loki+http://ann:hunter2@host/x?token=hunter2",
        "http://hunter2@host",
        "say http://a:b@hunter2@host and http://host?hunter2",
        ("file:///x", "es+https://:hunter2@host"),
        "loki+http://ann:a hunter2/b'hunter2@host",
        "loki+http:/ann:hunter2@host",
        "ann:hunter2@host",
        "loki+http://host?token=a,b hunter2 file:///x",
    ],
)
def test_what_is_shown_of_a_url_has_no_secret(value):
    """Neither user and password nor the query of a URL is for people."""
    shown = parse.shown(value)

    assert type(shown) is type(value)
    assert "hunter2" not in str(shown)
    assert "***" in str(shown)


def test_what_ends_a_secret_is_the_next_url():
    """Others of the same setting are shown."""
    text = "loki+http://ann:x@a?b=c, humio+https://d file:///e"

    assert parse.shown(text) == "loki+http://***@a?***, humio+https://d file:///e"


@pytest.mark.parametrize(
    "value", ["plain", "http://host/path", "/var/log/a@b.log", "http://[::1]:1", 5, None, ("a",)]
)
def test_what_has_no_secret_is_shown_as_it_is(value):
    """A value without userinfo and query stays."""
    assert parse.shown(value) == value


@pytest.mark.parametrize(
    ("text", "value"), [("off", ""), ("0", ""), ("100/10", "100/10"), (" 5 / 2 ", "5/2")]
)
def test_a_storm_has_two_numbers(text, value):
    """How many lines are written first, and which one of the rest."""
    assert parse.storm(text) == value


@pytest.mark.parametrize("text", ["5", "5/", "/5", "0/1", "1/0", "a/b", "1/2/3", "-1/2"])
def test_another_storm_is_refused(text):
    """A slip is told with what would be right."""
    with pytest.raises(ValueError, match="two whole numbers"):
        parse.storm(text)


def test_durable_loggers_have_names():
    """One of them may wait where the spool is full."""
    assert parse.durable("audit, shop.orders=wait") == ("audit", "shop.orders=wait")
    for text in ("=wait", "audit=yes"):
        with pytest.raises(ValueError, match="must be names of loggers"):
            parse.durable(text)
