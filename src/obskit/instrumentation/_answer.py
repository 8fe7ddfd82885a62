"""What an answer says besides the ID: the clock, and for callers of ours how long it took."""

from __future__ import annotations

from time import perf_counter_ns

from obskit.instrumentation._served import Served

_server_timing = True
_NOT_STORED = ("no-store", "private")


def configure(*, server_timing: bool) -> None:
    """Say whether internal callers get ``Server-Timing``."""
    global _server_timing
    _server_timing = server_timing


def timing(served: Served, cache_control: str) -> str | None:
    """Return a value to add to ``Server-Timing``, where the caller is ours and nothing is cached.

    A cached answer would tell of another request.
    """
    if not _server_timing:
        return None
    work = served.observation
    is_safe = work.labels.get("http_request_method") in ("GET", "HEAD")
    if is_safe and not any(word in cache_control for word in _NOT_STORED):
        return None
    return f"app;dur={(perf_counter_ns() - work.started_ns) / 1e6:.2f}"
