"""Where lines go is read from one URL, and no secret of it is ever shown."""

import traceback
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from obskit.shipping import backends, target
from obskit.shipping.credential import MissingError


def test_a_url_says_where_and_how():
    """Backend, scheme, address, options."""
    found = target.parse("OpenSearch+HTTPS://search.example:9200/behind/?index=shop&gzip=0")

    assert (found.backend, found.scheme) == ("opensearch", "https")
    assert (found.host, found.port, found.path) == ("search.example", 9200, "/behind")
    assert found.address == "https://search.example:9200/behind"
    assert found.url == "opensearch+https://search.example:9200/behind"
    assert dict(found.options) == {"index": "shop", "gzip": "0"}
    assert found.credential.kind == "none"


def test_an_address_may_be_of_the_sixth_version():
    """In brackets, as in any URL."""
    found = target.parse("gelf+tcp://[::1]:12201")

    assert (found.host, found.port, found.url) == ("::1", 12201, "gelf+tcp://[::1]:12201")


@pytest.mark.parametrize("name", target.KINDS)
def test_each_backend_has_a_module(name):
    """And each of its schemes makes one."""
    kind = target.KINDS[name]
    for scheme in kind.schemes:
        place = "/tmp/none.log" if scheme == "file" else "localhost:1"
        token = "?token_env=TOKEN" if kind.needs else ""
        made = backends.open(target.parse(f"{name}+{scheme}://{place}{token}"), {})
        assert made.url
        made.close()


def test_a_file_is_named_without_a_plus():
    """Its URL is one of a file."""
    found = target.parse("file:///var/log/shop%20front.log?size=1MiB&keep=3")

    assert (found.path, found.url) == (
        "/var/log/shop front.log",
        "file:///var/log/shop%20front.log",
    )
    assert found.number("size", 0) == 1024 * 1024
    assert found.number("datagram", 7) == 7


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        (" , ", []),
        ("file:///a", ["file:///a"]),
        ("file:///a, file:///b\n file:///c,", ["file:///a", "file:///b", "file:///c"]),
        (
            "loki+http://a?labels=x,y,loki+https://b",
            ["loki+http://a?labels=x,y", "loki+https://b"],
        ),
    ],
)
def test_several_are_separated_by_blanks_or_commas(text, parts):
    """A comma within one separates nothing."""
    assert target.split(text) == parts
    assert [found.url for found in target.parse_all(text)] == [p.partition("?")[0] for p in parts]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("kafka+http://x", "must begin with one of elasticsearch, opensearch, humio"),
        ("https://search.example", "must begin with one of"),
        ("loki", "must begin with one of"),
        ("loki://x", "must be loki+http:// or loki+https://"),
        ("loki+ftp://x", "must be loki+http:// or loki+https://"),
        ("loki+http://", "loki: names no host"),
        ("loki+http:///push", "loki: names no host"),
        ("loki+http://a..b", "loki: names no host that there can be"),
        ("loki+http://" + "a" * 64, "loki: names no host that there can be"),
        ("loki+http://пример.example", "other letters as xn--..."),
        ("loki+http://x?tenant=тест", "loki: option tenant is plain ASCII"),
        ("loki+http://x:port", "loki: not a URL"),
        ("loki+http://x:99999", "loki: not a URL"),
        ("loki+http://[::1", "loki: not a URL"),
        ("loki+http://x#push", "are written as %40"),
        ("loki+http://x?colour=red", "loki: unknown option; there are ca, cert"),
        ("loki+http://x?label=red", "loki: unknown option; did you mean labels?"),
        ("loki+http://x?TOKEN=red", "loki: unknown option; there are"),
        ("loki+http://x?tenant=a&tenant=b", "loki: option tenant is there twice"),
        ("loki+http://x?tenant=", "loki: option tenant is empty"),
        ("loki+http://x?tenant=a%0ab", "loki: option tenant has characters"),
        ("loki+http://x?gzip=yes", "loki: option gzip is one of 0, 1"),
        ("loki+http://x?format=xml", "loki: option format is one of json, ecs"),
        ("elasticsearch+http://x?format=gelf", "option format is one of json, ecs"),
        ("logstash+http://x?format=logfmt", "option format is one of json, ecs"),
        ("loki+http://x?max_line=big", "loki: option max_line is a number, as 512 or 64MiB"),
        ("loki+http://x?token_env=not-a-name", "loki: option token_env is the name of an env"),
        ("loki+http://x?token_file=relative", "loki: option token_file is an absolute path"),
        ("loki+http://x?ca=relative", "loki: option ca is an absolute path"),
        ("loki+http://x?key=/a", "loki: key= wants cert= beside it"),
        ("loki+http://x?password_env=A", "loki: password_env= wants user_env= beside it"),
        ("loki+http://x?auth_header=a:b", "loki: option auth_header is the name of a header"),
        ("loki+http://x?token_env=A&token_file=/b", "loki: has more than one of user and password"),
        ("loki+http://u:p@x?token_env=A", "loki: has more than one of user and password"),
        ("loki+http://x?api_key_env=A", "loki: has no option api_key_env; there are ca, cert"),
        ("elasticsearch+http://x?index=Shop", "elasticsearch: option index is a name in lower"),
        ("humio+https://x", "humio: wants token_env= or token_file="),
        ("splunk+https://x", "splunk: wants token_env= or token_file="),
        ("logstash+tcp://x", "logstash+tcp: wants a port, as in x:12201"),
        ("logstash+tcp://x:1/path", "logstash+tcp: has no path"),
        ("gelf+udp://u:p@x:1", "gelf+udp: has no user and password"),
        ("file://relative", "file: wants the absolute path of a file"),
        ("file:///var/log/", "file: wants the absolute path of a file"),
        ("file://host/var/log", "file: wants the absolute path of a file"),
    ],
)
def test_what_is_not_understood_is_said(text, what):
    """In one line that names what would be right."""
    with pytest.raises(ValueError) as caught:
        target.parse(text)

    message = str(caught.value)
    assert what in message
    assert "\n" not in message


def test_the_name_tells_targets_apart():
    """It stays the same when a secret or a detail changes."""
    same = ["splunk+https://a?token_env=A&index=x", "splunk+https://u:p@a?index=x&gzip=0"]
    others = ["splunk+https://b?token_env=A&index=x", "splunk+https://a?token_env=A&index=y"]
    names = [target.parse(one).name for one in same + others]

    assert names[0] == names[1]
    assert len({*names}) == 3
    assert names[0].startswith("splunk-")
    assert len(names[0]) == len("splunk-") + 8


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ("token_env=T", "token"),
        ("token_file=/t", "token"),
        ("api_key_env=T", "api_key"),
        ("api_key_file=/t", "api_key"),
        ("user_env=U&password_env=P", "basic"),
        ("user_env=U&password_file=/p", "basic"),
    ],
)
def test_a_credential_comes_from_a_variable_or_a_file(options, kind):
    """Of three kinds."""
    assert target.parse(f"elasticsearch+http://x?{options}").credential.kind == kind


def test_a_user_and_a_password_may_be_in_the_url():
    """Written as URLs want it."""
    found = target.parse("loki+http://sh%40p:p%2Fw%3A@x")

    assert found.credential.headers() == {"Authorization": "Basic c2hAcDpwL3c6"}
    assert found.url == found.address.replace("http", "loki+http") == "loki+http://x"


SECRETS = st.text(
    st.sampled_from("abcXYZ019-_.~!$&'()*+,;=:@/?#[]% \\\"é") | st.characters(codec="utf-8"),
    min_size=8,
    max_size=30,
)
TEMPLATES = (
    "humio+https://user:{}@humio.example/api?index=a",
    "humio+https://{}@humio.example",
    "humio+https://{}:x@humio.example?bad=1",
    "elasticsearch+https://user:{}@search.example:9200?index=BAD",
    "elasticsearch+https://search.example?token_env={}",
    "elasticsearch+https://search.example?token={}",
    "elasticsearch+https://search.example?{}",
    "elasticsearch+https://search.example?api_key_env={}&format=json",
    "splunk+https://splunk.example?{}=1",
    "gelf+udp://user:{}@gray.example:12201",
    "logstash+tcp://{}@stash.example",
    "file://user:{}@host/var/log/x.log",
    "{}+http://user@host",
    "loki+{}://host",
)


def told(error):
    """Return all that somebody may see of an error."""
    return "".join(traceback.format_exception_only(error))


def headers_or_why(found):
    """Return why there is no credential."""
    try:
        found.credential.headers()
    except MissingError as error:
        return told(error)
    return ""


def all_shown(text):
    """Return all that somebody may see where a setting has this *text*."""
    shown, caught = [], None
    try:
        for found in target.parse_all(text):
            backend = backends.open(found, {"service": "shop"})
            shown += [repr(found), str(found), found.url, found.name, backend.url, repr(backend)]
            shown += [repr(vars(backend)), repr(found.credential), headers_or_why(found)]
    except ValueError as error:
        caught = error
    if caught is not None:
        assert "\n" not in str(caught)
        assert caught.__cause__ is None
        assert caught.__suppress_context__ or caught.__context__ is None
        shown.append(told(caught))
    return "\n".join(shown)


@given(SECRETS, st.sampled_from(TEMPLATES), st.booleans())
def test_no_secret_is_ever_shown(secret, template, quoted):
    """Wherever it was written, rightly or not: neither in an error nor in what is for people."""
    # A name of a variable is shown, and a secret may by chance be a word of ours.
    assume(secret.upper() != secret or not secret.replace("_", "A").isalnum())
    assume(secret not in all_shown(template.format("Qz0-Qz0-Qz0")))
    shown = all_shown(template.format(quote(secret, safe="") if quoted else secret))

    assert secret not in shown
    assert quote(secret, safe="") not in shown


@pytest.mark.parametrize("host", ["a", "a.b.", "my_host", "127.0.0.1", "[::1]", "xn--e1afmkfd.x"])
def test_each_host_that_there_can_be_is_taken(host):
    """By name or number."""
    assert target.parse(f"loki+http://{host}:1").port == 1


def test_a_path_in_other_letters_is_written_as_requests_have_it():
    """What is written like that already stays."""
    found = target.parse("loki+http://x/lögs/%41+b:c")

    assert found.address == "http://x/l%C3%B6gs/%41+b:c"
