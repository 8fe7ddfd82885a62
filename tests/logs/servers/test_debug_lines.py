"""The wish for debug lines, and the ring, in servers that people run."""

import json
import urllib.error
import urllib.request

from obskit.order import Order

EDGE = """
import logging, os
import fastapi, httpx, obskit

app = fastapi.FastAPI()
log = obskit.get_logger("edge")

@app.get("/{customer}")
async def order(customer: str):
    log.debug("before the wish")
    if customer == "ada":
        obskit.debug_operation()
    log.debug("looking for %s", customer)
    async with httpx.AsyncClient() as client:
        answer = await client.get(os.environ["BEHIND_URL"] + "/" + customer)
    return {"status": answer.status_code}
"""
BEHIND = """
import logging
import fastapi

app = fastapi.FastAPI()
log = logging.getLogger("behind")

@app.get("/{customer}")
def stock(customer: str):
    log.debug("stock of %s", customer)
    if customer == "bob":
        raise ValueError("no stock")
    return {}
"""
ASKING = {"baggage": "obskit.correlation=x,obskit.debug=1"}


def get(url, **headers):
    """Ask, and return the status."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def lines_of(server):
    """Return the lines of a server, which is stopped, that belong to requests."""
    found = [json.loads(line) for line in server.stop().lines]
    return [line for line in found if "correlation_id" in line]


def own(lines):
    """Return the lines that are neither a library's nor a server's."""
    return [line for line in lines if line["logger"] in ("edge", "behind", "obskit.summary")]


def served(run_uvicorn, command, source, **env):
    """Start a server."""
    launcher = (*command, "run", "--")
    return run_uvicorn(source, launcher=launcher, env={"OBSKIT_METRICS_PORT": "off", **env})


def test_a_wish_at_the_edge_reaches_the_services_behind(run_uvicorn, obskit_command):
    """Of one operation all have debug lines from there on, and of no other."""
    behind = served(run_uvicorn, obskit_command, BEHIND, OBSKIT_SERVICE="behind")
    edge = served(run_uvicorn, obskit_command, EDGE, OBSKIT_SERVICE="edge", BEHIND_URL=behind.url)
    for customer in ("eve", "ada", "eve"):
        assert get(f"{edge.url}/{customer}") == 200
    lines = lines_of(edge) + lines_of(behind)

    debug = [line for line in own(lines) if line["level"] == "debug"]
    assert [line["message"] for line in debug] == ["looking for ada", "stock of ada"]
    operation = debug[0]["correlation_id"]
    order = Order([line for line in lines if line["correlation_id"] == operation])
    messages = [event.line["message"] for event in order.events]
    assert messages.index("looking for ada") < messages.index("stock of ada")
    assert "httpcore.http11" in {event.line["logger"] for event in order.events}
    assert order.missing() == {}


def test_an_edge_does_not_believe_its_clients(run_uvicorn, obskit_command):
    """Whoever asks by a header gets an answer and no debug lines."""
    behind = served(run_uvicorn, obskit_command, BEHIND, OBSKIT_TRUST="edge")
    assert get(f"{behind.url}/eve", **ASKING) == 200

    assert [line["message"] for line in own(lines_of(behind))] == ["request finished"]


def test_a_request_that_fails_has_its_debug_lines(run_uvicorn, obskit_command):
    """In front of its summary, with the ID; one that goes well has none."""
    behind = served(run_uvicorn, obskit_command, BEHIND, OBSKIT_DEBUG_RING="10")
    assert (get(f"{behind.url}/eve"), get(f"{behind.url}/bob")) == (200, 500)
    fine, held, failed = own(lines_of(behind))

    assert (held["message"], held["obskit_held"]) == ("stock of bob", True)
    assert held["correlation_id"] == failed["correlation_id"] != fine["correlation_id"]
    assert held["lc_at"] == f"{failed['span_id']}-0.1"
