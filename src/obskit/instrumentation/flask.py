"""Requests that Flask serves, with the errors that it turns into answers."""

from __future__ import annotations

from obskit.instrumentation._applications import serves_wsgi
from obskit.instrumentation._drive import Call, wraps
from obskit.instrumentation._served import MARK, Served
from obskit.instrumentation._wsgi import Environ


@serves_wsgi("flask.app", "Flask.__call__")
def template(environ: Environ, served: Served) -> str | None:
    """Return the rule that matched, with the prefix of its blueprint."""
    request = environ.get("werkzeug.request")
    # A middleware may have put a request of werkzeug's own there.
    rule = getattr(request, "url_rule", None)
    return None if rule is None else rule.rule


@wraps("flask.app", "Flask.handle_user_exception")
@wraps("flask.app", "Flask.handle_exception")
def error(call: Call) -> None:
    """Remember what went wrong: the answer is made after it was handled."""
    from flask import request

    served = request.environ.get(MARK)
    if served is not None:
        served.blamed = call.argument(0, "e")
        rule = template(request.environ, served)
        if rule:
            served.route(rule)
