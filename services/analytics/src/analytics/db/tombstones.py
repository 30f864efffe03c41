"""Erased people: ids only, for ever, so that late and repeated events cannot bring them back."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from asyncpg import Record
from common.db.pool import Connection


async def bury(
    tx: Connection,
    part: Literal["ingest", "scoring"],
    keys: Sequence[tuple[UUID, UUID, UUID]],
) -> list[Record]:
    """Note that this consumer has forgotten (workspace, contact, request); rows for which both now have."""
    workspaces, contacts, requests = zip(*keys, strict=True)
    done = f"{part}_done"
    return await tx.fetch(
        f"""
        insert into tombstones (workspace_id, contact_id, request_id, {done})
        select distinct on (1, 2) w, c, r, true from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as t (w, c, r)
        order by 1, 2
        on conflict (workspace_id, contact_id) do update set {done} = true
        returning workspace_id, contact_id, request_id, ingest_done and scoring_done as both_done
        """,  # noqa: S608
        workspaces,
        contacts,
        requests,
    )
