"""Lists, as far as adding contacts to them needs."""

from collections.abc import Sequence
from uuid import UUID

from common.db.pool import Connection


async def unknown(tx: Connection, workspace_id: UUID, list_ids: Sequence[UUID]) -> list[UUID]:
    """Those of the ids that are no list of this workspace."""
    rows = await tx.fetch(
        "select wanted.id from unnest($2::uuid[]) wanted(id) where not exists"
        " (select from lists l where l.workspace_id = $1 and l.id = wanted.id and not l.deleted)",
        workspace_id,
        list_ids,
    )
    return [row["id"] for row in rows]
