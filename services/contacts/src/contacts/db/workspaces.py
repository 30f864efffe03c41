"""The projection of workspaces: their purposes above all."""

from typing import Any
from uuid import UUID

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
