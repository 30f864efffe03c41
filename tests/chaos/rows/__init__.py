"""The faults, by their number. A row is a function that does its fault to a bench and checks what became of it."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules

from tests.chaos.bench import Bench
from tests.chaos.checker import Verdict

Outcome = tuple[list[Verdict], str, list[str]]
"""The verdicts of its campaigns, a note of what was done and measured, and violations of the row's own promises."""


@dataclass(frozen=True)
class Row:
    """`fault`: what is done to Barid, in a few words."""

    name: str
    fault: str
    run: Callable[[Bench], Outcome]


ROWS: dict[str, Row] = {}


def row(name: str, fault: str) -> Callable[[Callable[[Bench], Outcome]], Callable[[Bench], Outcome]]:
    """Enter a function in the table of rows."""

    def enter(run: Callable[[Bench], Outcome]) -> Callable[[Bench], Outcome]:
        ROWS[name] = Row(name, fault, run)
        return run

    return enter


def all_rows() -> dict[str, Row]:
    """Every row there is, in order."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return dict(sorted(ROWS.items(), key=lambda item: (item[0][0], int(item[0][1:]))))
