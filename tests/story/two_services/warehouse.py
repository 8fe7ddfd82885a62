"""Warehouse: packs parcels and chooses the carrier.

An ordinary Flask service. It prints what such services print, and no tool is in it.
"""

import logging
import time

from flask import Flask, jsonify, request

logging.addLevelName(logging.WARNING, "WARN")
logging.basicConfig(level=logging.INFO, format="[Warehouse] %(levelname)s %(message)s")
log = logging.getLogger("warehouse")

CARRIERS = {"CH": "Swiss Post", "DE": "DHL", "FR": "La Poste", "GB": "Royal Mail", "SE": "PostNord"}

app = Flask(__name__)


@app.get("/health")
def health():
    """Say that the service is up."""
    return jsonify(status="up")


@app.post("/parcels")
def pack():
    """Pack a parcel and hand it to the carrier of the country."""
    order = request.get_json()
    log.info("Packing a parcel")
    time.sleep(0.03)
    carrier = choose_carrier(order["country"])
    log.info("Parcel handed over")
    return jsonify(parcel=f"{carrier}/{order['order_id']}")


def choose_carrier(country):
    """Return the carrier that delivers to *country*."""
    try:
        return CARRIERS[country]
    except KeyError:
        log.error("Invalid country code")
        raise
