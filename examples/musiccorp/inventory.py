"""Inventory: knows where each CD is, and puts it aside.

An ordinary Flask service. It prints what such services print, and no tool is in it.
"""

import logging
import time

from flask import Flask, jsonify, request

logging.addLevelName(logging.WARNING, "WARN")
logging.basicConfig(level=logging.INFO, format="[Inventory] %(levelname)s %(message)s")
log = logging.getLogger("inventory")

DEPOTS = {"CH": "Basel", "DE": "Hamburg", "FR": "Lyon", "GB": "Leeds", "SE": "Lund"}
IN_THE_CELLAR = {"Songs of the Humpback Whale"}

app = Flask(__name__)


@app.get("/health")
def health():
    """Say that the service is up."""
    return jsonify(status="up")


@app.post("/reservations")
def reserve():
    """Put a CD aside, in the depot that is next to the customer."""
    order = request.get_json()
    log.info("Looking for the CD")
    time.sleep(0.03)
    if order["cd"] in IN_THE_CELLAR:
        log.warning("It is in the cellar")
        time.sleep(4.0)
    depot = choose_depot(order["country"])
    log.info("CD put aside")
    return jsonify(depot=depot)


def choose_depot(country):
    """Return the depot that delivers to *country*."""
    try:
        return DEPOTS[country]
    except KeyError:
        log.error("Invalid country code")
        raise
