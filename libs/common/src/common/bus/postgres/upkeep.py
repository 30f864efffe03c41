"""Daily partitions of the log, retention, and lag."""

from dataclasses import dataclass

from common.contracts.topics import OTHER_DAYS, PERSONAL_DAYS, TOPICS
from common.db.pool import Connection, Database

_UPKEEP = "select log_upkeep($1, $2, $3)"
_LAG = """
select o.group_name, greatest(h.next_id - min(o.next_offset), 0) as behind, min(o.at) as told_at
from bus_offset o cross join log_head h group by o.group_name, h.next_id order by 1
"""


@dataclass(frozen=True, slots=True)
class Lag:
    """How many ids of the log a group has not passed yet (an upper bound of its unread events)."""

    group: str
    behind: int


async def upkeep(db: Database) -> int:
    """Make the next days' partitions, drop those past retention, delete old personal rows. Returns how many."""
    personal = [topic.name for topic in TOPICS if topic.personal]
    removed = 0
    while True:
        async with db.connection() as connection:
            here: int = await connection.fetchval(_UPKEEP, personal, OTHER_DAYS, PERSONAL_DAYS)
        removed += here
        if here == 0:
            return removed


async def lag(tx: Connection) -> list[Lag]:
    """Lag per group, as the groups told it at their last heartbeats."""
    return [Lag(row["group_name"], row["behind"]) for row in await tx.fetch(_LAG)]
