"""Lists of contacts and who is on them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection


async def unknown(
    tx: Connection, workspace_id: UUID, list_ids: Sequence[UUID], only_of: str | None = None
) -> list[UUID]:
    """Those of the ids that are no list of this workspace; with `only_of`, none of this member's."""
    rows = await tx.fetch(
        "select wanted.id from unnest($2::uuid[]) wanted(id) where not exists"
        " (select from lists l where l.workspace_id = $1 and l.id = wanted.id and not l.deleted"
        "   and ($3::text is null or coalesce(l.owner, l.created_by) = $3))",
        workspace_id,
        list_ids,
        only_of,
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


_LOCK_LIMITED = """
select id, member_limit from lists
 where workspace_id = $1 and id = any($2::uuid[]) and member_limit is not null order by id for update
"""
_NEW_OF_IMPORT = """
select count(*) from (select distinct email_normalised from import_stage where import_id = $3 and code is null) s
 where not exists (select from contacts c join list_members m on m.workspace_id = $1 and m.contact_id = c.id
                    where c.workspace_id = $1 and c.email_normalised = s.email_normalised and m.list_id = $2)
"""
_TRIM = """
delete from list_members where ctid = any(array(
  select ctid from list_members where workspace_id = $1 and list_id = $2 and import_id = $3
   order by added_at desc, contact_id desc
   limit greatest(0, (select count(*) from list_members where workspace_id = $1 and list_id = $2) - $4)))
"""
_ADD_WITHIN = """
insert into list_members (workspace_id, list_id, contact_id)
select $1, $2, id from (select distinct unnest($3::uuid[]) id) ids
 where not exists (select from list_members m where m.workspace_id = $1 and m.list_id = $2 and m.contact_id = ids.id)
 order by id limit greatest(0, $4 - (select count(*) from list_members where workspace_id = $1 and list_id = $2))
on conflict do nothing
"""


async def lock_limited(tx: Connection, workspace_id: UUID, list_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Those of the lists that may hold only so many, and how many; nobody else adds to them meanwhile."""
    rows = await tx.fetch(_LOCK_LIMITED, workspace_id, list_ids) if list_ids else []
    return {row["id"]: row["member_limit"] for row in rows}


async def size(tx: Connection, workspace_id: UUID, list_id: UUID) -> int:
    """How many are on a list."""
    found: int = await tx.fetchval(
        "select count(*) from list_members where workspace_id = $1 and list_id = $2", workspace_id, list_id
    )
    return found


async def new_of_import(tx: Connection, workspace_id: UUID, list_id: UUID, import_id: UUID) -> int:
    """How many people of a staged file are not on a list."""
    found: int = await tx.fetchval(_NEW_OF_IMPORT, workspace_id, list_id, import_id)
    return found


async def trim(tx: Connection, workspace_id: UUID, list_id: UUID, import_id: UUID, limit: int) -> None:
    """Take off a locked list whom an import put there beyond its limit."""
    await tx.execute(_TRIM, workspace_id, list_id, import_id, limit)


async def add_within(tx: Connection, workspace_id: UUID, list_id: UUID, contact_ids: Sequence[UUID], limit: int) -> int:
    """Put contacts on a locked list, as far as there is room; how many."""
    done = await tx.execute(_ADD_WITHIN, workspace_id, list_id, contact_ids, limit)
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
