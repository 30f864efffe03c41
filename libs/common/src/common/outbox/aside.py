"""Events that no bus takes: set aside as dead letters of the relay, so that they hold nothing else up."""

from collections.abc import Sequence
from typing import Any

import structlog

from common.db.pool import Connection

# One statement: an event is in the outbox or among the dead letters, never in both and never in neither.
_SET_ASIDE = """
with taken as (
  delete from outbox o using unnest($2::bigint[], $3::text[]) as why (id, error) where o.id = why.id
  returning o.*, why.error
)
insert into dead_letters (consumer, topic, type, key, event_id, workspace_id, time, traceparent, payload,
                          source, source_offset, error)
select $1, topic, type, key, event_id, workspace_id, time, traceparent, payload, 'outbox', id, error from taken
on conflict (consumer, event_id) do update
  set attempts = dead_letters.attempts + 1, error = excluded.error, requested_at = null, replayed_at = null
"""
_PUT_BACK = """
with asked as (
  update dead_letters set replayed_at = now(), requested_at = null
  where consumer = $1 and requested_at is not null and replayed_at is null returning *
)
insert into outbox (lane, topic, type, key, event_id, workspace_id, time, traceparent, payload)
select 1, topic, type, key, event_id, workspace_id, time, traceparent, payload from asked order by id
"""

_HELD = "select count(*) from dead_letters where consumer = $1 and replayed_at is null"

log = structlog.get_logger(__name__)


def letters_of(service: str) -> str:
    """Under which name the dead letters of a service's relay are kept."""
    return f"{service}.relay"


async def set_aside(connection: Connection, service: str, rows: Sequence[tuple[Any, str]]) -> None:
    """Take these rows out of the outbox, each with its reason; `barid dlq` lists, shows and replays them."""
    await connection.execute(
        _SET_ASIDE, letters_of(service), [row["id"] for row, _ in rows], [f"TooLarge: {why}" for _, why in rows]
    )
    for row, why in rows:
        log.error("event_set_aside", service=service, event_type=row["type"], event_id=str(row["event_id"]), error=why)


async def put_back(connection: Connection, service: str) -> None:
    """Put those into the outbox again that `barid dlq replay` asked for."""
    await connection.execute(_PUT_BACK, letters_of(service))


async def held(connection: Connection, service: str) -> int:
    """How many are set aside now."""
    count: int = await connection.fetchval(_HELD, letters_of(service))
    return count
