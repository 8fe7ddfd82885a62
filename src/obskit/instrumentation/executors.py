"""Jobs of thread and process pools belong to the operation that submitted them.

With that `loop.run_in_executor` is covered too; `asyncio.to_thread` carries context by itself.
"""

from __future__ import annotations

from obskit import context
from obskit.instrumentation._carried import Carried, Sent
from obskit.instrumentation._drive import Call, wraps


@wraps("concurrent.futures.thread", "ThreadPoolExecutor.submit")
def submit_to_thread(call: Call) -> None:
    """Run the job where it was submitted; the worker is clean before and after."""
    here = context.get()
    if here is not None:
        call.replace(0, "fn", Carried(call.argument(0, "fn"), here))


@wraps("concurrent.futures.process", "ProcessPoolExecutor.submit")
def submit_to_process(call: Call) -> None:
    """Send the identity of the operation along with the job."""
    here = context.current()
    if here is not None:
        call.replace(0, "fn", Sent(call.argument(0, "fn"), here))
