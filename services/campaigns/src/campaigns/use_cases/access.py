"""Who may come in: members by role, and the tokens they carry."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from common.ids import new_id
from common.web.roles import scopes_of
from common.web.tokens import sign

from campaigns import events
from campaigns.db import members
from campaigns.domain.addresses import valid_address
from campaigns.errors import BeyondOwnRights, LastOwner, MemberExists, MemberNotFound, TokenNotFound


async def add_member(tx: Connection, workspace_id: UUID, email: str, name: str, role: str) -> asyncpg.Record:
    """A new member. Raises InvalidEmail for no address, MemberExists."""
    address = valid_address(email, "email")
    row = await members.insert_if_absent(tx, workspace_id, new_id(), address, name, role)
    if row is None:
        raise MemberExists(email=address)
    return row


async def require_member(tx: Connection, workspace_id: UUID, member_id: UUID, *, lock: bool = False) -> asyncpg.Record:
    """One member. Raises MemberNotFound."""
    row = await members.get(tx, workspace_id, member_id, lock=lock)
    if row is None:
        raise MemberNotFound(member_id=str(member_id))
    return row


async def change_member(tx: Connection, row: asyncpg.Record, name: str, role: str) -> asyncpg.Record:
    """Change a locked member; with another role their tokens end, which say the old one. Raises LastOwner."""
    if role != row["role"]:
        await _keep_an_owner(tx, row)
        await events.access_revoked(tx, row["workspace_id"], [("member", row["id"])], datetime.now(UTC))
        await members.revoke_tokens(tx, row["workspace_id"], row["id"])
    return await members.update(tx, row["workspace_id"], row["id"], name, role)


async def remove_member(tx: Connection, row: asyncpg.Record) -> None:
    """Remove a locked member; their tokens are worth nothing any more. Raises LastOwner."""
    await _keep_an_owner(tx, row)
    await members.remove(tx, row["workspace_id"], row["id"])
    await members.revoke_tokens(tx, row["workspace_id"], row["id"])
    await events.access_revoked(tx, row["workspace_id"], [("member", row["id"])], datetime.now(UTC))


async def issue_token(
    tx: Connection,
    signing_key: str,
    member: asyncpg.Record,
    name: str,
    ttl_s: int,
    scopes: Sequence[str] | None = None,
) -> tuple[asyncpg.Record, str]:
    """A token of a member: with their role, or with some scopes only. The token itself is not stored."""
    token_id = new_id()
    expires_at = datetime.now(UTC) + timedelta(seconds=ttl_s)
    narrowed = None if scopes is None else sorted(set(scopes))
    row = await members.insert_token(
        tx, member["workspace_id"], token_id, member["id"], name, member["role"], narrowed, expires_at
    )
    token = sign(
        signing_key,
        workspace_id=member["workspace_id"],
        subject_id=member["id"],
        role=member["role"] if narrowed is None else None,
        scopes=narrowed,
        ttl_s=ttl_s,
        token_id=token_id,
    )
    return row, token


async def revoke_token(tx: Connection, workspace_id: UUID, token_id: UUID) -> asyncpg.Record:
    """The token is worth nothing any more, in every service within seconds. Raises TokenNotFound."""
    row = await members.revoke_token(tx, workspace_id, token_id)
    if row is None:
        raise TokenNotFound(token_id=str(token_id))
    await events.access_revoked(tx, workspace_id, [("token", token_id)], datetime.now(UTC))
    return row


def require_rights(caller_scopes: frozenset[str], role: str | None, scopes: Sequence[str] | None = None) -> None:
    """Raises BeyondOwnRights if the role or scopes allow what the caller is not allowed."""
    wanted = scopes_of(None, list(scopes)) if scopes is not None else scopes_of(role, None)
    beyond = sorted(wanted - caller_scopes)
    if beyond:
        raise BeyondOwnRights(f"You do not have {beyond[0]} yourself", scopes=beyond)


async def _keep_an_owner(tx: Connection, row: asyncpg.Record) -> None:
    if row["role"] == "owner" and await members.lock_owners(tx, row["workspace_id"]) == [row["id"]]:
        raise LastOwner(mend="Make somebody else an owner first.")
