"""Mailers' leases by the database's clock, and the reaping of what a gone mailer left under its intents."""

from uuid import UUID

import asyncpg
from common.db.pool import Connection

LEASE_S = 30

_REGISTER = """
insert into mailers (id, name, epoch, expires_at) values ($1, $2, 1, now() + $3 * interval '1 second')
on conflict (id) do update set epoch = mailers.epoch + 1, expires_at = excluded.expires_at
returning epoch
"""

_RENEW = """
update mailers set expires_at = now() + $3 * interval '1 second'
 where id = $1 and epoch = $2 and expires_at > now()
"""

_LEAVE = "delete from mailers where id = $1 and epoch = $2"

# An expired lease is fenced by the next epoch; the lock makes a renewal under way and the reaper see each other.
_FENCE = "update mailers set epoch = epoch + 1 where expires_at <= now()"

_ORPHANED = """
select i.id, i.mailer_id, i.mailer_epoch from intents i
 where not exists (select from mailers m where m.id = i.mailer_id and m.epoch = i.mailer_epoch) order by i.id limit 200
"""

# Messages before intents, as where outcomes are written.
_REAP = """
update messages m set status = 'uncertain', class = 'mailer_gone', revision = m.revision + 1,
       history = coalesce(m.history, '[]') || attempt_note(m.attempt, 'uncertain', 'mailer_gone', null, null, null)
  from intents i
 where i.id = any($1) and m.workspace_id = i.workspace_id and m.id = any(i.ids) and m.status = 'attempting'
   and m.mailer_id = i.mailer_id and m.mailer_epoch = i.mailer_epoch
returning m.workspace_id, m.id, m.mailing_id, m.contact_id, m.kind, m.variant_id, m.status, m.class, m.attempt,
          m.revision, m.provider
"""

_FORGET = "delete from mailers where expires_at < now() - interval '7 days'"


async def register(tx: Connection, mailer_id: UUID, name: str) -> int:
    """Take a lease of 30 s under a new epoch, which is returned."""
    epoch: int = await tx.fetchval(_REGISTER, mailer_id, name, LEASE_S)
    return epoch


async def renew(tx: Connection, mailer_id: UUID, epoch: int) -> bool:
    """Whether the lease still stood, and stands for 30 s more."""
    return bool(await tx.execute(_RENEW, mailer_id, epoch, LEASE_S) == "UPDATE 1")


async def leave(tx: Connection, mailer_id: UUID, epoch: int) -> None:
    """Give the lease back."""
    await tx.execute(_LEAVE, mailer_id, epoch)


async def reap(tx: Connection) -> tuple[list[asyncpg.Record], int]:
    """Messages under an intent whose mailer is gone become uncertain; their rows, and how many mailers are gone."""
    await tx.execute(_FENCE)
    found = await tx.fetch(_ORPHANED)
    orphaned = [row["id"] for row in found]
    rows = await tx.fetch(_REAP, orphaned) if orphaned else []
    if orphaned:
        await tx.execute("delete from intents where id = any($1)", orphaned)
    await tx.execute(_FORGET)
    return rows, len({(row["mailer_id"], row["mailer_epoch"]) for row in found})
