"""Make the fields of a line: with care where values are strange, and those about an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from obskit.logs.redaction import is_secret

if TYPE_CHECKING:
    from obskit.context import Context
    from obskit.logs.exceptions import Description

RESERVED = frozenset({
    "timestamp", "level", "message", "logger", "service", "version", "env", "host", "pid",
    "pod", "namespace", "node", "scope", "correlation_id", "correlation_source",
    "causation_id", "trace_id", "span_id", "hop", "caller", "lc", "lc_at", "lc_hop",
    "lc_broken", "lc_after", "lc_seen", "synthetic", "error_type", "error_message",
    "error_fingerprint", "error_stack", "obskit_truncated", "obskit_degraded",
})  # fmt: skip
"""What the pipeline itself writes: a user's field of such a name is kept under another one."""

_ERROR_FIELDS = ("error_type", "error_message", "error_fingerprint", "error_stack")

Error: TypeAlias = "BaseException | Description"


def has_strange_number(fields: Mapping[str, Any]) -> bool:
    """Tell whether a number has become null because JSON has none like it."""
    return any(type(value) is float and value - value != 0.0 for value in fields.values())


def carefully(
    here: Context | None,
    message: object,
    given: Mapping[str, Any],
    error: Error | None,
    stack: str | None,
) -> tuple[str, dict[str, Any]]:
    """Return message and fields, bound ones included, made of what JSON has."""
    from obskit.logs import kinds
    from obskit.logs.rendering import Careful

    careful = Careful()
    bound = here.fields if here is not None else {}
    values = kinds.apart(careful.fields({**bound, **given} if bound else given, RESERVED))
    words = careful.text(message)
    if stack is not None:
        if "stack" in values:
            values["field_stack"] = values.pop("stack")
        values["stack"] = careful.text(stack)
    if error is not None:
        for name, text in about(error).items():
            values[name] = careful.text(text)
    if careful.degraded:
        values["obskit_degraded"] = careful.degraded
    return words, values


def described(error: Error) -> Description:
    if not isinstance(error, BaseException):
        return error
    from obskit.logs.exceptions import describe

    return describe(error)


def about(error: Error) -> dict[str, str]:
    """Return the fields about *error*; what is empty is left out."""
    pairs = zip(_ERROR_FIELDS, described(error), strict=True)
    return {name: text for name, text in pairs if text}


def is_plain(name: str) -> bool:
    return name not in RESERVED and not is_secret(name) and name.isascii()
