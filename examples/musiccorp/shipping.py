"""Shipping: packs parcels and writes the address on them.

An ordinary worker of Celery.
"""

import logging
import os

import requests
from celery import Celery

logging.addLevelName(logging.WARNING, "WARN")
logging.basicConfig(level=logging.INFO, format="[Shipping] %(levelname)s %(message)s")
log = logging.getLogger("shipping")

ACCOUNTS = os.environ.get("ACCOUNTS_URL", "http://127.0.0.1:8081")

app = Celery("shipping")
app.config_from_object("celeryconfig")


@app.task(name="shipping.pack")
def pack(customer, cd):
    """Pack one parcel."""
    log.info("Packing a parcel")
    answer = requests.get(f"{ACCOUNTS}/customers/{customer}", timeout=10)
    answer.raise_for_status()
    log.info("Parcel sent")
