"""The example shop as `obskit demo` runs it."""

import pytest

from obskit.cli import _services, _shop
from obskit.cli._services import PortTaken
from obskit.cli._shop import Order, Shop
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
    with _shop.running(Shop(tmp_path / "bare", observed=False)) as services:
        answers = _shop.order_all(services["shop"])
        ports = [service.program.port for service in services.values()]
        assert all(accepts(port) for port in ports)

    assert answers == {
        "ada": 200, "ben": 200, "cleo": 200, "dora": 200, "emil": 502, "fay": 200, "gus": 502,
        "hana": 200,
    }  # fmt: skip
    assert not any(accepts(port) for port in ports)
    assert all(service.process.poll() is not None for service in services.values())
    written = sorted(path.name for path in (tmp_path / "bare").iterdir())
    assert written == ["accounts.log", "inventory.log", "shop.log"]


def test_a_service_that_does_not_start_is_said_with_its_last_words(tmp_path, monkeypatch):
    """The first error is the service's own, and nothing is left running."""
    for name in ("accounts", "inventory", "shop"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('no CDs today')")
    monkeypatch.setattr(_shop, "programs", lambda: tmp_path)

    with pytest.raises(RuntimeError, match=r"did not start(.|\n)*today"):
        _shop.start(Shop(tmp_path / "bare", observed=False))


def test_a_port_that_was_taken_meanwhile_is_no_end(tmp_path, monkeypatch):
    """Another demo may have been faster: then other ports are tried."""
    tried = []

    def start_all(shop):
        tried.append(shop)
        if len(tried) < _shop.ATTEMPTS:
            raise PortTaken("taken")
        return {}

    monkeypatch.setattr(_shop, "_start_all", start_all)

    assert _shop.start(Shop(tmp_path, observed=False)) == {}

    def fail(shop):
        raise PortTaken("taken")

    monkeypatch.setattr(_shop, "_start_all", fail)

    with pytest.raises(RuntimeError, match="taken"):
        _shop.start(Shop(tmp_path, observed=False))


def test_what_is_stopped_starts_again_where_it_was(tmp_path, monkeypatch):
    """Callers find it at its old address, and what it wrote before is kept."""
    monkeypatch.setattr(_shop, "programs", lambda: tmp_path)
    port = reserve_port()
    source = (
        "import http.server, sys; print('hello', flush=True);"
        "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])),"
        "http.server.SimpleHTTPRequestHandler).serve_forever()"
    )
    (tmp_path / "it.py").write_text(source)
    (tmp_path / "health").write_text("up")
    shop = Shop(tmp_path, observed=False)
    first = _shop._start(_services.Program("it", ("it", str(port)), port), shop)
    _services.wait(first)
    _services.stop([first])
    second = _shop.start_again(first, shop)
    _services.stop([second])

    assert second.url == first.url
    assert second.log.read_text().count("hello") == 2


def test_services_know_where_the_others_are(tmp_path):
    """Addresses are in the environment; the late clock is Inventory's alone."""
    shop = Shop(tmp_path / "2", True, "amqp://here", "http://there", -42.0)
    roster = {program.name: program for program in _shop.roster(shop)}
    clock = "OBSKIT_DEMO_CLOCK_OFFSET"

    assert list(roster) == [
        "accounts", "inventory", "shop", "invoice", "shipping", "email", "mailroom",
    ]  # fmt: skip
    for program in roster.values():
        assert program.environ["BROKER_URL"] == "amqp://here"
        assert program.environ["OBSKIT_ZIPKIN"] == "http://there"
        assert program.environ["ACCOUNTS_URL"].endswith(f":{roster['accounts'].port}")
        assert program.environ.get(clock) == ("-42.0" if program.name == "inventory" else None)
        assert bool(program.port) != bool(program.says)


def test_without_a_broker_a_folder_is_one(tmp_path):
    """It lies beside the logs, not among them; the bare shop sends no traces."""
    roster = _shop.roster(Shop(tmp_path / "1", observed=False, zipkin="http://there"))

    assert [program.name for program in roster] == ["accounts", "inventory", "shop"]
    assert {program.environ["BROKER_URL"] for program in roster} == {
        f"folder://{tmp_path}/1-broker"
    }
    assert not any("OBSKIT_ZIPKIN" in program.environ for program in roster)


def test_every_mystery_needs_both_kinds_of_orders():
    """Some customers live where one service alone, or neither, knows the country."""
    assert {Order("cleo"), Order("emil"), Order("gus")} <= set(_shop.ORDERS)
