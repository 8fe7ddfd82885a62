"""The example shop as `obskit demo` runs it."""

import subprocess
import sys

import pytest

from obskit.cli import _shop
from obskit.cli._shop import Order, Service, Shop
from tests.services.ports import accepts, reserve_port
from tests.source import ROOT


def test_the_programs_are_those_of_the_checkout():
    """From a checkout the demo shows the example that people can read there."""
    assert _shop.programs() == ROOT / "examples" / "musiccorp"


def test_what_is_missing_is_named(monkeypatch):
    """Who has installed obskit alone is told what else the demo needs."""
    monkeypatch.setattr(_shop, "find_spec", lambda name: None if name == "flask" else object())

    assert _shop.missing() == ["flask"]


@pytest.mark.slow
def test_the_shop_sells_and_is_gone_afterwards(tmp_path, monkeypatch):
    """Orders get their answers, also behind a proxy, and no process and no port is left."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{reserve_port()}")
    with _shop.running(Shop(tmp_path, observed=False)) as services:
        answers = _shop.order_all(services[0].port)
        ports = [service.port for service in services]
        assert all(accepts(port) for port in ports)

    assert answers == {
        "ada": 200, "ben": 200, "cleo": 200, "dora": 200, "emil": 502, "fay": 200, "gus": 502,
        "hana": 200,
    }  # fmt: skip
    assert not any(accepts(port) for port in ports)
    assert all(service.process.poll() is not None for service in services)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["invoice.log", "warehouse.log"]


def test_a_service_that_does_not_start_is_said_with_its_last_words(tmp_path, monkeypatch):
    """The first error is the service's own, and nothing is left running."""
    (tmp_path / "warehouse.py").write_text("raise RuntimeError('no parcels today')")
    (tmp_path / "invoice.py").write_text("raise RuntimeError('no orders today')")
    monkeypatch.setattr(_shop, "programs", lambda: tmp_path)

    with pytest.raises(RuntimeError, match=r"did not start(.|\n)*today"):
        _shop.start(Shop(tmp_path, observed=False))


def test_a_port_that_was_taken_meanwhile_is_no_end(tmp_path, monkeypatch):
    """Another demo may have been faster: then other ports are tried."""
    tried = []

    def start_both(shop):
        tried.append(shop)
        if len(tried) < _shop.ATTEMPTS:
            raise _shop._PortTaken("taken")
        return []

    monkeypatch.setattr(_shop, "_start_both", start_both)

    assert _shop.start(Shop(tmp_path, observed=False)) == []
    monkeypatch.setattr(_shop, "ATTEMPTS", 2)
    tried.clear()
    monkeypatch.setattr(_shop, "_start_both", lambda shop: start_both(shop) if tried else fail())

    def fail():
        raise _shop._PortTaken("taken")

    with pytest.raises(RuntimeError, match="taken"):
        _shop.start(Shop(tmp_path, observed=False))


def test_who_does_not_end_is_killed(tmp_path, monkeypatch):
    """A service that ignores SIGTERM does not keep the demo waiting for ever."""
    monkeypatch.setattr(_shop, "STOPPED_WITHIN", 0.3)
    script = (
        "import signal, time; signal.signal(15, signal.SIG_IGN);"
        "print(1, flush=True); time.sleep(99)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    _shop.stop([Service("stubborn", 1, process, tmp_path / "log")])
    process.stdout.close()

    assert process.returncode == -9


def test_nobody_at_the_port_has_no_page():
    """Polling a service that is not there yet raises nothing."""
    assert _shop.get(reserve_port(), "/health") is None


def test_every_mystery_needs_both_kinds_of_orders():
    """Some customers live where one service alone, or neither, knows the country."""
    assert Order("cleo", "CH") in _shop.ORDERS
    assert Order("emil", "XX") in _shop.ORDERS
    assert Order("gus", "IT") in _shop.ORDERS
