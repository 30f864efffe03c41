"""Merged contacts: what was theirs moves, is remembered, and moves back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from contacts.db import money

# Tables whose rows move with the person, by what tells their rows apart.
MOVED: Mapping[str, str] = {
    "activity": "event_id", "stage_transitions": "id", "contact_notes": "id", "form_submissions": "id",
    "conversions": "id", "visitors": "id",
}  # fmt: skip

_ROWS = "select to_jsonb(c) - 'search' from contacts c where c.workspace_id = $1 and c.id = $2 for update"

_SUPPRESSED = """
select exists (select from suppressions s join contacts c on c.workspace_id = s.workspace_id and c.address_hash = s.hash
                where c.workspace_id = $1 and c.id = $2 and s.scope = 'address' and s.active
                  and (s.expires_at is null or s.expires_at > now())
                  and s.reason in ('complaint', 'unsubscribed', 'unsubscribed_all', 'manual'))
"""

_MOVE = "update {table} set contact_id = $3 where workspace_id = $1 and contact_id = $2 returning {key}"
_MOVE_BACK = """
update {table} set contact_id = $3 where workspace_id = $1 and contact_id = $2 and {key} = any($4::uuid[])
"""

_LISTS = """
with theirs as (delete from list_members where workspace_id = $1 and contact_id = $2 returning list_id, added_at),
added as (
  insert into list_members (workspace_id, list_id, contact_id, added_at)
  select $1, list_id, $3, added_at from theirs on conflict do nothing returning list_id)
select list_id, added_at, list_id in (select list_id from added) as added from theirs
"""

_LISTS_BACK = """
with off as (
  delete from list_members where workspace_id = $1 and contact_id = $2 and list_id = any($4::uuid[]) returning list_id)
insert into list_members (workspace_id, list_id, contact_id, added_at)
select $1, l.list_id, $3, l.added_at from unnest($5::uuid[], $6::timestamptz[]) l (list_id, added_at)
 where exists (select from lists x where x.workspace_id = $1 and x.id = l.list_id and not x.deleted)
on conflict do nothing
"""

_ALIAS = """
with flat as (
  update contact_aliases set contact_id = $3 where workspace_id = $1 and contact_id = $2 returning alias_id),
new as (insert into contact_aliases (workspace_id, alias_id, contact_id, address_hash) values ($1, $2, $3, $4))
select alias_id from flat
"""

_UNALIAS = """
with own as (delete from contact_aliases where workspace_id = $1 and alias_id = $2)
update contact_aliases set contact_id = $2 where workspace_id = $1 and contact_id = $3 and alias_id = any($4::uuid[])
"""

_INSERT = """
insert into contact_merges (workspace_id, id, kept_id, gone_id, actor, before)
values ($1, $2, $3, $4, $5, $6) returning *
"""

_TIMES = "select count(*) from contact_merges where workspace_id = $1 and gone_id = $2"

# The row as it was, with a revision that no event has told.
_PUT_BACK = """
insert into contacts ({columns})
select {columns} from jsonb_populate_record(null::contacts, $1::jsonb)
returning id
"""

_CURRENT = """
select n.id, coalesce(a.contact_id, n.id) as now
  from unnest($1::uuid[], $2::uuid[]) n (workspace_id, id)
  left join contact_aliases a on a.workspace_id = n.workspace_id and a.alias_id = n.id
"""


_HASHES = """
select a.alias_id, a.address_hash from contact_aliases a
  join unnest($1::uuid[], $2::uuid[]) n (workspace_id, id) on a.workspace_id = n.workspace_id and a.alias_id = n.id
"""


async def locked_row(tx: Connection, workspace_id: UUID, contact_id: UUID) -> dict[str, Any] | None:
    """A contact as JSON, locked."""
    found: dict[str, Any] | None = await tx.fetchval(_ROWS, workspace_id, contact_id)
    return found


async def left_all(tx: Connection, workspace_id: UUID, contact_id: UUID) -> bool:
    """Whether the person wanted no more mail at all to this address."""
    return bool(await tx.fetchval(_SUPPRESSED, workspace_id, contact_id))


async def move(tx: Connection, workspace_id: UUID, gone_id: UUID, kept_id: UUID) -> dict[str, Any]:
    """Give all that is one contact's to the other; what it was."""
    moved = {
        table: [
            str(row[key]) for row in await tx.fetch(_MOVE.format(table=table, key=key), workspace_id, gone_id, kept_id)
        ]
        for table, key in MOVED.items()
    }
    lists = [
        {"list_id": str(row["list_id"]), "added_at": row["added_at"].isoformat(), "added": row["added"]}
        for row in await tx.fetch(_LISTS, workspace_id, gone_id, kept_id)
    ]
    await money.reckon(tx, [workspace_id] * 2, [gone_id, kept_id])
    return {"moved": moved, "lists": lists}


async def move_back(tx: Connection, workspace_id: UUID, kept_id: UUID, gone_id: UUID, was: Mapping[str, Any]) -> None:
    """Give back what was the other contact's, as far as it is still there."""
    for table, key in MOVED.items():
        ids = [UUID(one) for one in was["moved"].get(table, [])]
        if ids:
            await tx.execute(_MOVE_BACK.format(table=table, key=key), workspace_id, kept_id, gone_id, ids)
    lists = was["lists"]
    await tx.execute(
        _LISTS_BACK,
        workspace_id,
        kept_id,
        gone_id,
        [UUID(one["list_id"]) for one in lists if one["added"]],
        [UUID(one["list_id"]) for one in lists],
        [datetime.fromisoformat(one["added_at"]) for one in lists],
    )
    await money.reckon(tx, [workspace_id] * 2, [gone_id, kept_id])


async def alias(tx: Connection, workspace_id: UUID, gone_id: UUID, kept_id: UUID, address_hash: bytes) -> list[UUID]:
    """The one is the other from now on; which aliases it had itself."""
    return [row["alias_id"] for row in await tx.fetch(_ALIAS, workspace_id, gone_id, kept_id, address_hash)]


async def unalias(tx: Connection, workspace_id: UUID, gone_id: UUID, kept_id: UUID, aliases: Sequence[UUID]) -> None:
    """The one is itself again, with the aliases it had."""
    await tx.execute(_UNALIAS, workspace_id, gone_id, kept_id, aliases)


async def aliases(tx: Connection, workspace_id: UUID, contact_id: UUID) -> list[asyncpg.Record]:
    """Who became this contact."""
    return await tx.fetch(
        "select alias_id, address_hash from contact_aliases where workspace_id = $1 and contact_id = $2",
        workspace_id,
        contact_id,
    )


async def current(tx: Connection, workspace_ids: Sequence[UUID], ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Who each contact is now."""
    return {row["id"]: row["now"] for row in await tx.fetch(_CURRENT, workspace_ids, ids)}


async def hashes(tx: Connection, workspace_ids: Sequence[UUID], ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """Contact that was merged → the hash of the address it had."""
    rows = await tx.fetch(_HASHES, workspace_ids, ids)
    return {row["alias_id"]: row["address_hash"] for row in rows}


async def insert(
    tx: Connection, workspace_id: UUID, merge_id: UUID, kept_id: UUID, gone_id: UUID, actor: str, before: Any
) -> asyncpg.Record:
    """A new merge."""
    row = await tx.fetchrow(_INSERT, workspace_id, merge_id, kept_id, gone_id, actor, before)
    assert row is not None  # noqa: S101
    return row


async def times(tx: Connection, workspace_id: UUID, gone_id: UUID) -> int:
    """How often this contact has been merged into another."""
    found: int = await tx.fetchval(_TIMES, workspace_id, gone_id)
    return found


async def get(tx: Connection, workspace_id: UUID, merge_id: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    """One merge."""
    return await tx.fetchrow(
        f"select * from contact_merges where workspace_id = $1 and id = $2{' for update' if lock else ''}",  # noqa: S608
        workspace_id,
        merge_id,
    )


async def into(tx: Connection, workspace_id: UUID, gone_id: UUID) -> UUID | None:
    """Whom a contact that is gone has become."""
    found: UUID | None = await tx.fetchval(
        "select contact_id from contact_aliases where workspace_id = $1 and alias_id = $2", workspace_id, gone_id
    )
    return found


async def of_contact(tx: Connection, workspace_id: UUID, contact_id: UUID) -> list[asyncpg.Record]:
    """The merges into a contact, the newest first."""
    return await tx.fetch(
        "select id, kept_id, gone_id, actor, at, undone_at from contact_merges"
        " where workspace_id = $1 and kept_id = $2 order by id desc limit 100",
        workspace_id,
        contact_id,
    )


async def undone(tx: Connection, workspace_id: UUID, merge_id: UUID) -> None:
    """The merge is taken back; what it kept is not needed any more."""
    await tx.execute(
        "update contact_merges set undone_at = now(), before = '{}' where workspace_id = $1 and id = $2",
        workspace_id,
        merge_id,
    )


async def put_back(tx: Connection, row: Mapping[str, Any]) -> None:
    """A contact as it was. Raises asyncpg.UniqueViolationError if its address or external id is another's now."""
    columns = ", ".join(sorted(row))
    await tx.execute(_PUT_BACK.format(columns=columns), dict(row))
