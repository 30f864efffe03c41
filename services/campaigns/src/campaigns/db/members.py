"""Rows of members and of their tokens."""

from datetime import datetime
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from campaigns.db.returning import returning

_INSERT = """
insert into members (workspace_id, id, email, name, role) values ($1, $2, $3, $4, $5)
on conflict (workspace_id, email) where removed_at is null do nothing
returning *
"""
_GET = "select * from members where workspace_id = $1 and id = $2 and removed_at is null"
_BY_EMAIL = "select * from members where workspace_id = $1 and email = $2 and removed_at is null"
_PAGE = """
select * from members where workspace_id = $1 and removed_at is null and ($2::uuid is null or id < $2)
order by id desc limit $3
"""
_UPDATE = """
update members set name = $3, role = $4, revision = revision + 1, updated_at = now()
where workspace_id = $1 and id = $2
returning *
"""
_REMOVE = "update members set removed_at = now(), revision = revision + 1 where workspace_id = $1 and id = $2"
_REVOKE_ALL = """
update tokens set revoked_at = now() where workspace_id = $1 and member_id = $2 and revoked_at is null
"""
_OWNERS = """
select id from members where workspace_id = $1 and role = 'owner' and removed_at is null order by id for update
"""
_INSERT_ISSUED = """
insert into tokens (workspace_id, id, member_id, name, role, scopes, expires_at)
values ($1, $2, $3, $4, $5, $6, $7)
returning *
"""
_TOKENS = """
select * from tokens where workspace_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3
"""
_REVOKE = """
update tokens set revoked_at = coalesce(revoked_at, now()) where workspace_id = $1 and id = $2 returning *
"""


async def insert_if_absent(
    tx: Connection, workspace_id: UUID, member_id: UUID, email: str, name: str, role: str
) -> asyncpg.Record | None:
    """A new member, or None if the address is taken."""
    return await tx.fetchrow(_INSERT, workspace_id, member_id, email, name, role)


async def get(tx: Connection, workspace_id: UUID, member_id: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    """One member who was not removed."""
    return await tx.fetchrow(_GET + (" for update" if lock else ""), workspace_id, member_id)


async def by_email(tx: Connection, workspace_id: UUID, email: str) -> asyncpg.Record | None:
    """The member with an address."""
    return await tx.fetchrow(_BY_EMAIL, workspace_id, email)


async def page(tx: Connection, workspace_id: UUID, after: UUID | None, limit: int) -> list[asyncpg.Record]:
    """Newest first, from after an id."""
    return await tx.fetch(_PAGE, workspace_id, after, limit)


async def update(tx: Connection, workspace_id: UUID, member_id: UUID, name: str, role: str) -> asyncpg.Record:
    """Store name and role anew."""
    return await returning(tx, _UPDATE, workspace_id, member_id, name, role)


async def remove(tx: Connection, workspace_id: UUID, member_id: UUID) -> None:
    """Remove a member; the row stays for the tokens that name it."""
    await tx.execute(_REMOVE, workspace_id, member_id)


async def revoke_tokens(tx: Connection, workspace_id: UUID, member_id: UUID) -> None:
    """Mark every token of a member as revoked."""
    await tx.execute(_REVOKE_ALL, workspace_id, member_id)


async def lock_owners(tx: Connection, workspace_id: UUID) -> list[UUID]:
    """The owners, locked, so that two requests cannot each remove the other's last one."""
    return [row["id"] for row in await tx.fetch(_OWNERS, workspace_id)]


async def insert_token(
    tx: Connection,
    workspace_id: UUID,
    token_id: UUID,
    member_id: UUID,
    name: str,
    role: str,
    scopes: list[str] | None,
    expires_at: datetime,
) -> asyncpg.Record:
    """What is known about a token; the token itself is not stored."""
    return await returning(tx, _INSERT_ISSUED, workspace_id, token_id, member_id, name, role, scopes, expires_at)


async def tokens(tx: Connection, workspace_id: UUID, after: UUID | None, limit: int) -> list[asyncpg.Record]:
    """Newest first, from after an id."""
    return await tx.fetch(_TOKENS, workspace_id, after, limit)


async def revoke_token(tx: Connection, workspace_id: UUID, token_id: UUID) -> asyncpg.Record | None:
    """Mark as revoked; a second time changes nothing."""
    return await tx.fetchrow(_REVOKE, workspace_id, token_id)
