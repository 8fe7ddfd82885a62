"""What all that send or carry out tasks agree on: the broker and its queues."""

import os

from kombu import Exchange, Queue

broker_url = os.environ.get("BROKER_URL", "folder:///tmp/musiccorp")
if broker_url.startswith("folder://"):
    import folder

    broker_url, broker_transport_options = folder.settings(broker_url)

# Each kind of task has a queue of its own name; mails of gifts come by way of the mail room.
task_default_queue = "email"
task_queues = [Queue("mails.checked", Exchange("mails"), "checked")]
task_ignore_result = True
worker_enable_remote_control = False
worker_hijack_root_logger = False
broker_connection_retry_on_startup = True
# Whose process is gone has ended: Celery by itself waits for 10 s whether it has a result.
worker_lost_wait = 0.5
