"""The import contracts catch what they are there for: each planted fault breaks its own, and the tree as it is none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.services import ROOT, SERVICES

LINT = Path(sys.executable).parent / "lint-imports"
SOURCES = ["libs/common/src", "libs/content/src", "libs/barid/src", *(f"services/{name}/src" for name in SERVICES)]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, without anything built."""
    copy = tmp_path_factory.mktemp("pristine")
    for source in SOURCES:
        shutil.copytree(ROOT / source, copy / source, ignore=shutil.ignore_patterns("__pycache__", "*.json"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


@pytest.fixture
def tree(pristine: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "tree"
    shutil.copytree(pristine, copy)
    return copy


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(tree / source) for source in SOURCES)}
    return subprocess.run(
        [str(LINT), "--no-cache", "--config", str(tree / "pyproject.toml")],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")


def module(tree: Path, service: str, name: str) -> Path:
    return tree / "services" / service / "src" / service / name


FAULTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a service imports another": (
        "Services never import each other",
        lambda tree: append(module(tree, "campaigns", "errors.py"), "import contacts.errors"),
    ),
    "the launcher is imported": (
        "Nobody imports the launcher",
        lambda tree: append(module(tree, "delivery", "errors.py"), "import barid"),
    ),
    "SQLAlchemy in the domain": (
        "domain is pure",
        lambda tree: append(module(tree, "contacts", "domain/planted.py"), "import sqlalchemy"),
    ),
    "asyncpg through common.db in the domain": (
        "domain is pure",
        lambda tree: append(module(tree, "campaigns", "domain/planted.py"), "import common.db.pool"),
    ),
    "settings read in db": (
        "Only process modules read settings",
        lambda tree: append(module(tree, "analytics", "db/planted.py"), "import analytics.settings"),
    ),
    "a room nobody agreed on": (
        "Rooms depend downwards",
        lambda tree: append(module(tree, "contacts", "utils.py"), "HELP = 1"),
    ),
    "db calls a use case": (
        "Rooms depend downwards",
        lambda tree: append(module(tree, "delivery", "db/planted.py"), "import delivery.use_cases"),
    ),
    "common knows a service": (
        "common and content know no service",
        lambda tree: append(tree / "libs/common/src/common/ids.py", "import contacts"),
    ),
    "content reads common": (
        "content is pure",
        lambda tree: append(tree / "libs/content/src/content/planted.py", "import common.ids"),
    ),
    "a contract imports the web": (
        "Contracts are plain data",
        lambda tree: append(tree / "libs/common/src/common/contracts/planted.py", "import common.web.roles"),
    ),
    "a cycle in common": (
        "common has no cycles",
        lambda tree: append(tree / "libs/common/src/common/ids.py", "import common.web.app"),
    ),
}


def test_the_tree_keeps_every_contract(pristine: Path) -> None:
    found = lint(pristine)
    assert found.returncode == 0, found.stdout
    assert "0 broken" in found.stdout


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_breaks_its_contract(tree: Path, fault: str) -> None:
    contract, plant = FAULTS[fault]
    plant(tree)

    found = lint(tree)

    assert found.returncode == 1, found.stdout + found.stderr
    broken = [line.partition(" BROKEN")[0] for line in found.stdout.splitlines() if " BROKEN" in line]
    assert contract in broken, (broken, found.stdout[-2000:], found.stderr[-2000:])
