"""The beginning of each served application: what is observed and logged goes to stdout as JSON."""

import json
import logging
import sys

from obskit import context, instrumentation, observation


def say(**facts):
    """Write one line in one piece: other threads and workers write, too."""
    sys.stdout.write(json.dumps(facts, default=repr) + "\n")
    sys.stdout.flush()


class Reporter:
    """Report each observation that ends."""

    def start(self, work):
        """Hear that something begins."""

    def end(self, work):
        """Report."""
        here = work.context
        say(
            ended=work.name,
            kind=work.kind.value,
            protocol=work.protocol,
            status=work.status,
            outcome=work.outcome,
            error=None if work.error is None else type(work.error).__name__,
            id=here.correlation_id,
            source=here.correlation_source,
            invalid=work.invalid_id,
            span=here.span_id,
            parent=here.parent_span_id,
            links=work.links,
            ms=work.duration_ns / 1e6,
            fields=here.unit.fields,
            peer=work.peer,
        )


class Handler(logging.Handler):
    """Report each log record with the ID that is in force."""

    def emit(self, record):
        """Report."""
        current = context.get()
        say(
            logger=record.name,
            message=record.getMessage(),
            error=record.exc_info and record.exc_info[0].__name__,
            id=context.correlation_id(),
            fields=None if current is None else current.fields,
        )


def report():
    """Switch everything on; servers have configured their logging before."""
    logging.basicConfig(handlers=[Handler()], level="INFO", force=True)
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("uvicorn", "gunicorn", "hypercorn", "daphne", "werkzeug"):
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.propagate = True
    observation.configure([("reporter", Reporter())])
    instrumentation.instrument()


report()
