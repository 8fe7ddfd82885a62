import pytest
from _pytest.outcomes import Failed, Skipped

from tests.services import binaries


@pytest.fixture
def no_programs(monkeypatch):
    """Pretend that a machine has no program at all."""
    table = binaries.load_table()
    monkeypatch.setattr(table, "find", lambda name: None)
    monkeypatch.setattr(binaries, "load_table", lambda: table)


def test_a_server_that_is_no_package_is_found_too(service_binary):
    """A jar has a path as a program has."""
    assert service_binary("zipkin").endswith(".jar")


@pytest.mark.usefixtures("no_programs")
def test_an_absent_program_skips_with_the_command_that_installs_it(monkeypatch, service_binary):
    """On a developer's machine the test is skipped and says how to change that."""
    monkeypatch.delenv("OBSKIT_REQUIRE_SERVICES", raising=False)

    with pytest.raises(Skipped, match="scripts/services install promtool"):
        service_binary("promtool")


@pytest.mark.usefixtures("no_programs")
def test_an_absent_program_fails_where_services_are_a_must(monkeypatch, service_binary):
    """Where OBSKIT_REQUIRE_SERVICES=1 nothing is skipped silently."""
    monkeypatch.setenv("OBSKIT_REQUIRE_SERVICES", "1")

    with pytest.raises(Failed, match="promtool is not installed"):
        service_binary("promtool")


def test_an_unknown_name_is_a_mistake_of_the_test(service_binary):
    """A name outside of the table is never skipped."""
    with pytest.raises(LookupError, match="scripts/services"):
        service_binary("promethius")
