"""Invoice: writes invoices, one at a time, in a process that may die of it.

An ordinary worker of Celery.
"""

import logging
import os
import signal

from celery import Celery

logging.addLevelName(logging.WARNING, "WARN")
logging.basicConfig(level=logging.INFO, format="[Invoice] %(levelname)s %(message)s")
log = logging.getLogger("invoice")

TOO_BIG = {"Bach: the complete works"}

app = Celery("invoice")
app.config_from_object("celeryconfig")


# A task whose process dies goes back to the broker, which delivers it again.
@app.task(name="invoice.write", bind=True, acks_late=True, reject_on_worker_lost=True)
def write(self, customer, cd, total):
    """Write the invoice of one order."""
    log.info("Writing the invoice")
    again = self.request.delivery_info["redelivered"]
    if cd in TOO_BIG and not again:
        os.kill(os.getpid(), signal.SIGKILL)  # so does the kernel where memory runs out
    log.info("Invoice written")
