import json
import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from tests.services import binaries

SCRIPT = binaries.ROOT / "scripts" / "services"
FAKE_MAVEN = """#!/bin/sh
for word; do
    case $word in -DoutputDirectory=*) folder=${word#*=};; esac
done
mkdir -p "$folder/repository"
printf '%s\\n' "$@" > "$folder/zipkin-server-3.6.1-exec.jar"
"""


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

    assert table.install(["prometheus", "promtool", "rabbitmq"]) == 1
    assert "update" in commands[0]
    assert commands[1][-2:] == ["prometheus", "rabbitmq-server"]
    assert "--no-install-recommends" in commands[1]


@pytest.fixture
def installs(table, monkeypatch, tmp_path):
    """Give the calls of an install where only Java is there: package lists and fetched rows."""
    calls = []
    monkeypatch.setattr(table, "find", {"java": "/usr/bin/java"}.get)
    monkeypatch.setattr(table.shutil, "which", lambda name, path=None: "/usr/bin/" + name)
    monkeypatch.setattr(table, "install_packages", lambda names, units: calls.append(names))
    monkeypatch.setattr(table, "fetch", lambda row: calls.append(row.name))
    return calls


def test_a_maven_artifact_comes_without_packages_where_the_tools_are(table, installs):
    """A user without root gets a jar if Java and Maven are there."""
    table.install(["zipkin"])

    assert installs == ["zipkin"]


def test_a_maven_artifact_brings_what_it_needs(table, installs, monkeypatch):
    """Where Java and Maven are absent their packages are installed first."""
    monkeypatch.setattr(table, "find", lambda name: None)
    monkeypatch.setattr(table, "program", lambda name: None)
    table.install(["zipkin"])

    assert installs == [["default-jre-headless", "maven"], "zipkin"]


def test_maven_copies_into_the_cache_and_leaves_nothing_else(table, monkeypatch, tmp_path):
    """The jar is there whole or not at all, and Maven's own repository is not used."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    maven = tmp_path / "mvn"
    maven.write_text(FAKE_MAVEN)
    maven.chmod(0o755)
    monkeypatch.setattr(table, "program", lambda name: str(maven))
    row = next(row for row in table.SERVICES if row.name == "zipkin")
    assert table.find("zipkin") is None

    table.fetch(row)

    jar = tmp_path / "obskit-tests" / row.binary
    assert table.find("zipkin") == str(jar)
    assert os.listdir(jar.parent) == [row.binary]
    said = jar.read_text()
    assert f"-Dartifact={row.source}" in said
    assert f"-Dmaven.repo.local={jar.parent}" in said


def test_maven_copies_a_server_of_many_jars_into_a_folder(table, monkeypatch, tmp_path):
    """All artifacts are asked for in one project, with what they need at run time."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    maven = tmp_path / "mvn"
    maven.write_text(
        FAKE_MAVEN.replace("repository", "").replace("zipkin-server-3.6.1-exec.jar", "said")
        + 'cp pom.xml "$folder"\n'
    )
    maven.chmod(0o755)
    monkeypatch.setattr(table, "program", lambda name: str(maven))
    row = next(row for row in table.SERVICES if row.name == "opensearch")
    assert table.find("opensearch") is None

    table.fetch(row)

    folder = tmp_path / "obskit-tests" / row.binary
    assert table.find("opensearch") == str(folder)
    assert os.listdir(folder.parent) == [row.binary]
    assert "-DincludeScope=runtime" in folder.joinpath("said").read_text().splitlines()
    project = ElementTree.parse(folder / "pom.xml").getroot()
    asked = [":".join(part.text for part in one) for one in project.iterfind(".//{*}dependency")]
    assert asked == [row.source, *row.along]


def test_a_plugin_of_a_server_is_found_by_its_path(table, monkeypatch, tmp_path):
    """What is no program is looked for where its package puts it on any architecture."""
    plugin = tmp_path / "x86_64-linux-gnu" / "plugin.so"
    row = table.Service("plugin", "package", f"{tmp_path}/*/plugin.so")
    monkeypatch.setattr(table, "SERVICES", (row,))
    assert table.find("plugin") is None

    plugin.parent.mkdir()
    plugin.touch()

    assert table.find("plugin") == str(plugin)


def test_a_failed_copy_leaves_the_cache_as_it_was(table, monkeypatch, tmp_path):
    """Half a jar is never taken for a whole one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(table, "program", lambda name: "false")
    row = next(row for row in table.SERVICES if row.name == "zipkin")

    with pytest.raises(subprocess.CalledProcessError):
        table.fetch(row)
    assert os.listdir(tmp_path / "obskit-tests") == []


def test_the_cache_is_the_users(table, monkeypatch, tmp_path):
    """Without a valid setting it is below the home folder, as the XDG specification says."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/invalid")

    assert table.cache() == tmp_path / ".cache" / "obskit-tests"


def test_the_broker_is_found_beside_the_wrapper_of_debian(table, monkeypatch, tmp_path):
    """The wrapper in the search path serves only root, so its folder comes later."""
    folders = [tmp_path / "lib", tmp_path / "sbin"]
    for folder in folders:
        folder.mkdir()
        folder.joinpath("rabbitmq-server").write_text("")
        folder.joinpath("rabbitmq-server").chmod(0o755)
    monkeypatch.setattr(table, "FIRST_FOLDERS", (str(folders[0]),))
    monkeypatch.setenv("PATH", str(folders[1]))

    assert table.find("rabbitmq") == str(folders[0] / "rabbitmq-server")


def test_only_new_units_are_kept_off(table, monkeypatch, tmp_path):
    """A name server that ran before the install goes on; a new one does not start at boot."""
    kept_off = []
    monkeypatch.setattr(table, "POLICY", tmp_path)
    monkeypatch.setattr(table, "UNIT_FOLDERS", (str(tmp_path),))
    monkeypatch.setattr(table, "disable", kept_off.extend)
    monkeypatch.setattr(table, "apt", lambda *_: (tmp_path / "rabbitmq-server.service").touch())
    (tmp_path / "epmd.service").touch()
    table.install_packages(["rabbitmq-server"], table.RABBITMQ_UNITS)

    assert kept_off == ["rabbitmq-server.service"]


def test_install_without_apt_names_the_packages(table, monkeypatch, capsys):
    """On another system the person learns what to install."""
    monkeypatch.setattr(table, "find", lambda name: None)
    monkeypatch.setattr(table.shutil, "which", lambda name: None)

    assert table.install(["promtool"]) == 1
    assert "install by hand: prometheus\n" in capsys.readouterr().err


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
