"""Lists of contacts and who is on them."""

from collections.abc import Mapping, Sequence
from typing import Any
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


async def insert(
    tx: Connection,
    workspace_id: UUID,
    list_id: UUID,
    name: str,
    created_by: str,
    owner: str | None = None,
    member_limit: int | None = None,
) -> asyncpg.Record:
    """A new list."""
    row = await tx.fetchrow(
        "insert into lists (workspace_id, id, name, created_by, owner, member_limit) values ($1, $2, $3, $4, $5, $6)"
        " returning *",
        workspace_id,
        list_id,
        name,
        created_by,
        owner,
        member_limit,
    )
    assert row is not None  # noqa: S101
    return row


async def find(tx: Connection, workspace_id: UUID, list_id: UUID, only_of: str | None = None) -> asyncpg.Record | None:
    """A list that is not deleted; with `only_of`, only if it is this member's."""
    return await tx.fetchrow(
        "select * from lists where workspace_id = $1 and id = $2 and not deleted"
        " and ($3::text is null or coalesce(owner, created_by) = $3)",
        workspace_id,
        list_id,
        only_of,
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


async def page(
    tx: Connection, workspace_id: UUID, before: UUID | None, limit: int, only_of: str | None = None
) -> list[asyncpg.Record]:
    """Lists, newest first; with `only_of`, this member's alone."""
    return await tx.fetch(
        "select * from lists where workspace_id = $1 and not deleted and ($2::uuid is null or id < $2)"
        " and ($4::text is null or coalesce(owner, created_by) = $4) order by id desc limit $3",
        workspace_id,
        before,
        limit,
        only_of,
    )


async def change(
    tx: Connection, before: asyncpg.Record, changes: Mapping[str, Any], *, deleted: bool = False
) -> asyncpg.Record:
    """Change name, owner or limit of a locked list, or delete it; its revision rises."""
    after = {**before, **changes}
    row = await tx.fetchrow(
        "update lists set name = $3, owner = $4, member_limit = $5, deleted = $6, revision = revision + 1,"
        " updated_at = now() where workspace_id = $1 and id = $2 returning *",
        before["workspace_id"],
        before["id"],
        after["name"],
        after["owner"],
        after["member_limit"],
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


async def is_over(tx: Connection, workspace_id: UUID, list_id: UUID, limit: int) -> bool:
    """Whether more contacts than so many are on a list."""
    found: bool = await tx.fetchval(
        "select exists (select from list_members where workspace_id = $1 and list_id = $2 offset $3)",
        workspace_id,
        list_id,
        limit,
    )
    return found


async def limited(tx: Connection, workspace_id: UUID, list_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Those of the lists that may hold only so many, and how many."""
    rows = await tx.fetch(
        "select id, member_limit from lists where workspace_id = $1 and id = any($2::uuid[])"
        " and member_limit is not null",
        workspace_id,
        list_ids,
    )
    return {row["id"]: row["member_limit"] for row in rows}


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
