"""Turn the text of a setting into its value, or say what would be allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})

# Who sends these means to end or stop the program; the others are sent by the system.
_OWN = ("KILL", "STOP", "TERM", "INT", "QUIT", "ABRT", "CHLD", "PIPE", "SEGV", "BUS", "FPE", "ILL")
SHORTEST_LINE = 512

Parse = Callable[[str], Any]


def boolean(text: str) -> bool:
    """Return True or False."""
    word = text.lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise ValueError("must be 1 or 0")


def names(text: str) -> tuple[str, ...]:
    """Return the words between commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def shown(value: Any) -> Any:
    """Return *value* without what may be secret in its URLs, for people."""
    if isinstance(value, tuple):
        return tuple(map(shown, value))
    if not isinstance(value, str) or ":" not in value:
        return value
    import re  # a pattern takes longer to make than all settings to read

    # A password with a blank or a slash in it is written wrongly, and secret all the same; only
    # another URL is where it ends.
    masked = re.sub(r"(^|:/+)(?:(?!:/).)*@", r"\1***@", value, flags=re.DOTALL)
    options = r"(?<=:/)([^?]*\?)(?:(?![\s,]+[\w+]+:/).)+"
    return re.sub(options, r"\1***", masked, flags=re.DOTALL)


def destinations(text: str) -> str:
    """Return the text if it has a URL in it; who sends there knows what else is allowed."""
    if ":/" not in text:
        raise ValueError(
            "must be one or more of BACKEND+SCHEME://HOST, as elasticsearch+https://host:9200"
        )
    return text


def storm(text: str) -> str:
    """Return ``N/M``, or nothing for ``off``."""
    if text.lower() in ("off", "0", ""):
        return ""
    try:
        first, each = (count(part.strip()) for part in text.split("/"))
        if not (first and each):
            raise ValueError
    except ValueError:
        raise ValueError("must be off, or two whole numbers such as 100/100") from None
    return f"{first}/{each}"


def durable(text: str) -> tuple[str, ...]:
    """Return the names of loggers, each perhaps with ``=wait``."""
    found = names(text)
    for item in found:
        name, equals, word = item.partition("=")
        if not name.strip() or (equals and word.strip() != "wait"):
            raise ValueError("must be names of loggers, with commas between, or name=wait")
    return found


def one_of(*allowed: str) -> Parse:
    """Return a parser that takes one of the *allowed* words."""

    def parse(text: str) -> str:
        word = text.lower()
        if word not in allowed:
            raise ValueError(f"must be {' or '.join(filter(None, allowed))}")
        return word

    return parse


def hosts(text: str) -> tuple[str, ...]:
    """Return host suffixes and networks."""
    found = names(text)
    for item in found:
        if "/" in item or ":" in item:
            import ipaddress

            try:
                ipaddress.ip_network(item, strict=False)
            except ValueError:
                raise ValueError(
                    "must be host suffixes or networks, as in shop.example,10.0.0.0/8"
                ) from None
    return found


def propagators(text: str) -> tuple[str, ...]:
    """Return the names of propagation formats."""
    chosen = names(text.lower())
    if not set(chosen) <= {"correlation", "w3c", "b3", "b3multi"}:
        raise ValueError("must be any of correlation, w3c, b3, b3multi, with commas between")
    return chosen


def number(text: str) -> float:
    """Return a finite number."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError("must be a number") from None
    if value - value != 0.0:
        raise ValueError("must be a finite number")
    return value


def ratio(text: str) -> float:
    """Return a number from 0 to 1."""
    value = number(text)
    if not 0.0 <= value <= 1.0:
        raise ValueError("must be from 0 to 1")
    return value


def count(text: str) -> int:
    """Return a whole number from 0 on."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 15:
        raise ValueError("must be a whole number from 0 on")
    return int(text)


_SIZES = {"kib": 1024, "mib": 1024**2, "gib": 1024**3, "k": 1024, "m": 1024**2, "g": 1024**3}


def size(text: str) -> int:
    """Return a number of bytes; ``8MiB``, ``64 k`` and the like are understood."""
    word, factor = text.lower(), 1
    for suffix, size in _SIZES.items():
        if word.endswith(suffix):
            word, factor = word.removesuffix(suffix), size
            break
    try:
        value = number(word.strip())
    except ValueError:
        value = -1
    if not 0 <= value <= 2**50:
        raise ValueError("must be a number of bytes, also with KiB, MiB or GiB behind it")
    return int(value * factor)


def line_size(text: str) -> int:
    """Return a number of bytes that has room for the fields of every line, or 0."""
    value = size(text)
    if 0 < value < SHORTEST_LINE:
        raise ValueError(f"must be 0, or at least {SHORTEST_LINE} bytes")
    return value


def port(text: str) -> int | None:
    """Return a port, or None for ``off``."""
    word = text.lower()
    if word in ("off", "none"):
        return None
    if not _is_port(word):
        raise ValueError("must be a port from 0 to 65535, or off")
    return int(word)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= 65535


def as_is(text: str) -> str:
    """Return the text."""
    return text


def url(text: str) -> str:
    """Return the URL of a server, without a slash at its end."""
    scheme, separator, rest = text.partition("://")
    place = rest.partition("/")[0].rpartition("@")[2]
    if scheme.lower() not in ("http", "https") or not separator or not _is_place(place):
        raise ValueError("must be a URL such as http://host:9411")
    return text.rstrip("/")


def _is_place(text: str) -> bool:
    """Tell whether *text* is a host, or an IPv6 address in brackets, and perhaps a port."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        colon, number = rest[:1], rest[1:]
        host = host if bracket and ":" in host else ""
    else:
        host, colon, number = text.partition(":")
    if not host or not host.isprintable() or not set(host).isdisjoint("[]?# "):
        return False
    return (colon or ":") == ":" and (not number or _is_port(number))


def header(text: str) -> str:
    """Return the name of an HTTP header (a token of RFC 9110)."""
    if not all(char.isascii() and (char.isalnum() or char in "!#$%&'*+-.^_`|~") for char in text):
        raise ValueError("must be the name of a header")
    return text


def level(text: str) -> str:
    """Return the text if all levels in it are known."""
    from logging import getLevelNamesMapping

    known = getLevelNamesMapping()
    for item in names(text):
        level = item.rpartition("=")[2].strip().upper()
        if level not in known and not (level.isascii() and level.isdecimal()):
            raise ValueError("must be a level (DEBUG, INFO, ...), or name=LEVEL,name=LEVEL")
    return text


def stream(text: str) -> str:
    """Return the text if it names a stream or a file."""
    number = text[3:]
    if text.startswith("fd:") and not (number.isascii() and number.isdecimal()):
        raise ValueError("must be stdout, stderr, fd:N or a path")
    return text


def signal_name(text: str) -> str:
    """Return the name of a signal in capitals; also ``SIGRTMIN+3``."""
    name = text.upper()
    signal_number(name)
    return name


def signal_number(name: str) -> int:
    """Return the number of the signal called *name*."""
    import signal

    head, plus, further = name.partition("+")
    number = getattr(signal, head, None) if head[:3] == "SIG" and head[3:4] != "_" else None
    if number is None or (plus and not (further.isascii() and further.isdecimal())):
        raise ValueError("must be the name of a signal, such as SIGRTMIN+1")
    number = int(number) + int(further or 0)
    taken = {getattr(signal, f"SIG{name}", None) for name in _OWN}
    if number not in signal.valid_signals() or number in taken:
        raise ValueError("must be a signal that can be handled, such as SIGRTMIN+1")
    return number
