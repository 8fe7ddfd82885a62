"""Give the application's own fields names and values that a schema takes, and take that back.

What had to be named otherwise, and what had to be written as JSON in a text, is told beside the
fields, so that nothing is lost and everything can be read back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any


def named(
    own: Mapping[str, Any], fit: Callable[[str], str], taken: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return *own* under names that fit, and those that are new, each before its old one.

    Args:
        own: The application's fields.
        fit: Returns a name as the schema takes it; the same name where it is fit already.
        taken: Names that mean something else in the schema.
    """
    made: dict[str, Any] = {}
    renamed: list[str] = []
    for name, value in own.items():
        new = fit(name)
        while new in made or new in taken or (new != name and new in own):
            new += "_"
        if new != name:
            renamed += (new, name)
        made[new] = value
    return made, renamed


def unnamed(made: Mapping[str, Any], renamed: Any) -> dict[str, Any]:
    """Return the fields in *made* under their old names."""
    pairs = texts(renamed)
    back = dict(zip(pairs[::2], pairs[1::2], strict=False))
    return {back.get(name, name): value for name, value in made.items()}


def as_json(value: Any) -> str:
    """Return *value* as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def of_json(found: dict[str, Any], names: Any) -> None:
    """Replace what was written as JSON in *found* under *names* by what it means."""
    for name in texts(names):
        if isinstance(found.get(name), str):
            try:
                found[name] = json.loads(found[name])
            except (ValueError, RecursionError):
                continue  # somebody has cut it: the text is all there is


def has_number_beyond(largest: int, value: Any) -> bool:
    """Tell whether a whole number somewhere in *value* is not from -*largest* up to below it."""
    if type(value) is int:
        return not -largest <= value < largest
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return False
    return any(has_number_beyond(largest, item) for item in value)


def texts(value: Any) -> list[str]:
    """Return *value* if it is a list of texts, else an empty one."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    return []
