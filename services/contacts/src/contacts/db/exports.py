"""Exports, and the contacts they read."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from contacts.db import segment_sql, segment_tables
from contacts.domain.segment_binding import Bound

_INSERT = """
insert into exports (workspace_id, id, name, rule, format, mode, columns, created_by)
values ($1, $2, $3, $4, $5, $6, $7, $8) returning *
"""

_DOWNLOADED = """
update exports set downloads = downloads + 1, rows = $3, downloaded_by = $4, downloaded_at = now()
 where workspace_id = $1 and id = $2
"""

_ROWS = """
select c.id, c.email, c.first_name, c.last_name, c.language, c.timezone, c.country, c.external_id, c.phone,
       c.company, c.city, c.owner, c.stage, c.score, c.grade, c.tracking, c.created_at, c.updated_at,
       c.tags, c.attributes,
       coalesce((select jsonb_object_agg(k.purpose_id, k.status) from consents k
                  where k.workspace_id = c.workspace_id and k.contact_id = c.id), '{}') as consents,
       array(select l.name from list_members m join lists l on l.workspace_id = m.workspace_id and l.id = m.list_id
              where m.workspace_id = c.workspace_id and m.contact_id = c.id and not l.deleted
              order by l.name, l.id) as lists
  from contacts c
 where c.workspace_id = $1 and c.id = any($2::uuid[])
 order by c.id
"""


async def insert(
    tx: Connection,
    workspace_id: UUID,
    export_id: UUID,
    name: str,
    rule: Any,
    format_: str,
    mode: str,
    columns: Sequence[str] | None,
    created_by: str,
) -> asyncpg.Record:
    """A new export."""
    row = await tx.fetchrow(_INSERT, workspace_id, export_id, name, rule, format_, mode, columns, created_by)
    assert row is not None  # noqa: S101
    return row


async def get(tx: Connection, workspace_id: UUID, export_id: UUID) -> asyncpg.Record | None:
    """One export."""
    return await tx.fetchrow("select * from exports where workspace_id = $1 and id = $2", workspace_id, export_id)


async def page(tx: Connection, workspace_id: UUID, before: UUID | None, limit: int) -> list[asyncpg.Record]:
    """The workspace's exports, the newest first."""
    return await tx.fetch(
        "select * from exports where workspace_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3",
        workspace_id,
        before,
        limit,
    )


async def downloaded(tx: Connection, workspace_id: UUID, export_id: UUID, rows: int, who: str) -> None:
    """Somebody took so many contacts out."""
    await tx.execute(_DOWNLOADED, workspace_id, export_id, rows, who)


async def ids(
    tx: Connection, workspace_id: UUID, rule: Bound, now: datetime, after: UUID | None, limit: int
) -> list[bytes]:
    """The ids, as bytes, of the next so many that the rule holds for, in order."""
    wanted = segment_sql.matching(rule, workspace_id, now).order_by(segment_tables.contacts.c.id).limit(limit)
    if after is not None:
        wanted = wanted.where(segment_tables.contacts.c.id > after)
    query = segment_sql.statement(wanted)
    # As one value: asyncpg's objects of a million ids take more memory than a process may.
    packed = await tx.fetchval(
        f"select string_agg(uuid_send(id), ''::bytea order by id) from ({query.sql}) s",  # noqa: S608
        *query.args,
    )
    return [packed[place : place + 16] for place in range(0, len(packed), 16)] if packed else []


async def rows(tx: Connection, workspace_id: UUID, ids: Sequence[bytes]) -> list[asyncpg.Record]:
    """Contacts by their ids; who is gone meanwhile is left out."""
    return await tx.fetch(_ROWS, workspace_id, [UUID(bytes=one) for one in ids])
