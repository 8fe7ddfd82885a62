"""Named tuples that cost a start-up little: `typing` compiles each annotation of its own."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple as Record
else:

    class _Declared(type):
        """Make a named tuple of each class that is declared by annotations."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            """Return what ``typing.NamedTuple`` would, but for checks of the annotations."""
            if not bases:
                return super().__new__(cls, name, bases, body)
            names = body["__annotations__"]
            defaults = [body.pop(field) for field in names if field in body]
            made = namedtuple(name, names, defaults=defaults, module=body["__module__"])  # noqa: PYI024
            for key, value in body.items():
                if key not in ("__classcell__", "__dict__", "__weakref__"):
                    setattr(made, key, value)
            return made

    class Record(metaclass=_Declared):
        """The base of small records: the fields are the annotations, in their order."""


__all__ = ["Record"]
