"""A few rows at a small size, so that the bench cannot rot. `make chaos` runs all of them at full size."""

import os
from collections.abc import Iterator

import pytest

from tests.chaos.bench import Bench, bench
from tests.chaos.rows import all_rows
from tests.fixtures.environment import place

SIZE = 300
ROWS = all_rows()

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("chaos"), pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def small() -> Iterator[Bench]:
    seed = int(os.environ.get("SEED", "1"))
    with bench(place() / "chaos", "postgres", SIZE, seed, BARID_SMTP_DOT_TIMEOUT_S="5") as made:
        yield made


@pytest.mark.parametrize("name", ["F0", "F8", "F10"])
def test_a_row_holds_at_a_small_size(name: str, small: Bench) -> None:
    try:
        verdicts, note, violations = ROWS[name].run(small)
    finally:
        small.settle()
    print(note)
    assert [*violations, *(line for verdict in verdicts for line in verdict.violations)] == []
