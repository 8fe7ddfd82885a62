"""Real services under `obskit run` send one trace for each request, with the IDs of their lines."""

import json
import secrets
import urllib.error
import urllib.request

SERVICE = """
import os

import httpx
from fastapi import FastAPI
from opentelemetry import trace

import obskit

app = FastAPI()
tracer = trace.get_tracer("shop")


@app.get("/order")
def order():
    with obskit.observe("charge card"), tracer.start_as_current_span("sign") as span:
        span.set_attribute("order", 7)
        span.add_event("signed")
        return httpx.get(os.environ["STOCK"] + "/stock/7", trust_env=False).json()


@app.get("/stock/{number}")
async def stock(number: int):
    if number == 8:
        raise LookupError("no such thing")
    return {"number": number}
"""


def test_a_request_through_two_services_is_one_trace(zipkin, run_uvicorn, obskit_command):
    """Each span hangs below its cause, lines have their IDs, and the graph has the edge."""
    unique = secrets.token_hex(4)
    launcher = (*obskit_command, "run", "--")
    env = {"OBSKIT_ZIPKIN": zipkin.url, "OBSKIT_METRICS_PORT": "off"}
    stock = run_uvicorn(
        SERVICE, launcher=launcher, env={**env, "OBSKIT_SERVICE": f"stock-{unique}"}
    )
    shop = run_uvicorn(
        SERVICE, launcher=launcher,
        env={**env, "OBSKIT_SERVICE": f"shop-{unique}", "STOCK": stock.url},
    )  # fmt: skip
    with urllib.request.urlopen(shop.url + "/order", timeout=20) as answer:
        trace_id = answer.headers["x-correlation-id"]
    found = zipkin.trace(trace_id, until=lambda spans: len(spans) == 5)
    lines = [json.loads(line) for one in (shop, stock) for line in one.stop().stdout.splitlines()]

    by_name = {(span.get("kind"), span["name"]): span for span in found}
    served, step, sign, called, answered = (
        by_name[key]
        for key in (
            ("SERVER", "get /order"), (None, "charge card"), (None, "sign"),
            ("CLIENT", "get"), ("SERVER", "get /stock/{number}"),
        )
    )  # fmt: skip
    chain = [served, step, sign, called, answered]
    assert [span.get("parentId") for span in chain] == [None, *(span["id"] for span in chain[:-1])]
    assert sign["tags"]["order"] == "7"
    assert sign["annotations"][0]["value"] == "signed"
    port = stock.port
    assert called["remoteEndpoint"] == {
        "serviceName": f"127.0.0.1:{port}", "ipv4": "127.0.0.1", "port": port,
    }  # fmt: skip
    written = {line["span_id"] for line in lines if line.get("trace_id") == trace_id}
    assert {served["id"], answered["id"]} <= written <= {span["id"] for span in found}
    links = zipkin.dependencies(f"shop-{unique}", f"stock-{unique}")
    assert links == [{"parent": f"shop-{unique}", "child": f"stock-{unique}", "callCount": 1}]


def test_an_error_is_kept_though_the_ratio_leaves_it_out(zipkin, run_uvicorn, obskit_command):
    """What goes well is not sent; B3's debug is, with its mark."""
    service = f"errors-{secrets.token_hex(4)}"
    server = run_uvicorn(
        SERVICE, launcher=(*obskit_command, "run", "--"),
        env={"OBSKIT_ZIPKIN": zipkin.url, "OBSKIT_METRICS_PORT": "off", "OBSKIT_SERVICE": service,
             "OBSKIT_TRACE_RATIO": "0"},
    )  # fmt: skip

    def get(path, **headers):
        request = urllib.request.Request(server.url + path, headers=headers)
        try:
            urllib.request.urlopen(request, timeout=20).close()
        except urllib.error.HTTPError as error:
            error.close()

    get("/stock/7")
    get("/stock/8")
    get("/stock/8", b3="0")
    get("/stock/7", b3="d")
    server.stop()
    found = zipkin.spans(service, until=lambda spans: len(spans) >= 2)

    assert sorted((span["tags"].get("error", ""), span.get("debug")) for span in found) == [
        ("", True),
        ("LookupError: no such thing", None),
    ]
