"""Use all libraries of the catalog that see what others send, with names of chance and secrets.

Run as ``python -m tests.instrumentation.all_rows SEED COUNT``; what came of it is written to the
descriptor 3 as JSON. Each secret begins with "planted".
"""

import asyncio
import contextlib
import itertools
import json
import random
import socket
import socketserver
import sys
import threading

import obskit
from obskit import metrics

SECRET = "planted"
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"

_numbers = itertools.count()


class Chance:
    """What the world sends: methods, paths, hosts and callers that nobody has chosen."""

    def __init__(self, seed):
        self._random = random.Random(seed)

    def name(self, longest=24):
        """Return a word."""
        return "".join(self._random.choices(LETTERS, k=self._random.randint(1, longest)))

    def method(self):
        """Return a method, of those that there are every other time."""
        known = self._random.choice(("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))
        return known if self._random.random() < 0.5 else self.name(12).upper()

    def path(self):
        """Return a path, which some route matches every other time."""
        if self._random.random() < 0.5:
            return f"/orders/{self._random.randrange(10**9)}/"
        return "/" + "/".join(self.name() for _ in range(self._random.randint(1, 4)))

    def host(self):
        """Return a name of a host."""
        return f"h{self.name(20)}.{self._random.choice(('internal', 'example', 'local'))}"

    def headers(self):
        """Return headers with secrets and a caller."""
        return [
            ("authorization", f"Bearer {secret()}"),
            ("cookie", f"session={secret()}"),
            ("x-api-key", secret()),
            ("baggage", f"obskit.caller={self.name()},user={secret()}"),
        ]


def secret():
    """Return a secret that was never there before."""
    return f"{SECRET}{next(_numbers)}"


def body():
    """Return what an ASGI server hands over."""
    return [{"type": "http.request", "body": secret().encode(), "more_body": False}]


def asgi(app, loop):
    """Return what sends one request to an ASGI application."""
    from tests.instrumentation.calling import call

    def use(chance):
        query = f"token={secret()}".encode()
        words = (chance.path(), chance.method(), chance.headers())
        loop.run_until_complete(call(app, *words, messages=body(), query_string=query))

    return use


def wsgi(app):
    """Return what sends one request to a WSGI application."""
    from tests.instrumentation.calling import Answer, environ

    def use(chance):
        query = f"token={secret()}"
        words = (chance.path(), chance.method(), chance.headers())
        Answer(app, environ(*words, QUERY_STRING=query)).read()

    return use


def servers(loop):
    """Return an application of each row that serves, by the row."""
    from fastapi import FastAPI
    from flask import Flask
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    from obskit.asgi import Middleware as Asgi
    from obskit.wsgi import Middleware as Wsgi
    from tests.instrumentation import django_site

    async def endpoint(request):
        obskit.get_logger("shop").info("ordered", token=secret())
        return PlainTextResponse("ok")

    routes = [Route("/orders/{number}/", endpoint)]
    flask = Flask("shop")
    flask.get("/orders/<number>/")(lambda number: "ok")

    async def any_asgi(scope, receive, send):
        await PlainTextResponse("ok")(scope, receive, send)

    def any_wsgi(environ, start_response):
        start_response("200 OK", [])
        return [b"ok"]

    return {
        "starlette": asgi(Starlette(routes=routes), loop),
        "fastapi": asgi(FastAPI(routes=routes), loop),
        "asgi": asgi(Asgi(any_asgi), loop),
        "flask": wsgi(flask),
        "wsgi": wsgi(Wsgi(any_wsgi)),
        "django": wsgi(django_site.wsgi()),
    }


class Far(socketserver.StreamRequestHandler):
    """Answer one request, whatever it is."""

    def handle(self):
        """Read the head and say that all is well."""
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


def clients(loop, stack):
    """Return what sends one request by each row that calls, by the row."""
    from urllib.request import ProxyHandler, Request, build_opener

    import aiohttp
    import httpx
    import requests
    import urllib3

    far = stack.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Far))
    far.daemon_threads = True
    threading.Thread(target=far.serve_forever, args=(0.01,), daemon=True).start()
    stack.callback(far.shutdown)
    port = far.server_address[1]
    look_up = socket.getaddrinfo
    socket.getaddrinfo = lambda host, *rest, **more: look_up("127.0.0.1", *rest, **more)

    def url(chance):
        who = f"user:{secret()}@"
        return f"http://{who}{chance.host()}:{port}{chance.path()}?token={secret()}"

    def given(chance):
        return chance.method(), url(chance), dict(chance.headers())

    def without_user(address):
        head, _, tail = address.rpartition("@")
        return f"{head.partition('//')[0]}//{tail}"

    sync = stack.enter_context(httpx.Client(trust_env=False))
    session = stack.enter_context(requests.Session())
    session.trust_env = False
    manager = stack.enter_context(urllib3.PoolManager())
    opener = build_opener(ProxyHandler({}))

    async def ask(method, address, headers):
        # It takes either a user or the header.
        del headers["authorization"]
        async with aiohttp.ClientSession() as one, one.request(method, address, headers=headers):
            pass

    def httpx_(chance):
        method, address, headers = given(chance)
        sync.request(method, address, headers=headers, content=secret())

    def requests_(chance):
        method, address, headers = given(chance)
        session.request(method, address, headers=headers, data=secret())

    def urllib3_(chance):
        method, address, headers = given(chance)
        manager.request(method, address, headers=headers, body=secret().encode())

    def urllib_(chance):
        method, address, headers = given(chance)
        request = Request(without_user(address), secret().encode(), headers, method=method)
        opener.open(request).close()

    return {
        "httpx": httpx_,
        "requests": requests_,
        "urllib3": urllib3_,
        "urllib": urllib_,
        "aiohttp_client": lambda chance: loop.run_until_complete(ask(*given(chance))),
    }


def pika_():
    """Return what sends one message and gets it."""
    from pika import BasicProperties

    from tests.instrumentation.amqp_loopback import blocking

    channel = blocking()

    def use(chance):
        queue = chance.name()
        properties = BasicProperties(headers=dict(chance.headers()))
        channel.basic_publish("", queue, secret().encode(), properties)
        method, _, _ = channel.basic_get(queue)
        channel.basic_ack(method.delivery_tag)

    return use


def celery_():
    """Return what sends one task and carries it out."""
    from tests.instrumentation.celery_site import Site

    site = Site()

    def work(*args, **kwargs):
        """Do nothing."""

    def use(chance):
        task = site.task(name=chance.name())(work)
        task.apply_async((secret(),), {"token": secret()}, headers={"x-api-key": secret()})
        site.work()

    return use


def main(seed, count):
    """Use each row by chance, *count* times altogether, and write the page of metrics."""
    obskit.init("shop")
    with contextlib.ExitStack() as stack:
        loop = stack.enter_context(contextlib.closing(asyncio.new_event_loop()))
        rows = [
            *itertools.repeat(list(servers(loop).values()), 3),
            list(clients(loop, stack).values()),
            [pika_(), celery_()],
        ]
        chance = Chance(seed)
        for number in range(count):
            uses = rows[number % len(rows)]
            uses[number // len(rows) % len(uses)](chance)
    status = obskit.status()
    told = {
        "page": metrics.render(None)[1].decode(),
        "errors": status["internal_errors"],
        "states": {row["name"]: row["state"] for row in status["instrumentation"]},
    }
    with open(3, "w") as file:
        json.dump(told, file)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
