"""What may become of somebody's place at a webinar or an event."""

from collections.abc import Mapping
from typing import Literal

Status = Literal["registered", "attended", "missed"]
PREFIX = "occasion."

# Who attended did, whatever is told later; a list of attendees that comes late corrects who was thought to have missed.
_NEXT: Mapping[str | None, frozenset[str]] = {
    None: frozenset({"registered", "attended"}),
    "registered": frozenset({"attended", "missed"}),
    "missed": frozenset({"attended"}),
    "attended": frozenset(),
}


def follows(before: str | None, after: str) -> bool:
    """Whether somebody in one status (None: never heard of) may come into the other."""
    return after in _NEXT[before]
