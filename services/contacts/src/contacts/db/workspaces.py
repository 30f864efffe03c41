"""The projection of workspaces: their purposes above all."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
from common.contracts.campaigns import WorkspaceChangedV1
from common.db.pool import Connection
from common.ids import purpose_id

NEWSLETTER = "newsletter"


async def purposes(tx: Connection, workspace_id: UUID) -> list[dict[str, Any]]:
    """The workspace's purposes. Every workspace is born with `newsletter`, before its first event came."""
    found: list[dict[str, Any]] | None = await tx.fetchval(
        "select purposes from workspaces where workspace_id = $1", workspace_id
    )
    known = list(found or [])
    if not any(purpose["key"] == NEWSLETTER for purpose in known):
        known.append({"id": str(purpose_id(workspace_id, NEWSLETTER)), "key": NEWSLETTER, "version": 1, "wording": {}})
    return known


async def time_zone(tx: Connection, workspace_id: UUID) -> str | None:
    """The workspace's time zone; None before its first event came."""
    found: str | None = await tx.fetchval("select time_zone from workspaces where workspace_id = $1", workspace_id)
    return found


async def get(tx: Connection, workspace_id: UUID) -> asyncpg.Record | None:
    """The workspace, if it was told of yet."""
    return await tx.fetchrow("select * from workspaces where workspace_id = $1", workspace_id)


_PUT = """
insert into workspaces (workspace_id, name, postal_address, tracking_mode, languages, time_zone, weekend, purposes,
                        revision)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (workspace_id) do update
   set name = excluded.name, postal_address = excluded.postal_address, tracking_mode = excluded.tracking_mode,
       languages = excluded.languages, time_zone = excluded.time_zone, weekend = excluded.weekend,
       purposes = excluded.purposes, revision = excluded.revision
 where excluded.revision > workspaces.revision
"""


async def put(tx: Connection, states: Sequence[WorkspaceChangedV1]) -> None:
    """Store workspaces whole, one state each; an older revision changes nothing."""
    await tx.executemany(
        _PUT,
        [
            (
                state.workspace_id,
                state.name,
                state.postal_address,
                state.tracking_mode,
                state.languages,
                state.time_zone,
                state.weekend,
                [purpose.model_dump(mode="json") for purpose in state.purposes],
                state.revision,
            )
            for state in states
        ],
    )
