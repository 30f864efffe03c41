"""The inbox: which events this consumer has handled, so that a producer's duplicate has no effect."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any
from uuid import UUID

from common.contracts.envelope import Received
from common.contracts.topics import OTHER_DAYS
from common.db.pool import Connection, Database

# The day is the event's own, so a duplicate meets its original in the same partition.
_CLAIM = """
insert into inbox (consumer, event_id, day) select $1, * from unnest($2::uuid[], $3::date[])
on conflict do nothing returning event_id
"""
_UPKEEP = "select inbox_upkeep($1)"
KEEP_DAYS = OTHER_DAYS + 1


async def claim(tx: Connection, consumer: str, events: Sequence[Received[Any]]) -> set[UUID]:
    """Of these events, the ones not handled before."""
    if not events:
        return set()
    events = sorted(events, key=lambda event: event.id)  # one order for all, so that two members never deadlock
    rows = await tx.fetch(
        _CLAIM, consumer, [event.id for event in events], [event.time.astimezone(UTC).date() for event in events]
    )
    return {row["event_id"] for row in rows}


async def upkeep(db: Database) -> None:
    """Make the next days' partitions; drop those that no repeated event can reach any more."""
    async with db.connection() as connection:
        await connection.execute(_UPKEEP, KEEP_DAYS)
