"""Lists of contacts and who is on them."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from common.db.pool import Connection


async def unknown(tx: Connection, workspace_id: UUID, list_ids: Sequence[UUID]) -> list[UUID]:
    """Those of the ids that are no list of this workspace."""
    rows = await tx.fetch(
        "select wanted.id from unnest($2::uuid[]) wanted(id) where not exists"
        " (select from lists l where l.workspace_id = $1 and l.id = wanted.id and not l.deleted)",
        workspace_id,
        list_ids,
    )
    return [row["id"] for row in rows]


async def insert(tx: Connection, workspace_id: UUID, list_id: UUID, name: str, created_by: str) -> asyncpg.Record:
    """A new list."""
    row = await tx.fetchrow(
        "insert into lists (workspace_id, id, name, created_by) values ($1, $2, $3, $4) returning *",
        workspace_id,
        list_id,
        name,
        created_by,
    )
    assert row is not None  # noqa: S101
    return row


async def find(tx: Connection, workspace_id: UUID, list_id: UUID) -> asyncpg.Record | None:
    """A list that is not deleted."""
    return await tx.fetchrow(
        "select * from lists where workspace_id = $1 and id = $2 and not deleted", workspace_id, list_id
    )


async def locked(tx: Connection, workspace_id: UUID, list_id: UUID) -> asyncpg.Record | None:
    """A list that is not deleted, locked."""
    return await tx.fetchrow(
        "select * from lists where workspace_id = $1 and id = $2 and not deleted for update", workspace_id, list_id
    )


async def kept(tx: Connection, workspace_id: UUID, list_id: UUID) -> asyncpg.Record | None:
    """A list that is not deleted, and is not while this transaction lasts; others may add members too."""
    return await tx.fetchrow(
        "select * from lists where workspace_id = $1 and id = $2 and not deleted for share", workspace_id, list_id
    )


async def page(tx: Connection, workspace_id: UUID, before: UUID | None, limit: int) -> list[asyncpg.Record]:
    """Lists, newest first."""
    return await tx.fetch(
        "select * from lists where workspace_id = $1 and not deleted and ($2::uuid is null or id < $2)"
        " order by id desc limit $3",
        workspace_id,
        before,
        limit,
    )


async def change(
    tx: Connection, workspace_id: UUID, list_id: UUID, name: str, *, deleted: bool = False
) -> asyncpg.Record:
    """Rename or delete a locked list; its revision rises."""
    row = await tx.fetchrow(
        "update lists set name = $3, deleted = $4, revision = revision + 1, updated_at = now()"
        " where workspace_id = $1 and id = $2 returning *",
        workspace_id,
        list_id,
        name,
        deleted,
    )
    assert row is not None  # noqa: S101
    return row


async def users(tx: Connection, workspace_id: UUID, list_id: UUID) -> list[asyncpg.Record]:
    """Segments whose rule names the list."""
    return await tx.fetch(
        "select id, name from segments where workspace_id = $1 and not deleted"
        " and jsonb_path_exists(rule, '$.**.list ? (@ == $id)', jsonb_build_object('id', $2::text)) limit 10",
        workspace_id,
        str(list_id),
    )


async def strangers(tx: Connection, workspace_id: UUID, contact_ids: Sequence[UUID]) -> list[UUID]:
    """Those of the ids that are no contact of this workspace; the others stay while this transaction lasts."""
    rows = await tx.fetch(
        "select id from contacts where workspace_id = $1 and id = any($2::uuid[]) order by id for key share",
        workspace_id,
        contact_ids,
    )
    return sorted(set(contact_ids) - {row["id"] for row in rows})


async def add(tx: Connection, workspace_id: UUID, list_id: UUID, contact_ids: Sequence[UUID]) -> int:
    """Put contacts on a list; says how many were not on it before."""
    done = await tx.execute(
        "insert into list_members (workspace_id, list_id, contact_id)"
        " select $1, $2, id from (select distinct unnest($3::uuid[]) id) ids order by id on conflict do nothing",
        workspace_id,
        list_id,
        contact_ids,
    )
    return int(done.rsplit(" ", 1)[1])


async def remove(tx: Connection, workspace_id: UUID, list_id: UUID, contact_ids: Sequence[UUID]) -> int:
    """Take contacts off a list; says how many were on it."""
    done = await tx.execute(
        "delete from list_members where workspace_id = $1 and list_id = $2 and contact_id = any($3::uuid[])",
        workspace_id,
        list_id,
        contact_ids,
    )
    return int(done.rsplit(" ", 1)[1])


async def clear(tx: Connection, workspace_id: UUID, list_id: UUID) -> None:
    """Take everybody off a list."""
    await tx.execute("delete from list_members where workspace_id = $1 and list_id = $2", workspace_id, list_id)


async def members(
    tx: Connection, workspace_id: UUID, list_id: UUID, after: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """Who is on a list, by id."""
    return await tx.fetch(
        "select l.contact_id, l.added_at, c.email, c.first_name, c.last_name from list_members l"
        " join contacts c on c.workspace_id = l.workspace_id and c.id = l.contact_id"
        " where l.workspace_id = $1 and l.list_id = $2 and ($3::uuid is null or l.contact_id > $3)"
        " order by l.contact_id limit $4",
        workspace_id,
        list_id,
        after,
        limit,
    )
