"""Run a real Prometheus server and its promtool."""

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.services.ports import reserve_port, wait_until
from tests.services.processes import Process, environment

Result = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A Prometheus server that is ready."""

    process: Process
    url: str

    def get(self, path: str, **query: str) -> Any:
        """Return the data of an answer of the HTTP API."""
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=10.0) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> Result:
        """Return the result of an instant query."""
        result: Result = self.get("query", query=expression)["result"]
        return result

    def targets(self) -> Result:
        """Return the active targets: health, lastError, scrapeUrl and more."""
        active: Result = self.get("targets", state="active")["activeTargets"]
        return active

    def wait_scraped(self, timeout: float = 20.0) -> None:
        """Wait until every target was scraped and is up."""

        def all_up() -> bool:
            targets = self.targets()
            return bool(targets) and all(target["health"] == "up" for target in targets)

        wait_until(all_up, lambda: f"not all up: {self.targets()}", timeout)

    def wait_for(self, expression: str, timeout: float = 20.0) -> Result:
        """Repeat an instant query until its result is not empty, and return that."""
        deadline = time.monotonic() + timeout
        while not (result := self.query(expression)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no result of {expression}; targets: {self.targets()}")
            time.sleep(0.1)
        return result


def configuration(
    folder: Path, targets: tuple[str, ...], metrics_path: str, interval: str, rules: str | None
) -> dict[str, Any]:
    """Return a configuration with one job named "test" and, where given, one rule file."""
    job = {
        "job_name": "test",
        "metrics_path": metrics_path,
        "static_configs": [{"targets": list(targets)}],
    }
    settings = {"scrape_interval": interval, "evaluation_interval": interval}
    files = []
    if rules is not None:
        folder.joinpath("rules.yml").write_text(rules, encoding="utf-8")
        files.append("rules.yml")
    limits = {"scrape_timeout": interval}
    return {"global": settings | limits, "rule_files": files, "scrape_configs": [job]}


def is_ready(process: Process, url: str) -> bool:
    """Tell whether the server has said that it is ready."""
    if not process.running:
        raise AssertionError(f"Prometheus ended: {process.wait()}")
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=2.0) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def prometheus(
    tmp_path_factory: pytest.TempPathFactory,
    start_process: Callable[..., Process],
    service_binary: Callable[[str], str],
) -> Callable[..., Prometheus]:
    """Give the starter of real Prometheus servers."""

    def run(
        *targets: str,
        metrics_path: str = "/metrics",
        interval: str = "200ms",
        rules: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Prometheus:
        binary = service_binary("prometheus")
        folder = tmp_path_factory.mktemp("prometheus")
        chosen = config or configuration(folder, targets, metrics_path, interval, rules)
        folder.joinpath("prometheus.yml").write_text(json.dumps(chosen), encoding="utf-8")
        address = f"127.0.0.1:{reserve_port()}"
        process = start_process(
            binary,
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            "--enable-feature=exemplar-storage",
            f"--web.listen-address={address}",
            cwd=folder,
        )
        url = f"http://{address}"
        wait_until(lambda: is_ready(process, url), lambda: repr(process.stderr), 30.0)
        return Prometheus(process, url)

    return run


@pytest.fixture
def promtool(
    service_binary: Callable[[str], str],
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give the runner of promtool."""

    def run(*args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [service_binary("promtool"), *args]
        return subprocess.run(
            command,
            input=stdin,
            env=environment(None),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
