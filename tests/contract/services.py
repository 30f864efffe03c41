"""What the contract tests know about the services: their names, their code, their consumers."""

import ast
import importlib
import inspect
from functools import cache
from pathlib import Path

from common.consumer.subscription import Consumer

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("contacts", "campaigns", "delivery", "analytics")
# What a service's table of subscriptions may ask its process for.
_GIVEN = {"pepper": b"pepper-of-the-tests-of-32-bytes!"}


def sources(service: str) -> list[Path]:
    """The service's modules."""
    return sorted((ROOT / "services" / service / "src").rglob("*.py"))


@cache
def trees(service: str) -> dict[Path, ast.Module]:
    """The service's modules, parsed."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sources(service)}


def consumers_of(service: str) -> tuple[Consumer, ...]:
    """The service's whole subscription table."""
    build = importlib.import_module(f"{service}.consumers.subscriptions").consumers
    needed = [one.name for one in inspect.signature(build).parameters.values() if one.default is one.empty]
    found: tuple[Consumer, ...] = build(**{name: _GIVEN[name] for name in needed})
    return found
