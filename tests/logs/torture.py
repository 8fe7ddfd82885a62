"""Log calls that have broken loggers: each must come out as one valid line, for every door."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import logging
import pathlib
import re
import sys
import types
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pydantic

import obskit


@dataclass(frozen=True)
class Case:
    """One log call: a message, positional arguments and fields, made anew by each call.

    *shows* is text that must be somewhere in the line: what can be kept is kept.
    """

    name: str
    make: Callable[[], dict[str, Any]] = dict
    message: Any = "hello"
    args: tuple[Any, ...] = ()
    shows: str = ""


class Raising:
    """Raise *error* from the method that is named."""

    def __init__(self, error: BaseException, *methods: str) -> None:
        def fail(self: object, *args: object) -> Any:
            raise error

        self.__class__ = type("Broken", (Raising,), dict.fromkeys(methods, fail))


class WrongType:
    """Return what is no text."""

    def __repr__(self) -> str:
        return 7  # type: ignore[return-value]

    __str__ = __repr__


class Talkative:
    """Print and log while it is looked at."""

    def __repr__(self) -> str:
        obskit.get_logger("inner").info("asked", who=self.__class__.__name__)
        logging.getLogger("inner").debug("asked")
        return "talkative"


class Endless:
    """Log itself while it is looked at, for ever."""

    def __repr__(self) -> str:
        obskit.get_logger("endless").debug("again", value=self)
        obskit.get_logger("endless").info("once")
        return "endless"


class Liar:
    """Pretend to be a dict."""

    @property
    def __class__(self) -> type:  # type: ignore[override]
        return dict


class Unlimited(collections.UserDict[str, Any]):
    """Have no end of items."""

    def __len__(self) -> int:
        return 3

    def items(self) -> Any:
        raise RuntimeError("changed size during iteration")


class Text(str):
    """Text that does not want to be shown."""

    __slots__ = ()

    def __str__(self) -> str:
        raise ValueError("no")

    def __repr__(self) -> str:
        raise ValueError("no")


class Number(int):
    """A number that does not want to be shown."""

    def __repr__(self) -> str:
        raise ValueError("no")

    __str__ = __int__ = __index__ = __repr__  # type: ignore[assignment]


class Colour(enum.Enum):
    """An ordinary enumeration."""

    RED = "red"


class Flags(enum.IntFlag):
    """Numbers with names."""

    A = 1
    B = 2


@dataclass
class Order:
    """An ordinary dataclass."""

    id: int = 7
    password: str = "hunter2"
    lines: list[int] = field(default_factory=lambda: [1, 2])


@dataclasses.dataclass
class Half:
    """A dataclass that was never initialised."""

    there: int


class Model(pydantic.BaseModel):
    """An ordinary model."""

    name: str = "ada"
    token: str = "hunter2"


class Array:
    """Do what arrays do: compare to arrays, have no truth, index without an end."""

    dtype = "float64"

    def __eq__(self, other: object) -> Any:
        return self

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise ValueError("the truth value of an array is ambiguous")

    def __getitem__(self, index: int) -> int:
        return index

    def __len__(self) -> int:
        return 2**40


class Strange(datetime.tzinfo):
    """A time zone that is none."""

    def utcoffset(self, when: Any) -> Any:
        raise OverflowError("no")


class Stop(BaseException):
    """No Exception, and nobody's wish to end the program."""


def circular() -> dict[str, Any]:
    """Return fields that contain themselves."""
    inner: dict[str, Any] = {}
    inner["self"] = inner
    items: list[Any] = []
    items.append(items)
    return {"value": inner, "items": items}


def deep(depth: int = 3000) -> dict[str, Any]:
    """Return fields nested *depth* times."""
    value: Any = []
    for _ in range(depth):
        value = [value] if depth % 2 else {"in": value}
    return {"value": value}


def uninitialised() -> dict[str, Any]:
    """Return a dataclass without its fields."""
    return {"value": Half.__new__(Half)}


def mutating() -> dict[str, Any]:
    """Return a dict that grows while its values are looked at."""
    grown: dict[str, Any] = {}

    class Growing:
        def __repr__(self) -> str:
            grown[str(len(grown))] = 1
            return "growing"

    grown.update(a=Growing(), b=Growing())
    return {"value": grown}


def of(value: Any) -> Callable[[], dict[str, Any]]:
    """Return what makes fields of one *value*."""
    return lambda: {"value": value}


def named(*names: str) -> Callable[[], dict[str, Any]]:
    """Return what makes fields with these *names*."""
    return lambda: dict.fromkeys(names, "mine")


_UTC = datetime.UTC
_ODD = datetime.timezone(datetime.timedelta(hours=5, minutes=45, seconds=17, microseconds=3))

VALUES: dict[str, Any] = {
    "not a number": float("nan"),
    "infinity": float("inf"),
    "nan deep inside": [1.0, {"x": [float("-inf")]}],
    "64 bits": 2**64 - 1,
    "more than 64 bits": 2**64,
    "negative and large": -(2**63) - 1,
    "5000 digits": 10**5000,
    "lone surrogate": "a\ud800b",
    "surrogate in a list": ["\udfff"],
    "null byte": "a\x00b",
    "control characters": "\x1b[31m\r\n\t\x7f\u2028\u2029",
    "beyond the basic plane": "\U0001f600",
    "integer keys": {1: "a", 2: "b"},
    "None as key": {None: 1, "None": 2},
    "tuple as key": {(1, 2): 3},
    "UUID as key": {uuid.UUID(int=1): 1},
    "bytes as key": {b"k": 1, "k": 2},
    "surrogate as key": {"\ud800": 1},
    "keys that look the same": {1: "a", "1": "b", "True": "c", b"1": "d"},
    "key that cannot be shown": {Text("k"): 1},
    "repr raises": Raising(ValueError("no"), "__repr__", "__str__"),
    "repr recurses": Raising(RecursionError("deep"), "__repr__", "__str__"),
    "repr without memory": Raising(MemoryError(), "__repr__", "__str__"),
    "repr raises no Exception": Raising(Stop(), "__repr__", "__str__"),
    "getattr raises": Raising(ValueError("no"), "__getattr__", "__getattribute__"),
    "format raises": Raising(ValueError("no"), "__format__"),
    "iter raises": Raising(ValueError("no"), "__iter__", "__len__", "__getitem__"),
    "hash and bool raise": Raising(ValueError("no"), "__hash__", "__bool__", "__eq__"),
    "repr is no text": WrongType(),
    "repr logs": Talkative(),
    "repr logs itself": Endless(),
    "lies about its class": Liar(),
    "mapping whose items fail": Unlimited(),
    "text that fails": Text("kept"),
    "number that fails": Number(7),
    "error whose text fails": type("E", (Exception,), {"__str__": lambda _: 1 / 0})("x"),
    "error": ValueError("no such order"),
    "generator": (n for n in [1]),
    "iterator without end": iter(int, 1),
    "bytes": b"caf\xc3\xa9 \xff",
    "bytearray": bytearray(b"abc"),
    "memoryview": memoryview(b"abc"),
    "set": {1},
    "mixed set": {1, "a", None, (1, 2)},
    "frozenset": frozenset({"a"}),
    "deque": collections.deque([1, 2], maxlen=2),
    "range": range(3),
    "dataclass": Order(),
    "class": Order,
    "pydantic": Model(),
    "array": Array(),
    "date and time": datetime.datetime(2026, 1, 1, tzinfo=_UTC),
    "odd time zone": datetime.datetime(2026, 1, 1, tzinfo=_ODD),
    "broken time zone": datetime.datetime(2026, 1, 1, tzinfo=Strange()),
    "naive time": datetime.datetime(2026, 1, 1),  # noqa: DTZ001
    "duration": datetime.timedelta(days=1),
    "decimal": decimal.Decimal("1.10"),
    "decimal nan": decimal.Decimal("sNaN"),
    "fraction": fractions.Fraction(1, 3),
    "complex": 1j,
    "enum": Colour.RED,
    "flags": Flags.A | Flags.B,
    "uuid": uuid.UUID(int=0),
    "path": pathlib.PurePath("/tmp/\udcff"),
    "pattern": re.compile("a"),
    "function": of,
    "module": sys,
    "namespace": types.SimpleNamespace(a=1),
    "proxy": types.MappingProxyType({"a": 1}),
    "object": object(),
    "ellipsis": ...,
    "not implemented": NotImplemented,
    "long text": "x" * 300_000,
    "long text of quotes": '"' * 100_000,
    "long text of emoji": "\U0001f600" * 50_000,
    "long list": list(range(100_000)),
    "wide dict": {f"key {number}": number for number in range(5000)},
    "secret": obskit.Secret("hunter2"),
    "secret inside": {"a": [obskit.Secret("hunter2"), {"db_password": "hunter2"}]},
}

KEPT = {
    "64 bits": str(2**64 - 1),
    "more than 64 bits": str(2**64),
    "null byte": "a\\u0000b",
    "tuple as key": "3",
    "text that fails": "kept",
    "number that fails": "7",
    "decimal": "1.10",
    "enum": "red",
    "error": "no such order",
    "date and time": "2026-01-01T00:00:00+00:00",
    "pydantic": "ada",
    "not a number": "nan",
}

FIELDS: dict[str, Callable[[], dict[str, Any]]] = {
    "circular": circular,
    "3000 lists deep": lambda: deep(3001),
    "3000 dicts deep": lambda: deep(3000),
    "changed while rendered": mutating,
    "dataclass without fields": uninitialised,
    "names of the line": named("message", "level", "timestamp", "logger", "service", "pid"),
    "names of the context": named("correlation_id", "trace_id", "span_id", "lc", "lc_at", "scope"),
    "names of errors": named("error_type", "error_message", "error_stack", "obskit_truncated"),
    "names of records": named("args", "msg", "name", "exc_text", "asctime", "taskName"),
    "names of structlog": named("event", "_record", "positional_args"),
    "names that were moved": named("level", "field_level", "field_field_level"),
    "self": named("self", "cls", "logger_"),
    "dotted": lambda: {"a": 1, "a.b": 2, "log": "x", "log.level": "y"},
    "empty name": named(""),
    "odd names": named(" ", "a b", '"', "\\", "\n", "\u20ac", "\ud800", "x" * 5000),
    "many fields": lambda: {f"field number {n}": "value" for n in range(2000)},
    "many long fields": lambda: {f"n{n}": "v" * 1000 for n in range(100)},
}

MESSAGES: dict[str, tuple[Any, tuple[Any, ...], str]] = {
    "too few arguments": ("a %s b %s", (1,), "a %s b %s"),
    "too many arguments": ("nothing", (1, 2), "nothing"),
    "wrong type of argument": ("%d items", ("many",), "many"),
    "stray percent": ("100% sure", (), "100% sure"),
    "stray percent and argument": ("100% sure %s", ("x",), "100% sure"),
    "argument that fails": ("%s", (Raising(ValueError("no"), "__str__", "__repr__"),), "%s"),
    "argument by name": ("%(a)s", ({"a": "kept"},), "kept"),
    "braces": ("{not} {} a format", (), "{not} {}"),
    "message of bytes": (b"abc", (), "abc"),
    "message of an error": (ValueError("no such order"), (), "no such order"),
    "message of nothing": (None, (), ""),
    "message of a number": (7, (), "7"),
    "message of a dict": ({"a": 1}, (), ""),
    "message that fails": (Raising(ValueError("no"), "__str__", "__repr__"), (), ""),
    "message with a surrogate": ("\ud800", (), ""),
    "message of many lines": ("a\nb\r\nc", (), "a\\nb"),
    "long message": ("m" * 300_000, (), "mmm"),
    "empty message": ("", (), ""),
}

CASES: tuple[Case, ...] = (
    *(Case(name, of(value), shows=KEPT.get(name, "")) for name, value in VALUES.items()),
    *(Case(name, make) for name, make in FIELDS.items()),
    *(Case(name, message=m, args=args, shows=shows) for name, (m, args, shows) in MESSAGES.items()),
)


def strict(line: bytes) -> dict[str, Any]:
    """Return the object that *line* holds; it must be valid JSON without doubled names."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in items]
        assert len(names) == len(set(names)), f"doubled names: {sorted(names)}"
        return dict(items)

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    found = json.loads(line.decode("utf-8"), object_pairs_hook=pairs, parse_constant=refuse)
    assert isinstance(found, dict)
    return found
