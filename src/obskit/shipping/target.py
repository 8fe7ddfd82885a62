"""Read where lines go from one URL: ``elasticsearch+https://search.example?api_key_file=/run/key``.

Its form is ``<backend>+<scheme>://[user[:password]@]host[:port][/path][?option=value&...]``.
Nothing that is raised, shown or kept for people has a secret in it, wherever it was written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from obskit.pattern import Pattern
from obskit.record import Record
from obskit.shipping.credential import Credential, Source

FORMATS = ("json", "ecs", "otel", "gelf", "gcp", "logfmt")
_WEB = ("http", "https")
_TLS = ("ca", "cert", "key", "insecure")
_BASIC = ("user_env", "password_env", "password_file")
_TOKEN = ("token_env", "token_file")
_API_KEY = ("api_key_env", "api_key_file")
_HTTP = (*_TLS, "gzip", "auth_header", "timeout")


class Kind(Record):
    """A backend: its module, the schemes that it has, the options it knows, what it insists on.

    *formats* are the schemas that its server can do something with.
    """

    module: str
    schemes: tuple[str, ...]
    options: tuple[str, ...]
    default: str = ""
    needs: tuple[str, ...] = ()
    formats: tuple[str, ...] = ("json", "ecs")


_SEARCH = Kind(
    "elasticsearch",
    _WEB,
    (*_HTTP, *_BASIC, *_TOKEN, *_API_KEY, "index", "pipeline", "format", "ids"),
)
_SCALE = Kind(
    "humio",
    _WEB,
    (*_HTTP, *_BASIC, *_TOKEN, "api", "tags", "index", "sourcetype"),
    needs=("token", "basic"),
)
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "elasticsearch": _SEARCH,
        "opensearch": _SEARCH,
        "humio": _SCALE,
        "logscale": _SCALE,
        "splunk": Kind(
            "splunk",
            _WEB,
            (*_HTTP, *_BASIC, *_TOKEN, "index", "sourcetype", "source", "ack", "batch_bytes"),
            needs=("token", "basic"),
        ),
        "loki": Kind(
            "loki",
            _WEB,
            (*_HTTP, *_BASIC, *_TOKEN, "tenant", "labels", "metadata", "format", "max_line"),
            formats=FORMATS,
        ),
        "logstash": Kind(
            "logstash", ("http", "https", "tcp", "tls"), (*_HTTP, *_BASIC, *_TOKEN, "format")
        ),
        "file": Kind(
            "file", ("file",), ("size", "keep", "fsync", "format"), "file", formats=FORMATS
        ),
        "otlp": Kind("otlp", _WEB, (*_HTTP, *_BASIC, *_TOKEN), default="http"),
        "gelf": Kind(
            "gelf",
            ("http", "https", "tcp", "tls", "udp"),
            (*_HTTP, *_BASIC, *_TOKEN, "bulk", "datagram"),
        ),
        "zipkin": Kind("zipkin", _WEB, (*_HTTP, *_BASIC, *_TOKEN)),
    }
)

_CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "api": ("structured", "hec"),
        "ids": ("0", "1"),
        "ack": ("0", "1"),
        "bulk": ("0", "1"),
        "gzip": ("0", "1"),
        "fsync": ("0", "1"),
        "insecure": ("0", "1"),
    }
)
_NUMBERS = ("size", "keep", "datagram", "batch_bytes", "max_line", "timeout")
_VARIABLE = Pattern("[A-Z_][A-Z0-9_]*", re.ASCII)
_NUMBER = Pattern("([0-9]{1,15})(?: ?([KMG])(?:i?B)?)?", re.ASCII)
_INDEX = Pattern("[a-z0-9][a-z0-9._+-]{0,200}", re.ASCII)
_HEADER = Pattern("[A-Za-z][A-Za-z0-9-]{0,60}", re.ASCII)
# What stays as it is in a path: all but what no request may have in it.
_IN_PATH = "/%:@!$&'()*+,;=~"
_LABEL = Pattern("[A-Za-z0-9_-]{1,63}", re.ASCII)
_SEVERAL = Pattern(r"(?:\s|,)+(?=[A-Za-z]{2,20}(?:\+[A-Za-z]{2,10})?:)", re.ASCII)
_FACTORS = {None: 1, "K": 1024, "M": 1024**2, "G": 1024**3}


class Target(Record):
    """Where lines or spans go.

    *url* is for people, *name* for the names of files: neither has a secret in it. *address* is
    the base URL without user and options; *port* is 0 where none was given.
    """

    backend: str
    scheme: str
    url: str
    name: str
    address: str
    host: str
    port: int
    path: str
    options: Mapping[str, str]
    credential: Credential

    def flag(self, option: str, default: bool = False) -> bool:
        """Tell whether an *option* is on."""
        return self.options.get(option, "1" if default else "0") == "1"

    def number(self, option: str, default: int) -> int:
        """Return an *option* that is a number, perhaps with KiB, MiB or GiB."""
        return _number(self.options[option]) if option in self.options else default


def parse_all(text: str) -> tuple[Target, ...]:
    """Return the targets of a setting: URLs with blanks or commas between.

    Raises:
        ValueError: One is not understood; the message is one line, without any secret.
    """
    return tuple(map(parse, filter(None, split(text))))


def split(text: str) -> list[str]:
    """Return the URLs in *text*; a comma within one separates nothing."""
    text = text.strip().strip(",")
    return re.split(_SEVERAL.text, text, flags=re.ASCII) if text else []


def parse(text: str) -> Target:
    """Return what one URL says.

    Raises:
        ValueError: It is not understood; the message is one line, without any secret.
    """
    prefix, colon, rest = text.strip().partition(":")
    backend, _, scheme = prefix.lower().partition("+")
    if not colon or backend not in KINDS:
        raise ValueError(f"must begin with one of {', '.join(KINDS)}, as in humio+https://...")
    kind = KINDS[backend]
    scheme = scheme or kind.default
    if scheme not in kind.schemes:
        raise ValueError(f"must be {_either(f'{backend}+{one}://' for one in kind.schemes)}")
    parts = _parts(f"{scheme}:{rest}", backend)
    options = _options(parts.query, backend, kind)
    host, port = _place(parts, backend, scheme)
    credential = _credential(parts, options, backend, kind)
    netloc = parts.netloc.rpartition("@")[2]
    path = parts.path if scheme == "file" else quote(parts.path.rstrip("/"), _IN_PATH)
    address = f"{scheme}://{netloc}{path}"
    shown = address if scheme == "file" else f"{backend}+{address}"
    return Target(
        backend, scheme, shown, _name(backend, shown, options), address, host, port,
        unquote(path), MappingProxyType(options), credential,
    )  # fmt: skip


def _either(words: Any) -> str:
    return " or ".join(words)


def _parts(url: str, backend: str) -> SplitResult:
    problem = f"{backend}: '@', '/', '?', '#' and ':' in a user or password are written as %40 etc."
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        # What it says may have a part of the password in it.
        raise ValueError(f"{backend}: not a URL; {problem}") from None
    if "@" in parts.path + parts.query or parts.fragment or parts.netloc.count("@") > 1:
        raise ValueError(problem)
    return parts


def _place(parts: SplitResult, backend: str, scheme: str) -> tuple[str, int]:
    host, port = parts.hostname or "", parts.port or 0
    if scheme == "file":
        if parts.netloc or len(parts.path) < 2 or parts.path.endswith("/"):
            raise ValueError("file: wants the absolute path of a file, as in file:///var/log/x.log")
        return "", 0
    if not host or any(c.isspace() or not c.isprintable() for c in parts.netloc + parts.path):
        raise ValueError(f"{backend}: names no host")
    if ":" not in host and not all(map(_LABEL.fullmatch, host.removesuffix(".").split("."))):
        raise ValueError(f"{backend}: names no host that there can be; other letters as xn--...")
    if scheme in ("tcp", "tls", "udp"):
        if not port:
            raise ValueError(f"{backend}+{scheme}: wants a port, as in {host}:12201")
        if parts.path.strip("/"):
            raise ValueError(f"{backend}+{scheme}: has no path")
    return host, port


def _options(query: str, backend: str, kind: Kind) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in kind.options:
            raise ValueError(f"{backend}: {_unknown(name, kind)}")
        if name in options:
            raise ValueError(f"{backend}: option {name} is there twice")
        choices = kind.formats if name == "format" else _CHOICES.get(name, ())
        options[name] = _checked(backend, name, value, choices)
    for needed, other in (("key", "cert"), ("password_env", "user_env")):
        if needed in options and other not in options:
            raise ValueError(f"{backend}: {needed}= wants {other}= beside it")
    return options


def _unknown(name: str, kind: Kind) -> str:
    """Return what is wrong with an option; its name may be a secret in the wrong place."""
    if any(name in other.options for other in KINDS.values()):
        return f"has no option {name}; there are {', '.join(kind.options)}"
    import difflib

    close = difflib.get_close_matches(name, kind.options, 1)
    return (
        f"unknown option; did you mean {close[0]}?"
        if close
        else (f"unknown option; there are {', '.join(kind.options)}")
    )


def _checked(backend: str, name: str, value: str, choices: tuple[str, ...]) -> str:
    value = value.strip()
    problem = ""
    if not value or not value.isprintable():
        problem = "is empty" if not value else "has characters that are not printable"
    elif choices:
        problem = "" if value in choices else f"is one of {', '.join(choices)}"
    elif name in _NUMBERS:
        problem = "" if _NUMBER.fullmatch(value) else "is a number, as 512 or 64MiB"
    elif name.endswith("_env"):
        named = _VARIABLE.fullmatch(value)
        problem = "" if named else "is the name of an environment variable, in capitals"
    elif name.endswith("_file") or name in ("ca", "cert", "key"):
        problem = "" if value.startswith("/") else "is an absolute path"
    elif name == "index":
        problem = "" if _INDEX.fullmatch(value) else "is a name in lower case, without blanks"
    elif name == "tenant":
        problem = "" if value.isascii() else "is plain ASCII"
    elif name == "auth_header":
        problem = "" if _HEADER.fullmatch(value) else "is the name of a header"
    if problem:
        raise ValueError(f"{backend}: option {name} {problem}")
    return value


def _number(text: str) -> int:
    found = _NUMBER.fullmatch(text)
    return int(found[1]) * _FACTORS[found[2]] if found else 0


def _credential(
    parts: SplitResult, options: dict[str, str], backend: str, kind: Kind
) -> Credential:
    found: list[Credential] = []
    if parts.username is not None:
        if parts.scheme in ("tcp", "tls", "udp", "file"):
            raise ValueError(f"{backend}+{parts.scheme}: has no user and password")
        user, secret = unquote(parts.username), unquote(parts.password or "")
        found.append(Credential("basic", Source("text", secret), Source("text", user)))
    for name, key in (("token", "token"), ("api_key", "api_key"), ("basic", "password")):
        for how in ("env", "file"):
            if place := options.get(f"{key}_{how}"):
                user_source = Source("env", options.get("user_env", ""))
                secret_source = Source(how, place)
                found.append(Credential(name, secret_source, user_source))
    if len(found) > 1:
        raise ValueError(f"{backend}: has more than one of user and password, token, key")
    if kind.needs and not (found and found[0].kind in kind.needs):
        raise ValueError(f"{backend}: wants token_env= or token_file=")
    return found[0] if found else Credential()


# What tells two targets at one address apart.
_TELLING = ("index", "tenant", "sourcetype", "source", "api")


def _name(backend: str, shown: str, options: Mapping[str, str]) -> str:
    import zlib

    told = "&".join(f"{one}={quote(options[one])}" for one in _TELLING if one in options)
    return f"{backend}-{zlib.crc32(f'{shown}?{told}'.encode()):08x}"
