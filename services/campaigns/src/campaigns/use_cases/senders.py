"""Senders: identities that mail comes from."""

from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from common.ids import new_id

from campaigns import events
from campaigns.db import senders
from campaigns.domain.addresses import valid_address
from campaigns.errors import SenderInUse, SenderNotFound


async def create(tx: Connection, workspace_id: UUID, name: str, email: str, reply_to: str | None) -> asyncpg.Record:
    """A new sender. Raises InvalidEmail."""
    row = await senders.insert(tx, workspace_id, new_id(), name, valid_address(email, "email"), _reply_to(reply_to))
    await events.sender_changed(tx, row)
    return row


async def require(tx: Connection, workspace_id: UUID, sender_id: UUID, *, lock: bool = False) -> asyncpg.Record:
    """The sender. Raises SenderNotFound."""
    row = await senders.get(tx, workspace_id, sender_id, lock=lock)
    if row is None:
        raise SenderNotFound(sender_id=str(sender_id))
    return row


async def change(tx: Connection, row: asyncpg.Record, changes: dict[str, Any]) -> asyncpg.Record:
    """Change a locked sender; campaigns that are running keep what they started with. Raises InvalidEmail."""
    values = {column: row[column] for column in ("name", "email", "reply_to")}
    wanted = values | changes
    wanted["email"] = valid_address(wanted["email"], "email")
    wanted["reply_to"] = _reply_to(wanted["reply_to"])
    if wanted == values:
        return row
    changed = await senders.update(tx, row["workspace_id"], row["id"], **wanted)
    await events.sender_changed(tx, changed)
    return changed


async def delete(tx: Connection, row: asyncpg.Record) -> None:
    """Delete a locked sender. Raises SenderInUse while a scheduled campaign waits with it."""
    if await senders.is_scheduled(tx, row["workspace_id"], row["id"]):
        raise SenderInUse(
            "a scheduled campaign uses this sender", mend="Give that campaign another sender, or take its time away."
        )
    await events.sender_changed(tx, await senders.delete(tx, row["workspace_id"], row["id"]))


def _reply_to(address: str | None) -> str | None:
    return None if address is None else valid_address(address, "reply_to")
