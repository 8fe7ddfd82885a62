"""What is the same on all lines of a process."""

import os
import socket

from obskit import settings
from obskit.logs.facts import facts


def test_the_process_is_known(monkeypatch):
    """Service, version, environment, host and process ID, and the pod where there is one."""
    for name in ("POD_NAME", "POD_NAMESPACE", "NODE_NAME"):
        monkeypatch.delenv(name, raising=False)
    found = facts(settings.resolve({"service": "shop", "version": "1", "env": "test"}, {}, "/"))
    assert found == {
        "service": "shop", "version": "1", "env": "test", "host": socket.gethostname(),
        "pid": os.getpid(),
    }  # fmt: skip
    monkeypatch.setenv("POD_NAME", "shop-1")
    assert facts(settings.resolve({"service": "shop"}, {}, "/"))["pod"] == "shop-1"


def test_a_strange_name_is_encodable():
    """A name from the environment may be anything, and is never too long for a line."""
    found = facts(settings.resolve({"service": "\udcff" * 5000}, {}, "/"))

    assert len(found["service"].encode()) < 2000
