"""Questions whether an address's owner really asked for mail, and when each address was last asked."""

from uuid import UUID

import asyncpg
from common.db.pool import Connection

_ASK = """
insert into confirmations as c (workspace_id, id, contact_id, purpose_id, sender_id, submission_id, source, language,
                                wording_version)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (workspace_id, contact_id, purpose_id) where confirmed_at is null do update
   set sender_id = excluded.sender_id, submission_id = coalesce(excluded.submission_id, c.submission_id),
       source = excluded.source, language = excluded.language, wording_version = excluded.wording_version,
       requested_at = clock_timestamp()
returning *
"""

# Two that ask at once wait for each other at this row; the second sees the first one's time.
_TAKE_TURN = """
insert into confirmation_mails as m (workspace_id, address_hash, last_at) values ($1, $2, clock_timestamp())
on conflict (workspace_id, address_hash) do update set last_at = excluded.last_at
 where m.last_at <= excluded.last_at - interval '24 hours'
returning last_at
"""


async def ask(
    tx: Connection,
    workspace_id: UUID,
    id_: UUID,
    contact_id: UUID,
    purpose_id: UUID,
    sender_id: UUID,
    submission_id: UUID | None,
    source: str,
    language: str,
    wording_version: int,
) -> asyncpg.Record:
    """The open question of a contact and purpose, made or renewed."""
    row = await tx.fetchrow(
        _ASK,
        workspace_id,
        id_,
        contact_id,
        purpose_id,
        sender_id,
        submission_id,
        source,
        language,
        wording_version,
    )
    assert row is not None  # noqa: S101
    return row


async def take_turn(tx: Connection, workspace_id: UUID, address_hash: bytes) -> bool:
    """Whether the address may be sent a confirmation mail now: one in 24 hours, whatever it is for."""
    return await tx.fetchval(_TAKE_TURN, workspace_id, address_hash) is not None


async def get(tx: Connection, workspace_id: UUID, id_: UUID) -> asyncpg.Record | None:
    """One question."""
    return await tx.fetchrow("select * from confirmations where workspace_id = $1 and id = $2", workspace_id, id_)


async def confirm(tx: Connection, workspace_id: UUID, id_: UUID) -> bool:
    """Close a question; False if it was closed before."""
    done = await tx.execute(
        "update confirmations set confirmed_at = now() where workspace_id = $1 and id = $2 and confirmed_at is null",
        workspace_id,
        id_,
    )
    return bool(done == "UPDATE 1")


async def forget_turns(tx: Connection) -> None:
    """Forget when addresses were asked, once that no longer keeps them from being asked again."""
    await tx.execute("delete from confirmation_mails where last_at < now() - interval '25 hours'")
