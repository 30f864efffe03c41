"""What a bench says."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One measured figure. `floor` is what bare code did in the same run; `n` things in `seconds`."""

    name: str
    value: float
    unit: str
    n: int
    seconds: float
    floor: float | None = None

    @property
    def ratio(self) -> float | None:
        """The figure as a part of its floor: this holds on a noisy machine."""
        return None if self.floor is None else round(self.value / self.floor, 3)

    def as_json(self) -> dict[str, object]:
        """As `var/bench.json` lists it."""
        return {**asdict(self), "ratio": self.ratio}


def table(figures: Sequence[Figure]) -> str:
    """The figures as text."""
    rows = [("name", "value", "unit", "floor", "ratio", "n", "seconds")]
    rows += [
        (
            one.name,
            f"{one.value:,.0f}" if one.value >= 100 else f"{one.value:,.2f}",
            one.unit,
            "–" if one.floor is None else f"{one.floor:,.0f}",
            "–" if one.ratio is None else f"{one.ratio:.2f}",
            f"{one.n:,}",
            f"{one.seconds:.2f}",
        )
        for one in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if n in (0, 2) else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def write(figures: Sequence[Figure], path: Path) -> None:
    """Write `var/bench.json`; figures of benches that did not run now are kept."""
    kept = json.loads(path.read_text()) if path.exists() else []
    names = {one.name for one in figures}
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = [one for one in kept if one["name"] not in names] + [one.as_json() for one in figures]
    path.write_text(json.dumps(listed, indent=1) + "\n")
