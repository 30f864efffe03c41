"""What happened to contacts: facts, keyed by their event."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from common.db.pool import Connection

# Waits for an erasure that is under way, so that the next statement sees its tombstone; and makes one that
# comes later wait, so that it sees our rows.
_MEET_ERASURE = """
select from contacts c join (select distinct w, i from unnest($1::uuid[], $2::uuid[]) as t(w, i)) t
    on c.workspace_id = t.w and c.id = t.i
 order by c.workspace_id, c.id for key share of c
"""
_INSERT = """
insert into activity (workspace_id, event_id, contact_id, type, at, campaign_id, message_id, machine)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::uuid[], $7::uuid[],
                     $8::boolean[]) as t(w, e, i, k, at, c, m, machine)
 where not exists (select from tombstones x where x.workspace_id = t.w and x.contact_id = t.i)
 order by t.w, t.e
on conflict do nothing
"""


async def add(
    tx: Connection,
    event_type: str,
    workspace_ids: Sequence[UUID],
    event_ids: Sequence[UUID],
    contact_ids: Sequence[UUID],
    times: Sequence[datetime],
    campaign_ids: Sequence[UUID | None],
    message_ids: Sequence[UUID],
    machines: Sequence[bool],
) -> None:
    """Store facts that are not stored yet, except about people who were erased."""
    await tx.fetch(_MEET_ERASURE, workspace_ids, contact_ids)
    await tx.execute(
        _INSERT,
        workspace_ids,
        event_ids,
        contact_ids,
        [event_type] * len(event_ids),
        times,
        campaign_ids,
        message_ids,
        machines,
    )
