"""Workspaces and the purposes they mail for."""

from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from common.ids import purpose_id

from campaigns import events
from campaigns.db import purposes, workspaces
from campaigns.errors import PurposeExists, WorkspaceNotFound

NEWSLETTER = "newsletter"
BORN_WITH: dict[str, Any] = {
    "postal_address": None,
    "tracking_mode": "none",
    "languages": ["en"],
    "time_zone": "UTC",
    "weekend": None,
    "sender_policy": "warn",
}


async def create(tx: Connection, workspace_id: UUID, values: dict[str, Any]) -> asyncpg.Record | None:
    """A workspace with the purpose `newsletter`; None if it exists. What is not given gets the defaults."""
    row = await workspaces.insert_if_absent(tx, workspace_id, {**BORN_WITH, **values})
    if row is None:
        return None
    await purposes.insert_if_absent(tx, workspace_id, purpose_id(workspace_id, NEWSLETTER), NEWSLETTER, {})
    await events.workspace_changed(tx, row)
    return row


async def require(tx: Connection, workspace_id: UUID, *, lock: bool = False) -> asyncpg.Record:
    """The workspace. Raises WorkspaceNotFound."""
    row = await workspaces.get(tx, workspace_id, lock=lock)
    if row is None:
        raise WorkspaceNotFound(workspace_id=str(workspace_id))
    return row


async def change(tx: Connection, row: asyncpg.Record, changes: dict[str, Any]) -> asyncpg.Record:
    """Change a locked workspace; without a difference nothing is told."""
    values = {column: row[column] for column in workspaces.COLUMNS}
    if values == values | changes:
        return row
    changed = await workspaces.update(tx, row["workspace_id"], values | changes)
    await events.workspace_changed(tx, changed)
    return changed


async def add_purpose(tx: Connection, workspace_id: UUID, key: str, wording: dict[str, str]) -> asyncpg.Record:
    """One more purpose; told with its workspace. Raises PurposeExists."""
    await require(tx, workspace_id, lock=True)
    row = await purposes.insert_if_absent(tx, workspace_id, purpose_id(workspace_id, key), key, wording)
    if row is None:
        raise PurposeExists(f"there is a purpose {key!r} already", key=key)
    await events.workspace_changed(tx, await workspaces.touch(tx, workspace_id))
    return row


async def reword_purpose(
    tx: Connection, workspace_id: UUID, row: asyncpg.Record, wording: dict[str, str]
) -> asyncpg.Record:
    """New wording of a locked purpose, as a new version; the same wording changes nothing."""
    if row["wording"] == wording:
        return row
    changed = await purposes.reword(tx, workspace_id, row["id"], wording)
    await events.workspace_changed(tx, await workspaces.touch(tx, workspace_id))
    return changed
