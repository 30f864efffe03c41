"""How long a workspace keeps each kind of data.

Not among the kinds: the consent ledger, suppressions with their history, confirmations, tombstones, and what people
sent with a form that their consent rests on. They prove what was done lawfully, and only an erasure touches them.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

Kind = Literal["activity", "form_submissions", "contact_notes", "stage_transitions", "import_rejects"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LONGEST_DAYS = 3650


class Bounds(NamedTuple):
    """The fewest days that can be asked for, and what holds where nobody asked; None: for ever."""

    fewest: int
    default: int | None


# A year of rejects is long enough to mend a file; the rest goes only where somebody says so.
BOUNDS: Mapping[Kind, Bounds] = {
    "activity": Bounds(90, None),
    "form_submissions": Bounds(30, None),
    "contact_notes": Bounds(30, None),
    "stage_transitions": Bounds(90, None),
    "import_rejects": Bounds(7, 365),
}


def effective(rules: Mapping[str, int | None]) -> dict[Kind, int | None]:
    """The days of every kind; a kind that the rules do not name has its default."""
    return {kind: rules.get(kind, BOUNDS[kind].default) for kind in KINDS}
