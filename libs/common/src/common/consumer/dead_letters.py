"""Events that could not be handled: kept with their origin and the error, listed, shown, tried again.

The table is the `<group>.dlq` of the postgres transport. A replay is asked for here and done by the consumer
itself, with its handlers, keeping the event's id; no other consumer sees the event again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.bus.port import Polled
from common.consumer.decode import Dead
from common.contracts.envelope import Record
from common.db.pool import Connection
from common.errors import NotFound

_BURY = """
insert into dead_letters (consumer, topic, type, key, event_id, workspace_id, time, traceparent, payload,
                          source, source_offset, error)
select $1, * from unnest($2::text[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::timestamptz[], $8::text[],
                         $9::text[], $10::text[], $11::bigint[], $12::text[])
on conflict (consumer, event_id) do update set attempts = dead_letters.attempts + 1, error = excluded.error
"""
_LIST = """
select id, consumer, topic, type, key, event_id, workspace_id, time, source, source_offset, error, attempts, dead_at,
       requested_at, replayed_at, traceparent
from dead_letters
where ($1::text is null or consumer = $1) and ($2::text is null or topic = $2)
  and ($3::boolean or replayed_at is null) and ($4::bigint is null or id < $4)
order by id desc limit $5
"""
_SHOW = "select * from dead_letters where id = $1"
_REQUEST = """
update dead_letters set requested_at = now()
where replayed_at is null and ($1::text is null or consumer = $1) and ($2::text is null or topic = $2)
  and ($3::bigint[] is null or id = any($3)) and ($4::text is null or error like '%' || $4 || '%')
returning id
"""
_CLAIM = """
select * from dead_letters where consumer = $1 and requested_at is not null and replayed_at is null
order by id limit $2 for update skip locked
"""
_REPLAYED = "update dead_letters set replayed_at = now(), requested_at = null where id = any($1::bigint[])"
_FAILED = "update dead_letters set attempts = attempts + 1, error = $2, requested_at = null where id = $1"
_DEPTH = "select count(*) from dead_letters where consumer = $1 and replayed_at is null"
_RECENT = """
select count(*) from dead_letters
where consumer = $1 and replayed_at is null and dead_at > now() - make_interval(secs => $2)
"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One buried event. `payload` is only filled by `show`."""

    id: int
    consumer: str
    topic: str
    type: str
    key: str
    event_id: UUID
    workspace_id: UUID
    time: datetime
    source: str
    source_offset: int
    error: str
    attempts: int
    dead_at: datetime
    requested_at: datetime | None
    replayed_at: datetime | None
    traceparent: str | None
    payload: str | None = None


async def bury(tx: Connection, consumer: str, dead: Sequence[Dead]) -> None:
    """Keep these, in the transaction that moves past them."""
    if not dead:
        return
    records = [one.polled.record for one in dead]
    await tx.execute(
        _BURY,
        consumer,
        [record.topic for record in records],
        [record.type for record in records],
        [record.key for record in records],
        [record.id for record in records],
        [record.workspace_id for record in records],
        [record.time for record in records],
        [record.traceparent for record in records],
        [record.payload for record in records],
        [one.polled.source for one in dead],
        [one.polled.offset for one in dead],
        [one.error for one in dead],
    )


async def list_dead(
    tx: Connection,
    *,
    consumer: str | None = None,
    topic: str | None = None,
    replayed: bool = False,
    before: int | None = None,
    limit: int = 100,
) -> list[DeadLetter]:
    """The newest first; `before` is the last id of the page before."""
    return [DeadLetter(**dict(row)) for row in await tx.fetch(_LIST, consumer, topic, replayed, before, limit)]


async def show(tx: Connection, letter_id: int) -> DeadLetter:
    """One, with its payload. Raises NotFound."""
    row = await tx.fetchrow(_SHOW, letter_id)
    if row is None:
        raise NotFound("there is no such dead letter", id=letter_id)
    return DeadLetter(**{name: row[name] for name in DeadLetter.__slots__})


async def replay(
    tx: Connection,
    *,
    consumer: str | None = None,
    topic: str | None = None,
    ids: Sequence[int] | None = None,
    error: str | None = None,
) -> int:
    """Ask for these to be handled again, by their consumer, within seconds. Returns how many."""
    return len(await tx.fetch(_REQUEST, consumer, topic, None if ids is None else list(ids), error))


async def claim_requested(tx: Connection, consumer: str, limit: int) -> list[tuple[int, Polled]]:
    """What was asked to be replayed, locked until the end of the transaction."""
    rows: list[Any] = await tx.fetch(_CLAIM, consumer, limit)
    return [
        (
            row["id"],
            Polled(
                Record(
                    id=row["event_id"],
                    topic=row["topic"],
                    type=row["type"],
                    source="",
                    workspace_id=row["workspace_id"],
                    time=row["time"],
                    key=row["key"],
                    payload=row["payload"],
                    traceparent=row["traceparent"],
                ),
                row["source"],
                row["source_offset"],
            ),
        )
        for row in rows
    ]


async def mark_replayed(tx: Connection, ids: Sequence[int]) -> None:
    """These are handled now."""
    await tx.execute(_REPLAYED, list(ids))


async def mark_failed(tx: Connection, letter_id: int, error: str) -> None:
    """It failed again."""
    await tx.execute(_FAILED, letter_id, error)


async def recent(tx: Connection, consumer: str, seconds: float) -> int:
    """How many were buried lately and not yet handled."""
    count: int = await tx.fetchval(_RECENT, consumer, seconds)
    return count


async def depth(tx: Connection, consumer: str) -> int:
    """How many are buried and not yet handled."""
    count: int = await tx.fetchval(_DEPTH, consumer)
    return count
