"""WSGI applications that are served by an ASGI application: the request has its owner already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from obskit import health
from obskit.instrumentation._drive import around
from obskit.instrumentation._served import MARK


@around("starlette.middleware.wsgi", "build_environ")
@around("a2wsgi.wsgi", "build_environ")
def environ(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
    """Hand the mark of the scope on to the environ that is made from it."""
    made = wrapped(*args, **kwargs)
    try:
        scope = args[0] if args else kwargs["scope"]
        if MARK in scope:
            made[MARK] = scope[MARK]
    except Exception as error:
        health.internal_error("asgi.environ", error)
    return made


@around("asgiref.wsgi", "WsgiToAsgiInstance.build_environ")
def method(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
    """Hand the mark on where a method makes the environ."""
    return environ(wrapped, instance, args, kwargs)
