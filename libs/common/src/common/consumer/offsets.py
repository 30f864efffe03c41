"""The consumer's offsets, in its own database and in the transaction of the effects."""

from collections.abc import Collection, Mapping

from common.db.pool import Connection
from common.errors import BaridError

_ENSURE = """
insert into consumer_offsets (consumer, source, next_offset) select $1, s, 0 from unnest($2::text[]) s
on conflict do nothing
"""
_LOAD = "select source, next_offset from consumer_offsets where consumer = $1 and source = any($2::text[])"
_MOVE = """
update consumer_offsets o set next_offset = m.after
from unnest($2::text[], $3::bigint[], $4::bigint[]) as m (source, before, after)
where o.consumer = $1 and o.source = m.source and o.next_offset = m.before
returning 1
"""


class Fenced(BaridError):
    """Another member of the group has moved this offset; the batch is rolled back and read again."""

    code = "fenced"


async def load(tx: Connection, consumer: str, sources: Collection[str]) -> dict[str, int]:
    """The next offset of each source; 0 for a source never read."""
    names = sorted(sources)
    rows = await tx.fetch(_LOAD, consumer, names)
    if len(rows) < len(names):
        await tx.execute(_ENSURE, consumer, names)
        rows = await tx.fetch(_LOAD, consumer, names)
    return {row["source"]: row["next_offset"] for row in rows}


async def stored(tx: Connection, consumer: str) -> dict[str, int]:
    """The next offset of every source the consumer has ever read, on whichever transport."""
    rows = await tx.fetch("select source, next_offset from consumer_offsets where consumer = $1", consumer)
    return {row["source"]: row["next_offset"] for row in rows}


async def move(tx: Connection, consumer: str, before: Mapping[str, int], after: Mapping[str, int]) -> None:
    """Move on, unless somebody else did. Raises Fenced."""
    sources = sorted(after)
    moved = await tx.fetch(_MOVE, consumer, sources, [before[s] for s in sources], [after[s] for s in sources])
    if len(moved) != len(sources):
        raise Fenced(consumer=consumer)
