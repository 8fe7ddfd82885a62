"""Know what is the same on all lines of this process."""

from __future__ import annotations

import os
from typing import Any

from obskit import settings as settings_
from obskit.settings import Settings


def facts(settings: Settings) -> dict[str, Any]:
    """Return what is the same on all lines of this process."""
    from obskit.logs.formats import json

    names = {"service": settings.service, "version": settings.version, "env": settings.env}
    found: dict[str, Any] = {name: json.encodable(text) for name, text in names.items() if text}
    found |= {"host": json.encodable(os.uname().nodename), "pid": os.getpid()}
    return found | {name: json.encodable(text) for name, text in settings_.kubernetes().items()}
