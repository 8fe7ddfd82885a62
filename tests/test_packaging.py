"""What people install: the wheel, its contents, its extras, and what an import brings along."""

import importlib
import json
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.services.ports import reserve_port
from tests.services.processes import environment
from tests.source import LIBRARY, ROOT, must_be_empty

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
FOREIGN = {
    "aiohttp",
    "fastapi",
    "flask",
    "gunicorn",
    "h11",
    "httpx",
    "loguru",
    "opentelemetry.sdk",
    "prometheus_client",
    "pydantic",
    "requests",
    "rich",
    "starlette",
    "structlog",
    "urllib3",
    "uvicorn",
    "werkzeug",
}
IMPORTED = "import json, sys; import obskit; obskit.init(); print(json.dumps(sorted(sys.modules)))"


def run(*command: object, **changes: str | None) -> str:
    """Run a command in an empty environment of ours and return its output."""
    result = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT.anchor,
        env=environment({"PYTHONPATH": None, **changes}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the work tree as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    command = ["-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    run(sys.executable, *command)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a fresh virtual environment beside the libraries of this one."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    purelib = Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    )
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(purelib)
    here = run(sys.executable, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    purelib.joinpath("neighbours.pth").write_text(here)
    return python


def test_the_wheel_holds_every_file_of_the_library(wheel):
    """Code, type marker, autostart and data files are all shipped, and nothing else is."""
    tracked = {
        str(path.relative_to(LIBRARY.parent))
        for path in LIBRARY.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    must_be_empty(f"not shipped: {name}" for name in sorted(tracked - names))
    must_be_empty(name for name in names if not name.startswith("obskit/"))


def test_the_demo_works_from_the_wheel(installed):
    """The example shop is part of what people install."""
    script = "from obskit.cli import _shop; print(*_shop.programs().iterdir(), sep='\\n')"
    paths = [Path(line) for line in run(installed, "-c", script).splitlines()]

    names = {path.name for path in paths}
    assert {"shop.py", "inventory.py", "accounts.py", "folder.py", "README.md"} <= names
    assert all(path.is_relative_to(installed.parents[1]) for path in paths)


def test_the_wheel_carries_its_licence_and_notices(wheel):
    """The papers of the licence travel with the code."""
    names = {Path(name).name for name in zipfile.ZipFile(wheel).namelist() if "/licenses/" in name}

    assert names == {"LICENSE", "NOTICE", "THIRD-PARTY-NOTICES.md"}


def test_the_installed_wheel_is_what_is_imported(installed):
    """The virtual environment of these tests really uses the wheel, with its version."""
    script = "import obskit; print(obskit.__file__, obskit.__version__)"
    path, version = run(installed, "-c", script).split()

    assert Path(path).is_relative_to(installed.parents[1])
    assert version == PROJECT["version"]


@pytest.mark.parametrize("before", ["", "import logging; logging.basicConfig(); "])
def test_init_imports_no_framework_client_or_sdk(installed, before):
    """A service that uses none of them pays for none of them."""
    output = run(installed, "-c", before + IMPORTED, OBSKIT_METRICS_PORT=str(reserve_port()))
    loaded = set(json.loads(output.splitlines()[-1]))

    must_be_empty(sorted(FOREIGN & loaded))


def test_all_that_must_not_be_imported_could_have_been(installed):
    """The check above means something: the libraries are within reach."""
    script = f"import importlib; [importlib.import_module(n) for n in {sorted(FOREIGN)}]"

    run(installed, "-W", "ignore", "-c", script)


def test_the_console_script_points_to_a_callable():
    """The command of the package exists."""
    module, _, name = PROJECT["scripts"]["obskit"].partition(":")
    script = f"import importlib; print(callable(importlib.import_module({module!r}).{name}))"

    assert run(sys.executable, "-c", script, PYTHONPATH=str(ROOT / "src")) == "True\n"


def requirements(texts: list[str]) -> set[tuple[str, str]]:
    """Return names and version ranges in one spelling."""
    parsed = [Requirement(text) for text in texts]
    return {(canonicalize_name(one.name), str(one.specifier)) for one in parsed}


def test_every_row_of_the_catalog_has_its_extra():
    """A library that obskit does not bring along can be asked for by name, as verified."""
    catalog = importlib.import_module("obskit.instrumentation._catalog")
    brought = requirements(PROJECT["dependencies"])
    wanted = {
        row.name: row.requires
        for row in catalog.ROWS
        if row.requires and not requirements([row.requires]) <= brought
    }

    must_be_empty(
        f'pyproject.toml wants under optional-dependencies: {name} = ["{requires}"]'
        for name, requires in wanted.items()
        if requirements(EXTRAS.get(name, [])) != requirements([requires])
    )


def test_the_classifiers_name_the_pythons_that_are_supported():
    """The lowest named version is the lowest that installs."""
    named = [text.rpartition(" ")[2] for text in PROJECT["classifiers"] if "3 :: Only" not in text]
    versions = [text for text in named if text.startswith("3.")]

    assert PROJECT["requires-python"] == f">={versions[0]}"
    assert versions == ["3.11", "3.12", "3.13"]
