"""The revisions of a service's schema, read from its migrations without loading them: processes need no Alembic."""

import ast
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from common.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class Revision:
    """One migration. `oldest` is the oldest code that still runs on the schema it leaves, told by its revision."""

    id: str
    oldest: str


def migrations_of(service: str | Path) -> Path:
    """The folder of a service's migrations; the bus has its own within common. Raises Misconfigured."""
    if isinstance(service, Path):
        return service
    spec = find_spec("common.bus" if service == "bus" else service)
    if spec is None or spec.origin is None:
        raise Misconfigured(f"the service {service} is not installed")
    package = Path(spec.origin).parent
    for folder in (package / "migrations", package.parent.parent / "migrations"):
        if (folder / "env.py").exists():
            return folder
    raise Misconfigured(f"the migrations of {service} are not installed beside {package}")


def revisions_of(service: str | Path) -> tuple[Revision, ...]:
    """All of them, the first one first. Raises Misconfigured when they are not one line, or say `oldest` wrongly.

    A migration that says nothing serves the code before it too (expand). One that takes something away names what
    it still serves: `oldest = "0004"`. It cannot serve code that the migration before it no longer served.
    """
    folder = migrations_of(service) / "versions"
    after: dict[str | None, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.py")):
        told = _constants(path)
        if not told.get("revision") or told.get("down_revision", "") in after:
            raise Misconfigured(f"the migration {path} does not follow another one, alone")
        after[told.get("down_revision")] = told
    found: list[Revision] = []
    last = None
    while last in after:
        told = after.pop(last)
        known = [one.id for one in found] + [told["revision"]]
        oldest = told.get("oldest", last or told["revision"])
        if oldest not in known[known.index(found[-1].oldest) if found else 0 :]:
            raise Misconfigured(f"the migration {told['revision']} in {folder} cannot serve code of {oldest!r}")
        last = told["revision"]
        found.append(Revision(last, oldest))
    if after or not found:
        raise Misconfigured(f"the migrations in {folder} are not one line from the first to the last")
    return tuple(found)


def _constants(path: Path) -> dict[str, Any]:
    """The module's names that are set to a constant."""
    return {
        target.id: statement.value.value
        for statement in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
