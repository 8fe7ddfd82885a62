"""What structlog's context variables hold of a finished request is cleared in the next one."""

from __future__ import annotations

from collections.abc import Generator
from types import ModuleType

from obskit.instrumentation._drive import attaches
from obskit.instrumentation._served import leak_cleaners


@attaches("structlog.contextvars")
def clear(module: ModuleType) -> Generator[None, None, None]:
    """Clear the variables where the event loop hands a request those of the one before."""
    leak_cleaners.append(module.clear_contextvars)
    yield
    leak_cleaners.remove(module.clear_contextvars)
