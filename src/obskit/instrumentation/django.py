"""Requests that Django serves over WSGI and ASGI, with the errors that it turns into answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from obskit import health
from obskit.conventions import set_route
from obskit.instrumentation._applications import serves_asgi, serves_wsgi
from obskit.instrumentation._drive import Call, Switch, instead, wraps
from obskit.instrumentation._served import MARK, Served

# Those of Django as it resolves them, and as people read them: a site has few.
_routes: dict[str, str] = {}
_MOST_ROUTES = 2000

# What only a regular expression has; a literal parenthesis in a `path()` is none.
_REGEX = ("^", "$", "\\", "(?")
_RAISED = "django_raised"
_NONE: dict[str, Any] = {}


@serves_wsgi("django.core.handlers.wsgi", "WSGIHandler.__call__")
@serves_asgi("django.core.handlers.asgi", "ASGIHandler.__call__")
def template(request: Any, served: Served) -> str | None:
    """Blame the error that Django has made this answer of: the route was named long ago."""
    raised = vars(served).get(_RAISED)
    status = served.observation.status
    if raised is not None and (status is None or status >= 500):
        served.blame(raised, status or 500)
    return None


@instead("django.core.handlers.base", "BaseHandler.resolve_request")
def resolve(original: Callable[..., Any], switch: Switch) -> Callable[..., Any]:
    """Name the route, with the prefixes of all includes, as soon as it is resolved."""

    def resolve_request(self: Any, request: Any) -> Any:
        match = original(self, request)
        if switch.on:
            try:
                known = request.__dict__
                served = (known.get("environ") or known.get("scope") or _NONE).get(MARK)
                route = match.route
                if served is not None and route is not None:
                    served.routed = True
                    text = _routes.get(route) or _route(route)
                    set_route(served.observation, served.prefix + text)
            except Exception as error:
                health.internal_error("django.route", error)
        return match

    return resolve_request


@wraps("django.core.handlers.exception", "handle_uncaught_exception")
def uncaught(call: Call) -> None:
    """Remember what a 500 is made of, be it raised by a view or by the handler of an error."""
    _remember(call.argument(0, "request"), call.argument(2, "exc_info")[1])


@wraps("django.core.handlers.base", "BaseHandler.process_exception_by_middleware")
def raised(call: Call) -> None:
    """Remember what a view has raised: a middleware may answer for it."""
    _remember(call.argument(1, "request"), call.argument(0, "exception"))


@wraps("django.contrib.staticfiles.handlers", "StaticFilesHandlerMixin.serve")
def static(call: Call) -> None:
    """Name what ``runserver`` serves itself, without any route of the site."""
    served = _served_of(call.argument(0, "request"))
    if served is not None:
        served.route(f"{call.instance.base_url[2]}<path:path>")


def _served_of(request: Any) -> Served | None:
    """Return the `Served` of a request of Django's; a test client's has none."""
    known = request.__dict__
    return (known.get("environ") or known.get("scope") or _NONE).get(MARK)


def _remember(request: Any, error: BaseException | None) -> None:
    """Note *error* until it is known what answer it has led to."""
    served = _served_of(request)
    if served is not None and error is not None:
        vars(served)[_RAISED] = error
        # So `template` is asked once the answer is there.
        served.routed = False


def _route(route: str) -> str:
    """Return *route* as a path for people, and keep it."""
    text = readable(route) if any(sign in route for sign in _REGEX) else route
    text = f"/{text.removeprefix('/')}"
    if len(_routes) < _MOST_ROUTES:
        _routes[route] = text
    return text


def readable(pattern: str) -> str:
    r"""Return a regular expression of a URL without what is none of its text.

    ``^orders/(?P<number>\d+)/$`` becomes ``orders/<number>/``, a group without a name ``<var>``.
    """
    out: list[str] = []
    at = 0
    while at < len(pattern):
        sign = pattern[at]
        end = at
        if sign == "\\":
            end = at + 1
            escaped = pattern[end : end + 1]
            out.append(pattern[at : end + 1] if escaped.isalnum() else escaped)
            if escaped in ("A", "Z", "b", "B"):
                out.pop()
        elif sign == "(":
            end = _end_of_group(pattern, at)
            out.append(_group(pattern[at + 1 : end]))
        elif sign == "[":
            end = _end_of_class(pattern, at)
            out.append(pattern[at : end + 1])
        elif sign not in "^$?*+":
            out.append(sign)
        at = end + 1
    return "".join(out)


def _group(inside: str) -> str:
    """Return what stands for a group: its name, or what it holds if it only holds together."""
    if inside.startswith("?P<"):
        return f"{inside[2:].partition('>')[0]}>"
    if inside.startswith("?:"):
        return readable(inside[2:])
    return "" if inside.startswith("?") else "<var>"


def _end_of_group(pattern: str, start: int) -> int:
    """Return where the group ends that begins at *start*."""
    at, depth = start, 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "\\":
            at += 1
        elif sign == "[":
            at = _end_of_class(pattern, at)
        elif sign == "(":
            depth += 1
        elif sign == ")":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    return len(pattern)


def _end_of_class(pattern: str, start: int) -> int:
    """Return where the set of characters ends that begins at *start*; ``]`` may be its first."""
    at = start + 1
    at += pattern[at : at + 1] == "^"
    at += pattern[at : at + 1] == "]"
    while at < len(pattern) and pattern[at] != "]":
        at += 2 if pattern[at] == "\\" else 1
    return at
