"""Mails that came back and could not be read, stored or matched, as they came, for a week.

They belong to the workspace that they provably came to: by an address that it signed, or as an answer to its mail.
The others are the operator's: nobody may read what a stranger sent to nobody.
"""

from datetime import datetime
from uuid import UUID

import asyncpg
from common.db.pool import Connection

HEAD_BYTES = 4096

# A signed address has only the end of its workspace's id.
_KEEP = """
insert into set_aside (id, source, why, envelope, mail, workspace_id)
select $1, $2, $3, $4, $5, coalesce($6::uuid, (
  select case when count(*) = 1 then (array_agg(workspace_id))[1] end from workspaces
   where substring(uuid_send(workspace_id) from 11) = $7::bytea))
on conflict do nothing
"""
_AGAIN = "select id, source, envelope, mail from set_aside where id > $1 and why <> all($3) order by id limit $2"
_PAGE = f"""
select id, source, why, envelope, at, octet_length(mail) as size, substring(mail from 1 for {HEAD_BYTES}) as head
  from set_aside
 where workspace_id = $1 and ($2::timestamptz is null or (at, id) < ($2, $3::uuid)) and ($5::text is null or why = $5)
 order by at desc, id desc limit $4
"""  # noqa: S608
_GET = "select id, source, why, envelope, mail from set_aside where workspace_id = $1 and id = $2"
_FORGET = "delete from set_aside where workspace_id = $1 and id = $2 returning id"


async def keep(
    tx: Connection,
    id_: UUID,
    source: str,
    why: str,
    envelope: list[str],
    mail: bytes,
    *,
    workspace_id: UUID | None = None,
    tail: bytes | None = None,
) -> None:
    """Keep a mail. `tail`: the end of the id of its workspace."""
    await tx.execute(_KEEP, id_, source, why, envelope, mail, workspace_id, tail)


async def to_try(tx: Connection, after: UUID, limit: int, but: list[str]) -> list[asyncpg.Record]:
    """Mails of everybody's set aside for any reason but these, after an id."""
    return await tx.fetch(_AGAIN, after, limit, but)


async def page(
    tx: Connection, workspace_id: UUID, after: tuple[datetime, UUID] | None, limit: int, why: str | None
) -> list[asyncpg.Record]:
    """A workspace's, the newest first, with the first bytes of each."""
    return await tx.fetch(_PAGE, workspace_id, *(after or (None, None)), limit, why)


async def get(tx: Connection, workspace_id: UUID, id_: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    """One of a workspace's, with its mail."""
    return await tx.fetchrow(_GET + (" for update" if lock else ""), workspace_id, id_)


async def discard(tx: Connection, workspace_id: UUID, id_: UUID) -> bool:
    """Delete one of a workspace's; whether it was there."""
    return await tx.fetchval(_FORGET, workspace_id, id_) is not None


async def forget(tx: Connection, id_: UUID) -> None:
    """Delete one, whosever it is."""
    await tx.execute("delete from set_aside where id = $1", id_)
