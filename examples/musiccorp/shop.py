"""Shop: takes orders for CDs, and has them invoiced, packed and confirmed.

An ordinary FastAPI service. It prints what such services print, and no tool is in it.
"""

import asyncio
import logging
import os

import httpx
from celery import Celery
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

logging.addLevelName(logging.WARNING, "WARN")
logging.basicConfig(level=logging.INFO, format="[Shop] %(levelname)s %(message)s")
logging.getLogger("httpx").setLevel(logging.WARNING)
log = logging.getLogger("shop")

ACCOUNTS = os.environ.get("ACCOUNTS_URL", "http://127.0.0.1:8081")
INVENTORY = os.environ.get("INVENTORY_URL", "http://127.0.0.1:8082")
PATIENCE = 3.0
VAT = {"DE": 0.19, "FR": 0.20, "GB": 0.20, "IT": 0.22, "SE": 0.25}

app = FastAPI(title="Shop")
tasks = Celery("shop")
tasks.config_from_object("celeryconfig")


class Order(BaseModel):
    """What a customer wants."""

    cd: str = "Kind of Blue"
    copies: int = 1
    price: float = 12.50
    gift: bool = False


@app.get("/health")
async def health() -> dict[str, str]:
    """Say that the service is up."""
    return {"status": "up"}


@app.post("/orders/{customer}")
async def place_order(customer: str, order: Order) -> dict[str, object]:
    """Sell a CD."""
    log.info("Order received")
    country = await country_of(customer)
    each = order.price / order.copies
    rate = VAT.get(country)
    if rate is None:
        log.warning("Unknown country code")
        rate = 0.0
    total = round(each * order.copies * (1 + rate), 2)
    depot = await reserve(order, country)
    await asyncio.to_thread(hand_on, customer, order, total)
    log.info("Order accepted")
    return {"customer": customer, "total": total, "depot": depot}


async def country_of(customer: str) -> str:
    """Ask Accounts where a customer lives."""
    async with httpx.AsyncClient(timeout=10.0) as client:
        answer = await client.get(f"{ACCOUNTS}/customers/{customer}")
    if answer.status_code != 200:
        raise HTTPException(404, "no such customer")
    return str(answer.json()["country"])


async def reserve(order: Order, country: str) -> str:
    """Have Inventory put the CD aside."""
    wanted = {"cd": order.cd, "copies": order.copies, "country": country}
    try:
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            answer = await client.post(f"{INVENTORY}/reservations", json=wanted)
    except httpx.TimeoutException:
        log.error("Inventory takes too long")
        raise HTTPException(504, "try again later") from None
    except httpx.ConnectError:
        log.error("Inventory cannot be reached")
        raise HTTPException(502, "try again later") from None
    if answer.status_code >= 500:
        log.error("Inventory did not take the order")
        raise HTTPException(502, "no CD")
    return str(answer.json()["depot"])


def hand_on(customer: str, order: Order, total: float) -> None:
    """Leave the rest to others, who do it when they have time."""
    tasks.send_task("invoice.write", (customer, order.cd, total), queue="invoice")
    tasks.send_task("shipping.pack", (customer, order.cd), queue="shipping")
    if order.gift:  # a card goes with it, and the mail room reads what is on cards
        tasks.send_task("email.confirm", (customer,), exchange="mails", routing_key="unchecked")
    else:
        tasks.send_task("email.confirm", (customer,), queue="email")
