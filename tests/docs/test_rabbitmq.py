"""The page on RabbitMQ: its worker runs over a real broker and writes the line that it shows."""

import json
import sys

from pika import BasicProperties

from obskit import observation
from tests.docs.pages import blocks
from tests.source import ROOT

PAGE = ROOT / "docs" / "how-to" / "rabbitmq.md"
WORKER, LINE = (
    next(block.code for block in blocks(PAGE.read_text(encoding="utf-8")) if block.language == one)
    for one in ("python", "json")
)


def test_the_worker_writes_the_line_that_is_shown(
    rabbitmq, start_process, obskit_command, tmp_path
):
    """Started as the page says; what is shown has the fields of what is written."""
    shown = json.loads(LINE)
    (tmp_path / "worker.py").write_text(WORKER, encoding="utf-8")
    with rabbitmq.channel() as channel:
        for queue in ("orders", "bills"):
            channel.queue_declare(queue)
        headers: dict[str, str] = {}
        with observation.unit_of_work("place order", "order-4711"):
            observation.inject(headers)
        properties = BasicProperties(headers={name.lower(): headers[name] for name in headers})
        for body in (b"rubbish", b"order"):
            channel.basic_publish("", "orders", body, properties)
        worker = start_process(
            *obskit_command, "run", "--service", "billing", "--", sys.executable, "worker.py",
            env={"AMQP_URL": rabbitmq.url, "OBSKIT_LOG_LEVEL": "INFO,pika=WARNING"},
            cwd=tmp_path,
        )  # fmt: skip
        worker.wait_for(rb'"calls":1')
        worker.kill()
        bill = channel.basic_get("bills", auto_ack=True)[1]
        for queue in ("orders", "bills"):
            channel.queue_delete(queue)
    lines = [json.loads(line) for line in worker.stdout.decode().splitlines()]
    done = [line for line in lines if line["message"] == "message processed"]

    assert {line["logger"] for line in lines} == {"obskit", "obskit.summary", "billing"}
    assert [line["outcome"] for line in done] == ["rejected", "ok"]
    assert {line["correlation_id"] for line in lines if "scope" not in line} == {"order-4711"}
    assert bill.headers["x-correlation-id"] == "order-4711"
    assert shown.keys() - {"caller"} <= done[0].keys()
    for name in ("message", "level", "outcome", "error_type", "error_message", "error_stack"):
        assert done[0][name] == shown[name], name
