"""wrapt's transparent proxy, with its type where a type checker wants one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wrapt import ObjectProxy

if TYPE_CHECKING:
    Proxy = ObjectProxy[Any]
else:
    Proxy = ObjectProxy
