"""Keep to one JSON type a field: a value of another type goes to a field of its own.

A field that is a number here and text there makes an index refuse whole documents. The type that
a file declares counts, else the one that is seen first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from obskit import health
from obskit.fields import LINE
from obskit.logs.line import is_plain

MOST_NAMES = 4096
# So many names and types are remembered in the shapes that may be written as they are.
MOST_CELLS = 2**17
KINDS: dict[type, str] = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
}
_SCALARS = {kind: word for kind, word in KINDS.items() if kind not in (list, dict)}
WORDS = frozenset(KINDS.values())
"""What a type is called in the name of a field, and in a map of types."""

shapes: dict[tuple[Any, ...], bool] = {}
"""Names and then types of fields that may be written as they are, known from earlier lines; True
where a number among them may be one that JSON does not have."""

unguarded = 0
"""How many names came when no more could be remembered."""

_known: dict[str, str] = {}
_ours = {field.name: "number" if field.type == "integer" else field.type for field in LINE}
_cells = 0


def configure(path: str) -> None:
    """Begin with the types that the file at *path* declares; what is seen already counts on.

    A file that cannot be read is reported, and ignored.
    """
    shapes.clear()
    _known.update(_ours)
    if not path:
        return
    import json

    try:
        with open(path, encoding="utf-8") as file:
            _known.update(item for item in declared(json.load(file)) if item[0] not in _ours)
    except (OSError, ValueError, RecursionError) as error:
        health.internal_error("logs.field_types", error)


def forget() -> None:
    """Forget all that was seen and declared."""
    global unguarded
    shapes.clear()
    _known.clear()
    unguarded = 0


def declared(found: Any) -> list[tuple[str, str]]:
    """Return names with types from a map: of several types, that of the most services.

    Raises:
        ValueError: It is no such map.
    """
    if not isinstance(found, dict):
        raise ValueError("a map of types is an object")
    pairs = []
    for name, types in found.items():
        if isinstance(types, str):
            types = {types: []}
        if not isinstance(types, dict) or not types or not WORDS.issuperset(types):
            raise ValueError(f"the type of {name!r} must be one of {', '.join(sorted(WORDS))}")
        sizes = {kind: len(who) if isinstance(who, list) else 0 for kind, who in types.items()}
        pairs.append((name, max(sizes, key=lambda kind: sizes[kind])))
    return pairs[:MOST_NAMES]


def agree(fields: Mapping[Any, Any]) -> bool:
    """Tell whether plain *fields* all have the types that are known, and learn the new ones."""
    for name, value in fields.items():
        kind = _SCALARS.get(type(value))
        if value is not None and (kind is None or _known_of(name, kind) != kind):
            return False
    return True


def _known_of(name: str, kind: str) -> str:
    """Return the type of the field *name*, which is *kind* if this is the first that is seen."""
    global unguarded
    known = _known.get(name)
    if known is not None:
        return known
    if len(_known) >= MOST_NAMES + len(_ours):
        unguarded += 1
        if unguarded == 1:
            error = OverflowError(f"fields have over {MOST_NAMES} names: not all are guarded")
            health.internal_error("logs.field_types", error)
        return kind
    return _known.setdefault(name, kind)


def learn(fields: Mapping[Any, Any]) -> None:
    """Remember that fields of these names and types may be written as they are, if they may."""
    global _cells
    try:
        if not all(type(name) is str and is_plain(name) for name in fields) or not agree(fields):
            return
    except Exception:  # types can be as strange as values
        return
    _cells += 2 * len(fields)
    if _cells > MOST_CELLS or not shapes:
        shapes.clear()
        _cells = 2 * len(fields)
    types = tuple(map(type, fields.values()))
    shapes[*fields, *types] = float in types


def apart(values: dict[str, Any]) -> dict[str, Any]:
    """Return *values*, made of what JSON has, with those of unexpected types under other names."""
    moved = {
        name: kind
        for name, value in values.items()
        if value is not None and _known_of(name, kind := KINDS.get(type(value), "string")) != kind
    }
    if not moved:
        return values
    made: dict[str, Any] = {}
    for name, value in values.items():
        kind = moved.get(name, "")
        while kind and (name in values or name in made or _known_of(name, kind) != kind):
            name = f"{name}_{kind}"
        made[name] = value
    return made
