import json
import subprocess
import sys

import pytest

from tests.services import binaries

SCRIPT = binaries.ROOT / "scripts" / "services"


def run(*args):
    """Run the script as a person does."""
    return subprocess.run(
        [sys.executable, SCRIPT, *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def table():
    """Give the script as a module."""
    return binaries.load_table()


def test_list_shows_every_service_and_whether_it_is_there(table):
    """The table for people and the one for programs say the same as the exit code."""
    rows = json.loads(run("list", "--json").stdout)
    shown = run("list")

    assert [row["name"] for row in rows] == [service.name for service in table.SERVICES]
    assert all(row["name"] in shown.stdout for row in rows)
    assert shown.returncode == (0 if all(row["found"] for row in rows) else 1)


def test_an_unknown_service_is_wrong_use():
    """A misspelled name is answered with the known ones."""
    result = run("install", "promethius")

    assert result.returncode == 2
    assert "known: prometheus" in result.stderr


def test_install_does_nothing_where_all_is_found(table, monkeypatch, capsys):
    """A second run neither needs root nor asks a package server."""
    monkeypatch.setattr(table, "find", lambda name: "/usr/bin/" + name)
    monkeypatch.setattr(table, "as_root", pytest.fail)

    assert table.install(()) == 0
    assert capsys.readouterr().out == "services: all found\n"


def test_install_asks_for_the_packages_of_what_is_missing(table, monkeypatch, tmp_path):
    """Each package is asked for once, after the lists were renewed, and a lasting lack is said."""
    commands = []
    monkeypatch.setattr(table, "find", lambda name: None)
    monkeypatch.setattr(table.shutil, "which", lambda name: "/usr/bin/" + name)
    monkeypatch.setattr(table, "POLICY", tmp_path)
    monkeypatch.setattr(table, "disable", list)
    monkeypatch.setattr(table, "as_root", lambda command, timeout=0: commands.append(command))

    assert table.install(()) == 1
    assert ["update" in commands[0], commands[1][-1]] == [True, "prometheus"]
    assert "--no-install-recommends" in commands[1]


def test_install_without_apt_names_the_packages(table, monkeypatch, capsys):
    """On another system the person learns what to install."""
    monkeypatch.setattr(table, "find", lambda name: None)
    monkeypatch.setattr(table.shutil, "which", lambda name: None)

    assert table.install(()) == 1
    assert "install by hand: prometheus" in capsys.readouterr().err


def test_without_root_and_sudo_the_need_is_said(table, monkeypatch):
    """Nothing is tried that cannot work."""
    monkeypatch.setattr(table.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(table.shutil, "which", lambda name, **_: None)

    with pytest.raises(SystemExit, match="needs root"):
        table.as_root(["true"])


def test_a_user_goes_through_sudo_without_questions(table, monkeypatch):
    """Sudo never waits for a password."""
    commands = []
    monkeypatch.setattr(table.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(table.shutil, "which", lambda name, **_: "/usr/bin/sudo")
    monkeypatch.setattr(table.subprocess, "run", lambda command, **_: commands.append(command))
    table.as_root(["true"])

    assert commands == [["sudo", "-n", "true"]]


def test_service_starts_are_forbidden_only_while_packages_are_installed(
    table, monkeypatch, tmp_path
):
    """Debian asks the policy before it starts a service; 101 means no."""
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(table, "POLICY", policy)
    monkeypatch.setattr(table, "as_root", lambda command: subprocess.run(command, check=True))

    with table.no_service_starts():
        assert subprocess.run([policy], check=False).returncode == 101
    assert not policy.exists()


def test_a_policy_of_the_machine_stays(table, monkeypatch, tmp_path):
    """What an administrator has decided is neither replaced nor removed."""
    policy = tmp_path / "policy-rc.d"
    policy.write_text("mine")
    monkeypatch.setattr(table, "POLICY", policy)

    with table.no_service_starts():
        assert policy.read_text() == "mine"
    assert policy.read_text() == "mine"
