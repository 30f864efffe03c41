"""Rows that were run: the table on the terminal, var/chaos.json, and the table of the README."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from tests.chaos.checker import Verdict


@dataclass(frozen=True)
class Result:
    """One row on one bus. `note`: what was done and measured beside the counts."""

    row: str
    bus: str
    seed: int
    recipients: int
    lost: int
    doubled: int
    uncertain: int
    seconds: float
    note: str = ""
    violations: Sequence[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        """Whether all held that the row asserts."""
        return not self.violations


def summed(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """The counts of a row that checked several campaigns."""
    names = ("recipients", "lost", "doubled", "uncertain")
    return {name: sum(getattr(one, name) for one in verdicts) for name in names}


def table(results: Sequence[Result], faults: dict[str, str]) -> Table:
    """For the terminal."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("row", "what was done", "bus", "seed"):
        made.add_column(name, overflow="fold")
    for name in ("recipients", "lost", "doubled", "uncertain", "seconds"):
        made.add_column(name, justify="right")
    made.add_column("verdict", overflow="fold")
    for one in results:
        verdict = "[green]held[/]" if one.held else "[red]" + "; ".join(one.violations).replace("[", r"\[") + "[/]"
        counts = (one.recipients, one.lost, one.doubled, one.uncertain)
        done = f"{faults[one.row]}: {one.note}" if one.note else faults[one.row]
        made.add_row(one.row, done, one.bus, str(one.seed), *(f"{n:,}" for n in counts), f"{one.seconds:.0f}", verdict)
    return made


def write(results: Sequence[Result], path: Path) -> None:
    """Write them; rows that did not run now are kept."""
    now = {(one.row, one.bus) for one in results}
    kept = [one for one in read(path) if (one.row, one.bus) not in now]
    listed: list[dict[str, Any]] = [asdict(one) for one in sorted([*kept, *results], key=_order)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(listed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: Path) -> list[Result]:
    """What was written."""
    return [Result(**one) for one in json.loads(path.read_text(encoding="utf-8"))] if path.exists() else []


def _order(one: Result) -> tuple[int, str, str]:
    digits = "".join(c for c in one.row if c.isdigit())
    return int(digits or 999), one.row, one.bus


BEGIN, END = "<!-- fault table: make chaos-table -->", "<!-- end of fault table -->"


def readme(text: str, results: Sequence[Result], faults: dict[str, str], buses: Sequence[str]) -> str:
    """The README with its table made anew. A row that is not among the results was not run, and the table says so."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the README has no place for the table, between {BEGIN} and {END}")
    of = {(one.row, one.bus): one for one in results}
    lines = [
        "| row | fault | bus | seed | recipients | lost | doubled | uncertain | seconds | |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for name, fault in faults.items():
        for bus in buses:
            one = of.get((name, bus))
            if one is None:
                lines.append(f"| {name} | {fault} | {bus} | | | | | | | not run |")
                continue
            counts = f"{one.recipients:,} | {one.lost:,} | {one.doubled:,} | {one.uncertain:,} | {one.seconds:.0f}"
            said = (
                one.note if one.held else "**" + "; ".join(one.violations).replace("|", "/").replace("\n", " ") + "**"
            )
            lines.append(f"| {name} | {fault} | {bus} | {one.seed} | {counts} | {said} |")
    return before + "\n".join([BEGIN, *lines, END]) + after
