"""Start-up: the CPU time and memory that a process needs on top of ``import fastapi``."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, field

# What taking an interpreter down costs is no part of a start.
END = "\nimport os\nos._exit(0)"
PROGRAMS = {
    "bare": "import fastapi",
    "floor": """
import json, os, time, logging
class Format(logging.Formatter):
    def format(self, record):
        return json.dumps({"timestamp": time.time(), "message": record.getMessage()})
handler = logging.StreamHandler()
handler.setFormatter(Format())
logging.getLogger().addHandler(handler)
import fastapi
""",
    "obskit": "import obskit\nobskit.init('shop', metrics_port=False)\nimport fastapi",
    "stack": """
import asgi_correlation_id, structlog
from prometheus_fastapi_instrumentator import Instrumentator
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
structlog.configure(logger_factory=structlog.BytesLoggerFactory())
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(SpanExporter()))
trace.set_tracer_provider(provider)
import fastapi
app = fastapi.FastAPI()
app.add_middleware(asgi_correlation_id.CorrelationIdMiddleware)
Instrumentator().instrument(app)
FastAPIInstrumentor.instrument_app(app)
""",
    "sentry": """
import sentry_sdk
sentry_sdk.init(dsn='http://key@127.0.0.1:9/1', traces_sample_rate=1.0, transport=lambda event: None)
import fastapi
""",
}


@dataclass(slots=True)
class Cost:
    """What the starts of one program took: seconds of CPU and bytes of memory, one a round."""

    seconds: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)


def measure(rounds: int = 15) -> dict[str, Cost]:
    """Return the cost of starting each program, which take turns for *rounds* rounds."""
    costs = {name: Cost() for name in PROGRAMS}
    for round_ in range(rounds + 1):
        for name, program in PROGRAMS.items():
            seconds, memory = _start(program)
            if round_:  # the first one compiles
                costs[name].seconds.append(seconds)
                costs[name].memory.append(memory)
    return costs


def added(costs: dict[str, Cost], name: str) -> tuple[float, float]:
    """Return the median milliseconds and MiB that *name* adds to the bare import."""
    bare, mine = costs["bare"], costs[name]
    seconds = (a - b for a, b in zip(mine.seconds, bare.seconds, strict=True))
    memory = (a - b for a, b in zip(mine.memory, bare.memory, strict=True))
    return statistics.median(seconds) * 1e3, statistics.median(memory) / 2**20


def _start(program: str) -> tuple[float, int]:
    # An installed package has its bytecode; where none may be written, that is measured, too.
    without = ("OBSKIT_", "PYTHONDONTWRITEBYTECODE")
    environ = {key: value for key, value in os.environ.items() if not key.startswith(without)}
    process = subprocess.Popen(
        [sys.executable, "-c", program + END],
        env=environ | {"PYTHONHASHSEED": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"a start-up program failed: {program}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
