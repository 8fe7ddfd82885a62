"""Hand out the ids that were minted for an observation to a provider that starts its span."""

from __future__ import annotations

from typing import Any

from obskit import context
from obskit.context import RANDOM, Context
from obskit.traces import spans


class Ids:
    """Hand out the ids of the observation that begins, and else what *inner* generates."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def generate_trace_id(self) -> int:
        here = _beginning()
        return self.inner.generate_trace_id() if here is None else int(here.unit.trace_id, 16)

    def generate_span_id(self) -> int:
        here = _beginning()
        return self.inner.generate_span_id() if here is None else int(here.span_id, 16)

    def is_trace_id_random(self) -> bool:
        here = _beginning()
        if here is None:
            return bool(getattr(self.inner, "is_trace_id_random", bool)())
        return bool(here.unit.flags & RANDOM)


def _beginning() -> Context | None:
    """Return the context of the observation whose span is being started."""
    here = context.get()
    return None if here is None or spans.known(here) is not None else here
