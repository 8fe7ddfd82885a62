"""Named tuples that cost a start-up little: `collections` compiles a function for each."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple as Record
else:
    from collections.abc import Iterable
    from operator import itemgetter
    from types import FunctionType

    try:
        from _collections import _tuplegetter
    except ImportError:

        def _tuplegetter(at: int, doc: str) -> property:
            return property(itemgetter(at), doc=doc)

    _new = tuple.__new__

    # By the number of fields; their names are put in, which is all that differs.
    _MAKERS = (
        None,
        lambda _cls, a: _new(_cls, (a,)),
        lambda _cls, a, b: _new(_cls, (a, b)),
        lambda _cls, a, b, c: _new(_cls, (a, b, c)),
        lambda _cls, a, b, c, d: _new(_cls, (a, b, c, d)),
        lambda _cls, a, b, c, d, e: _new(_cls, (a, b, c, d, e)),
        lambda _cls, a, b, c, d, e, f: _new(_cls, (a, b, c, d, e, f)),
        lambda _cls, a, b, c, d, e, f, g: _new(_cls, (a, b, c, d, e, f, g)),
        lambda _cls, a, b, c, d, e, f, g, h: _new(_cls, (a, b, c, d, e, f, g, h)),
    )

    class _Fields(tuple):
        """What all records do alike."""

        __slots__ = ()

        @classmethod
        def _make(cls, values: Iterable[Any]) -> Any:
            made = _new(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
            return made

        def _replace(self, /, **values: Any) -> Any:
            made = self._make(map(values.pop, self._fields, self))
            if values:
                raise TypeError(f"Got unexpected field names: {list(values)!r}")
            return made

        __replace__ = _replace

        def _asdict(self) -> dict[str, Any]:
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self) -> str:
            fields = zip(self._fields, self, strict=True)
            told = ", ".join(f"{name}={value!r}" for name, value in fields)
            return f"{type(self).__name__}({told})"

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)

    class _Declared(type):
        """Make a named tuple of each class that is declared by annotations."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            """Return what ``typing.NamedTuple`` would, but for checks of the annotations."""
            if not bases:
                return super().__new__(cls, name, bases, body)
            names = tuple(body["__annotations__"])
            defaults = {field: body.pop(field) for field in names if field in body}
            for key in ("__classcell__", "__dict__", "__weakref__"):
                body.pop(key, None)
            if len(names) >= len(_MAKERS):
                values = list(defaults.values())
                made = namedtuple(name, names, defaults=values, module=body["__module__"])  # noqa: PYI024
                for key, value in body.items():
                    setattr(made, key, value)
                return made
            code = _MAKERS[len(names)].__code__.replace(
                co_varnames=("_cls", *names), co_name="__new__", co_qualname=f"{name}.__new__"
            )
            getters = ((field, _tuplegetter(at, field)) for at, field in enumerate(names))
            ready = {
                **dict(getters),
                **body,
                "__slots__": (),
                "__new__": FunctionType(code, globals(), "__new__", tuple(defaults.values())),
                "__match_args__": names,
                "_fields": names,
                "_field_defaults": defaults,
            }
            return type(name, (_Fields,), ready)

    class Record(metaclass=_Declared):
        """The base of small records: the fields are the annotations, in their order."""


__all__ = ["Record"]
