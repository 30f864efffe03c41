"""Closing the log when an installation moves to Kafka (docs/adr/0017): sealed, then drained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from common.bus.postgres.append import APPEND_LOCK
from common.bus.postgres.places import ALL, SOURCES, source_name
from common.db.pool import Connection
from common.errors import Misconfigured

_STATE = "select next_id as end, sealed_at, drained_at from log_head"
_SEAL = "update log_head set sealed_at = clock_timestamp() where sealed_at is null"
_DRAINED = """
update log_head set drained_at = coalesce(drained_at, clock_timestamp()) where sealed_at is not null returning 1
"""
_REOPEN = "update log_head set sealed_at = null, drained_at = null"
_UNREAD = """
select place.lane, place.part, count(*) as n
from unnest($1::smallint[], $2::smallint[], $3::bigint[]) as place (lane, part, next_id)
join log on log.lane = place.lane and log.part = place.part and log.id >= place.next_id
where log.topic = any($4::text[])
group by place.lane, place.part
"""
_MEMBERS = "select count(*) from bus_member where group_name = $1 and expires_at > clock_timestamp()"


@dataclass(frozen=True, slots=True)
class LogState:
    """`end` is the id that the next append begins with; a sealed log has no next append."""

    end: int
    sealed_at: datetime | None
    drained_at: datetime | None


async def state(tx: Connection) -> LogState:
    """The log's state now. Raises Misconfigured for a database that is older than this code."""
    try:
        row = await tx.fetchrow(_STATE)
    except asyncpg.UndefinedColumnError as error:
        raise Misconfigured("BUS_DATABASE_URL: the database is older than this code: run `barid migrate`") from error
    assert row is not None  # noqa: S101 - the migration made it
    return LogState(**dict(row))


async def seal(tx: Connection) -> None:
    """Refuse every append from now on. Appends under way are finished first, so the end is the end."""
    await tx.execute("select pg_advisory_xact_lock($1)", APPEND_LOCK)
    await tx.execute(_SEAL)


async def set_drained(tx: Connection) -> bool:
    """Note that nothing is unread. False when the log is open again."""
    return bool(await tx.fetchval(_DRAINED))


async def reopen(tx: Connection) -> None:
    """Take appends again."""
    await tx.execute(_REOPEN)


async def unread(tx: Connection, positions: Mapping[str, int], topics: Sequence[str]) -> dict[str, int]:
    """How many events of these topics lie at or behind the positions, by source; none for a source without any."""
    at = {source_name(*place): 0 for place in ALL} | dict(positions)
    places = [SOURCES[source] for source in at]
    rows = await tx.fetch(
        _UNREAD, [lane for lane, _ in places], [part for _, part in places], list(at.values()), list(topics)
    )
    return {source_name(row["lane"], row["part"]): row["n"] for row in rows}


async def members(tx: Connection, group: str) -> int:
    """How many members of a group read now."""
    count: int = await tx.fetchval(_MEMBERS, group)
    return count
