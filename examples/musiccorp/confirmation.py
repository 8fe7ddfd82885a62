"""E-mail: tells customers that their order is on its way.

An ordinary worker of Celery.
"""

import logging

from celery import Celery

logging.addLevelName(logging.WARNING, "WARN")
logging.basicConfig(level=logging.INFO, format="[E-Mail] %(levelname)s %(message)s")
log = logging.getLogger("email")

app = Celery("email")
app.config_from_object("celeryconfig")


@app.task(name="email.confirm")
def confirm(customer):
    """Send one confirmation."""
    log.info("Confirmation sent")
