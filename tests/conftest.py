"""Fixtures for tests that talk to real processes, servers and tools.

Every fixture is a callable but ``opensearch``, ``rabbitmq`` and ``zipkin``, which are servers
that all tests of a run share; what the others start ends with the test at the latest.

``free_port() -> int``
    A loopback port that nobody listens on; never the same twice in a run.

``start_process(*command, env=None, cwd=None, stdin=b"", capture="pipe", merge=False) -> Process``
    Start a real subprocess. *env* is laid over a clean environment (no OBSKIT_*, OTEL_* or PYTHON*
    of ours; obskit is importable); a value of None removes a name. *capture* is "pipe", "file" or
    "tty"; *merge* sends both streams to stdout. A Process has ``pid``, ``running``, ``stdout`` and
    ``stderr`` (raw bytes so far), ``wait_for(pattern, timeout=20.0) -> re.Match[bytes]`` (searches
    both streams), ``send(signal)``, ``wait(timeout=20.0) -> Output`` (until it ends by itself),
    ``stop(signal=SIGTERM, timeout=20.0) -> Output``, ``kill() -> Output`` (SIGKILL, children too).
    An Output has ``returncode``, ``stdout``, ``stderr``, ``lines`` (both streams, whole lines).

``obskit_command -> tuple[str, ...]``
    The words that start the command line interface in this interpreter.

``run_uvicorn(app_source, *args, env=None, launcher=(), capture="pipe") -> Server``
``run_gunicorn(app_source, *args, env=None, launcher=(), capture="pipe") -> Server``
    Write *app_source* to ``app.py`` in an empty folder, serve its ``app`` on a free loopback port
    with further *args* of the server's command line, and wait until it accepts connections.
    *launcher* goes before the command, as in ``launcher=(*obskit_command, "run", "--")``.
    A Server has ``url``, ``port``, ``folder``, ``process`` and ``stop(timeout=20.0) -> Output``.

``service_binary(name) -> str``
    The path of a real server or tool named in scripts/services. Where it is absent the test is
    skipped with the reason, or fails if OBSKIT_REQUIRE_SERVICES=1.

``prometheus(*targets, metrics_path="/metrics", interval="200ms", rules=None, config=None)``
    A real Prometheus that scrapes *targets* ("127.0.0.1:8000"); *rules* is the text of a rule
    file, *config* replaces the whole configuration. The first scrape comes after about 5 s, a
    delay built into Prometheus: put several checks into one test. It has ``url``, ``process``,
    ``targets() -> list[dict]``, ``wait_scraped(timeout=20.0)`` (all targets up),
    ``query(expression) -> list[dict]`` (the result of an instant query) and
    ``wait_for(expression, timeout=20.0) -> list[dict]`` (until the result is not empty).

``promtool(*args, stdin="") -> subprocess.CompletedProcess[str]``
    Run Debian's promtool, as in ``promtool("check", "metrics", stdin=text)``; never raises.

``opensearch``
    A real OpenSearch node (the API of Elasticsearch 7.10; data streams, index templates, ingest
    pipelines with scripts; neither users nor TLS nor ISM), up at the start of every test; the
    first one waits 5 s for it. It has ``url``, ``port``, ``running``, ``log``,
    ``stream(prefix="test", **template) -> str`` (a new name of a data stream that is made by the
    first document, as in ``stream(mappings={...})``, deleted after the test),
    ``documents(target, until=..., timeout=10.0, **search) -> list[dict]`` (all of them, refreshed
    and read again until *until* is true of the list, as in ``until=lambda rows: len(rows) == 5``),
    ``call(method, path, body=None, **query) -> Answer`` (``status`` and decoded ``body``; text is
    sent as *content_type*, ndjson if none is given, anything else as JSON) and ``ask(...)``, which
    is the same but fails where the status is an error, and returns the body. ``stop()``,
    ``kill()``, ``start()`` and ``restart()`` lose it and bring it back on the same port with its
    documents, in about 5 s. ``with opensearch.paused():`` freezes it: what is connected stays so,
    nothing answers.

``rabbitmq``
    A real RabbitMQ broker, up at the start of every test. It has ``url`` (amqp://...), ``port``,
    ``running``, ``log``, ``channel()`` (``with``: a pika channel on a connection of its own),
    ``queue(prefix="queue", **options) -> str`` (declares a queue of a new name, deleted after the
    test), ``waiting(queue) -> int``, ``purge(queue)`` and ``ctl(*words) -> str`` (rabbitmqctl,
    takes half a second). ``stop()``, ``kill()``, ``start()`` and ``restart()`` lose it and bring it
    back on the same port with its durable queues, in about 5 s. ``with rabbitmq.paused():``
    freezes it: what is connected stays so, nothing answers.

``zipkin``
    A real Zipkin server with the traces of the whole run: use trace ids and service names of your
    own. It has ``url``, ``trace(trace_id) -> list[dict]``, ``spans(service) -> list[dict]``
    (those that the service reported), ``dependencies(*services) -> list[dict]`` (the links they
    are part of), all with ``until=bool`` (asked again until this is true of the answer) and
    ``timeout=10.0``, further ``send(spans)`` and ``get(path, **query)`` below /api/v2. Zipkin
    writes service names and span names in lower case.

Those for tests of the floor are described in ``tests/floor.py``.
"""

import logging
from collections.abc import Iterator

import pytest

pytest_plugins = [
    "tests.floor",
    "tests.services.binaries",
    "tests.services.ports",
    "tests.services.processes",
    "tests.services.opensearch",
    "tests.services.prometheus",
    "tests.services.rabbitmq",
    "tests.services.servers",
    "tests.services.zipkin",
]


@pytest.fixture(autouse=True)
def loggers_as_found() -> Iterator[None]:
    """Give `logging` back as it was: a level that one test sets is not that of the next."""
    manager = logging.root.manager
    disabled, level, kind = manager.disable, logging.root.level, logging.getLoggerClass()
    before = {
        name: (one.level, one.disabled, one.propagate, one.handlers[:], one.filters[:])
        for name, one in manager.loggerDict.items()
        if isinstance(one, logging.Logger)
    }
    yield
    manager.disable, logging.root.level = disabled, level
    logging.setLoggerClass(kind)
    for name, one in list(manager.loggerDict.items()):
        if isinstance(one, logging.Logger):
            found = before.get(name, (logging.NOTSET, False, True, [], []))
            one.level, one.disabled, one.propagate, handlers, filters = found
            one.handlers[:], one.filters[:] = handlers, filters
    manager._clear_cache()  # type: ignore[attr-defined]
