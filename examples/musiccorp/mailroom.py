"""Mail room: reads the mails of gifts before they go out. It is older than all others here.

An ordinary consumer. It takes a message, and sends a new one, with the headers that it knows.
"""

import logging

import celeryconfig
from kombu import Connection, Exchange, Queue
from kombu.mixins import ConsumerProducerMixin

logging.addLevelName(logging.WARNING, "WARN")
logging.basicConfig(level=logging.INFO, format="[Mail room] %(levelname)s %(message)s")
log = logging.getLogger("mailroom")

MAILS = Exchange("mails")
KNOWN = ("lang", "task", "id", "root_id", "parent_id", "group", "retries", "eta", "expires")


class MailRoom(ConsumerProducerMixin):
    """One clerk."""

    def __init__(self, connection):
        self.connection = connection

    def get_consumers(self, consumer, channel):
        """Say what is read."""
        queue = Queue("mails.unchecked", MAILS, "unchecked")
        return [consumer([queue], on_message=self.check, prefetch_count=1)]

    def on_consume_ready(self, connection, channel, consumers, **kwargs):
        """Say that work begins."""
        log.info("Open")

    def check(self, message):
        """Read a mail and let it pass."""
        log.info("Card read")
        headers = {name: message.headers.get(name) for name in KNOWN}
        self.producer.publish(
            message.payload,
            exchange=MAILS,
            routing_key="checked",
            headers=headers,
            correlation_id=message.properties.get("correlation_id"),
        )
        message.ack()


if __name__ == "__main__":
    options = getattr(celeryconfig, "broker_transport_options", {})
    with Connection(celeryconfig.broker_url, transport_options=options) as connection:
        MailRoom(connection).run()
