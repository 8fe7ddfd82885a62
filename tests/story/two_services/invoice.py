"""Invoice: takes orders for CDs, prices them, and asks the warehouse to send a parcel.

An ordinary FastAPI service. It prints what such services print, and no tool is in it.
"""

import asyncio
import logging
import os

import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

logging.addLevelName(logging.WARNING, "WARN")
logging.basicConfig(level=logging.INFO, format="[Invoice] %(levelname)s %(message)s")
logging.getLogger("httpx").setLevel(logging.WARNING)
log = logging.getLogger("invoice")

WAREHOUSE = os.environ.get("WAREHOUSE_URL", "http://127.0.0.1:8081")
VAT = {"DE": 0.19, "FR": 0.20, "GB": 0.20, "IT": 0.22, "SE": 0.25}

app = FastAPI(title="Invoice")


class Order(BaseModel):
    """A customer's order."""

    order_id: str
    country: str
    price: float = 12.50
    copies: int = 1


@app.get("/health")
async def health() -> dict[str, str]:
    """Say that the service is up."""
    return {"status": "up"}


@app.post("/orders/{customer}")
async def place_order(customer: str, order: Order) -> dict[str, object]:
    """Invoice an order and have it sent."""
    log.info("Order received")
    each = await asyncio.to_thread(price_per_copy, order)
    rate = VAT.get(order.country)
    if rate is None:
        log.warning("Unknown country code")
        rate = 0.0
    total = round(each * order.copies * (1 + rate), 2)
    parcel = await ask_warehouse(order)
    log.info("Invoice written")
    return {"order_id": order.order_id, "total": total, "parcel": parcel}


def price_per_copy(order: Order) -> float:
    """Return what one copy costs; a whole order has one price."""
    each = order.price / order.copies
    log.info("Price looked up")
    return each


async def ask_warehouse(order: Order) -> str:
    """Have the parcel packed."""
    async with httpx.AsyncClient(timeout=5.0) as client:
        answer = await client.post(
            f"{WAREHOUSE}/parcels", json={"order_id": order.order_id, "country": order.country}
        )
    if answer.status_code >= 500:
        log.error("Warehouse did not take the order")
        raise HTTPException(502, "no parcel")
    return str(answer.json()["parcel"])
