"""Blocks: who must not be written to, as contacts tells it and as delivery found out itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import asyncpg
from common.db.pool import Connection

Scope = Literal["address", "domain", "consent"]

# A block of our own stands until an event names it, in whatever order events come; the rest goes by revision.
_TELL = """
insert into blocks as b (workspace_id, scope, subject, told_revision, told_blocked, told_reason)
select distinct on (workspace_id, scope, subject) workspace_id, scope, subject, revision, blocked, reason
  from unnest($1::uuid[], $2::text[], $3::bytea[], $4::bigint[], $5::boolean[], $6::text[])
         as t (workspace_id, scope, subject, revision, blocked, reason)
 order by workspace_id, scope, subject, revision desc
on conflict (workspace_id, scope, subject) do update
  set told_revision = excluded.told_revision, told_blocked = excluded.told_blocked, told_reason = excluded.told_reason
  where excluded.told_revision > b.told_revision
"""

_ANSWER = """
update blocks b set own_id = null, own_reason = null
  from unnest($1::uuid[], $2::text[], $3::bytea[], $4::uuid[]) as t (workspace_id, scope, subject, caused_by)
 where b.workspace_id = t.workspace_id and b.scope = t.scope and b.subject = t.subject and b.own_id = t.caused_by
"""

_BLOCK_ALL = """
insert into blocks as b (workspace_id, scope, subject, own_id, own_reason)
select distinct on (1, 2, 3) w, s, u, i, $5 from unnest($1::uuid[], $2::text[], $3::bytea[], $4::uuid[]) t (w, s, u, i)
 order by 1, 2, 3
on conflict (workspace_id, scope, subject) do update
  set own_id = coalesce(b.own_id, excluded.own_id), own_reason = coalesce(b.own_reason, excluded.own_reason)
returning workspace_id, scope, subject, own_id
"""

_BLOCK_ADDRESSES = """
insert into blocks as b (workspace_id, scope, subject, own_id, own_reason)
select distinct on (m.workspace_id, m.address_hash) m.workspace_id, 'address', m.address_hash, u.block_id, $4
  from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as u (workspace_id, id, block_id)
  join messages m on m.workspace_id = u.workspace_id and m.id = u.id
 where m.address_hash is not null order by m.workspace_id, m.address_hash
on conflict (workspace_id, scope, subject) do update
  set own_id = coalesce(b.own_id, excluded.own_id), own_reason = coalesce(b.own_reason, excluded.own_reason)
returning workspace_id, subject, own_id
"""

_OWN_OF_MESSAGES = """
select m.id, b.own_id from unnest($1::uuid[], $2::uuid[]) as u (workspace_id, id)
  join messages m on m.workspace_id = u.workspace_id and m.id = u.id
  join blocks b on b.workspace_id = m.workspace_id and b.scope = 'address' and b.subject = m.address_hash
"""

_STANDING = """
select (select case when b.own_id is not null then b.own_reason else b.told_reason end from blocks b
         where b.workspace_id = k.workspace_id and (b.own_id is not null or b.told_blocked)
           and ((b.scope = 'address' and b.subject = k.address) or (b.scope = 'domain' and b.subject = k.domain))
         order by b.scope limit 1)
  from unnest($1::uuid[], $2::bytea[], $3::bytea[]) with ordinality as k (workspace_id, address, domain, n) order by n
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What contacts says of one subject."""

    workspace_id: UUID
    scope: Scope
    subject: bytes
    revision: int
    blocked: bool
    reason: str
    caused_by: UUID | None


def consent_subject(contact_id: UUID, purpose_id: UUID) -> bytes:
    """The subject of a block of one contact for one purpose."""
    return contact_id.bytes + purpose_id.bytes


async def tell(tx: Connection, told: Sequence[Told]) -> None:
    """Take over what contacts says; older revisions change nothing, but still lift a block of ours they name."""
    await tx.execute(
        _TELL,
        [t.workspace_id for t in told],
        [t.scope for t in told],
        [t.subject for t in told],
        [t.revision for t in told],
        [t.blocked for t in told],
        [t.reason for t in told],
    )
    answers = [t for t in told if t.caused_by is not None]
    if answers:
        await tx.execute(
            _ANSWER,
            [t.workspace_id for t in answers],
            [t.scope for t in answers],
            [t.subject for t in answers],
            [t.caused_by for t in answers],
        )


async def block_all(
    tx: Connection, subjects: Sequence[tuple[UUID, Scope, bytes]], block_ids: Sequence[UUID], reason: str
) -> dict[tuple[UUID, str, bytes], UUID]:
    """Block (workspace, scope, subject) by ourselves; the ids of the blocks that stand."""
    if not subjects:
        return {}
    workspaces, scopes, keys = zip(*subjects, strict=True)
    rows = await tx.fetch(_BLOCK_ALL, workspaces, scopes, keys, block_ids, reason)
    return {(row["workspace_id"], row["scope"], row["subject"]): row["own_id"] for row in rows}


async def block_addresses(
    tx: Connection, workspace_ids: list[UUID], message_ids: list[UUID], block_ids: list[UUID], reason: str
) -> dict[UUID, UUID]:
    """Block the addresses of these messages; message id → the id of the block that stands."""
    await tx.fetch(_BLOCK_ADDRESSES, workspace_ids, message_ids, block_ids, reason)
    rows: list[asyncpg.Record] = await tx.fetch(_OWN_OF_MESSAGES, workspace_ids, message_ids)
    return {row["id"]: row["own_id"] for row in rows}


async def standing(
    tx: Connection, workspace_ids: list[UUID], addresses: list[bytes], domains: list[bytes]
) -> list[str | None]:
    """Why each of these addresses, by its hash and its domain's, must not be written to; None: it may."""
    return [row[0] for row in await tx.fetch(_STANDING, workspace_ids, addresses, domains)]
