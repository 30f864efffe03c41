"""Lifecycle stages: who moved whom from which to which, when, and why."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from common.ids import new_id

_RECORD = """
insert into stage_transitions (workspace_id, contact_id, id, from_stage, to_stage, actor, cause)
select $1, c, i, f, $5, $6, $7 from unnest($2::uuid[], $3::uuid[], $4::text[]) t (c, i, f)
"""
_PAGE = """
select id, from_stage, to_stage, actor, cause, at from stage_transitions
 where workspace_id = $1 and contact_id = $2 and ($3::timestamptz is null or (at, id) < ($3, $4::uuid))
 order by at desc, id desc limit $5
"""


async def record(
    tx: Connection, workspace_id: UUID, contact_id: UUID, before: str, after: str, actor: str, cause: str
) -> None:
    """One contact moved."""
    await record_all(tx, workspace_id, [(contact_id, before)], after, actor, cause)


async def record_all(
    tx: Connection, workspace_id: UUID, moved: Sequence[tuple[UUID, str]], after: str, actor: str, cause: str
) -> None:
    """Contacts, each with the stage it was in, moved to one stage."""
    ids, ids_of_moves = [contact_id for contact_id, _ in moved], [new_id() for _ in moved]
    await tx.execute(_RECORD, workspace_id, ids, ids_of_moves, [stage for _, stage in moved], after, actor, cause)


async def page(
    tx: Connection, workspace_id: UUID, contact_id: UUID, before: tuple[datetime, UUID] | None, limit: int
) -> list[asyncpg.Record]:
    """A contact's moves, the newest first."""
    return await tx.fetch(_PAGE, workspace_id, contact_id, *(before or (None, None)), limit)
