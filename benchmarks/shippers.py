"""One process that ships numbered events in the way of one participant, and ends as it is told.

python -m benchmarks.shippers WHO PORT TOKEN_FILE FOLDER EVENTS PER_SECOND END
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

Ready = Callable[[], logging.Logger]


def obskit_splunk(port: int, token_file: str, folder: str) -> logging.Logger:
    """Ship by obskit to Splunk's HTTP Event Collector."""
    return _obskit(f"splunk+http://127.0.0.1:{port}?token_file={token_file}", folder)


def obskit_elasticsearch(port: int, token_file: str, folder: str) -> logging.Logger:
    """Ship by obskit to Elasticsearch."""
    return _obskit(f"elasticsearch+http://127.0.0.1:{port}?api_key_file={token_file}", folder)


def _obskit(url: str, folder: str) -> logging.Logger:
    import obskit

    obskit.init(
        "bench", metrics_port="off", log_stream=os.devnull, ship=url, spool=folder, capture=False
    )
    return logging.getLogger("bench")


def splunk_handler(port: int, token_file: str, folder: str) -> logging.Logger:
    """Ship by splunk-handler, with its defaults but for a shorter flush."""
    from splunk_handler import SplunkHandler

    logger = logging.getLogger("bench")
    logger.addHandler(
        SplunkHandler(
            host="127.0.0.1", port=port, token=Path(token_file).read_text().strip(),
            index="main", protocol="http", flush_interval=1.0,
        )
    )  # fmt: skip
    logger.setLevel(logging.INFO)
    return logger


def opentelemetry(port: int, token_file: str, folder: str) -> logging.Logger:
    """Ship by OpenTelemetry's SDK over OTLP/HTTP, with its defaults."""
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    token = Path(token_file).read_text().strip()
    exporter = OTLPLogExporter(
        endpoint=f"http://127.0.0.1:{port}/v1/logs", headers={"authorization": f"Bearer {token}"}
    )
    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = logging.getLogger("bench")
    logger.addHandler(LoggingHandler(logger_provider=provider))
    logger.setLevel(logging.INFO)
    return logger


def logstash_async(port: int, token_file: str, folder: str) -> logging.Logger:
    """Ship by python-logstash-async over TCP, with its database in a file."""
    from logstash_async.handler import AsynchronousLogstashHandler

    database = str(Path(folder) / "logstash.db")
    logger = logging.getLogger("bench")
    logger.addHandler(AsynchronousLogstashHandler("127.0.0.1", port, database_path=database))
    logger.setLevel(logging.INFO)
    return logger


WHO = {
    "obskit, Splunk": (obskit_splunk, "splunk"),
    "obskit, Elasticsearch": (obskit_elasticsearch, "elasticsearch"),
    "splunk-handler": (splunk_handler, "splunk"),
    "OpenTelemetry SDK": (opentelemetry, "otlp protobuf"),
    "logstash-async": (logstash_async, "logstash tcp"),
}


def main(words: list[str]) -> None:
    """Log, then end."""
    who, port, token_file, folder, events, per_second, end = words
    logger = WHO[who][0](int(port), token_file, folder)
    count = int(events)
    if end == "fork":
        _log_in_children(logger, count)
    else:
        _log(logger, range(count), float(per_second))
    Path(folder, "logged").write_text(str(time.time()))
    if end == "SIGTERM":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    if end == "SIGKILL":
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)


def _log(logger: logging.Logger, numbers: range, per_second: float) -> None:
    begun = time.perf_counter()
    for index, number in enumerate(numbers):
        logger.info("event %d", number)
        if per_second:
            wait = begun + index / per_second - time.perf_counter()
            if wait > 0:
                time.sleep(wait)


def _log_in_children(logger: logging.Logger, count: int) -> None:
    """Let two children log half of the events each, and end as workers often do."""
    children = []
    for half in (range(count // 2), range(count // 2, count)):
        pid = os.fork()
        if pid == 0:
            _log(logger, half, 1000.0)
            time.sleep(2.5)
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
