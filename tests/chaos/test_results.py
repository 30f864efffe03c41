"""What was run is kept, what was not run is said, and the table is not made up."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.results import BEGIN, END, Result, read, readme, write

ONE = Result("F8", "kafka", 3, 20_000, 0, 0, 120, 61.4, "2,000 mails kept without a word")
FAULTS = {"F0": "none", "F8": "silence"}


def test_rows_that_were_not_run_now_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "var" / "chaos.json"
    write([ONE, replace(ONE, row="F15")], path)
    write([replace(ONE, seed=4), replace(ONE, row="F0", bus="postgres")], path)
    assert [(one.row, one.bus, one.seed) for one in read(path)] == [
        ("F0", "postgres", 3), ("F8", "kafka", 4), ("F15", "kafka", 3),
    ]  # fmt: skip


def test_the_table_tells_what_was_measured_and_what_was_not_run() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    made = readme(text, [ONE], FAULTS, ("postgres", "kafka"))
    assert made.startswith("before\n")
    assert made.endswith(f"{END}\nafter\n")
    assert "| F8 | silence | kafka | 3 | 20,000 | 0 | 0 | 120 | 61 | 2,000 mails kept without a word |" in made
    assert made.count("not run") == 3
    assert "old" not in made
    assert readme(made, [ONE], FAULTS, ("postgres", "kafka")) == made


def test_a_violation_stands_in_the_table() -> None:
    made = readme(f"{BEGIN}{END}", [replace(ONE, violations=["3 lost: a, b, c"])], FAULTS, ("kafka",))
    assert "**3 lost: a, b, c**" in made


def test_a_readme_without_a_place_for_the_table_is_left_alone() -> None:
    with pytest.raises(ValueError, match="no place"):
        readme("nothing", [ONE], FAULTS, ("kafka",))
