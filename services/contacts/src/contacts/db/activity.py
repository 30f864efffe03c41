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
select w, e, coalesce(a.contact_id, i), k, at, c, m, coalesce(r.machine, t.machine)
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::uuid[], $7::uuid[],
              $8::boolean[]) as t(w, e, i, k, at, c, m, machine)
  left join reclassified r on r.workspace_id = t.w and r.event_id = t.e
  left join contact_aliases a on a.workspace_id = t.w and a.alias_id = t.i
 where not exists (select from tombstones x where x.workspace_id = t.w and x.contact_id in (t.i, a.contact_id))
 order by t.w, t.e
on conflict do nothing
"""

# A click and its new verdict may be handled side by side: whoever comes second sees what the first one wrote.
_LOCK = """
select pg_advisory_xact_lock(l) from (
  select distinct hashtextextended('activity' || e::text, 0) as l from unnest($1::uuid[]) as e order by 1) locks
"""
_RECLASSIFY = """
insert into reclassified as r (workspace_id, event_id, machine, revision)
select distinct on (w, e) w, e, machine, revision
  from unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::bigint[]) as t(w, e, machine, revision)
 order by w, e, revision desc
on conflict (workspace_id, event_id) do update set machine = excluded.machine, revision = excluded.revision
  where excluded.revision > r.revision
"""
_FOLLOW = """
update activity a set machine = r.machine from reclassified r, unnest($1::uuid[], $2::uuid[]) as t(w, e)
 where r.workspace_id = t.w and r.event_id = t.e and a.workspace_id = t.w and a.event_id = t.e
   and a.machine <> r.machine
"""


async def lock(tx: Connection, event_ids: Sequence[UUID]) -> None:
    """Nobody else writes about these events until the transaction ends."""
    await tx.execute(_LOCK, event_ids)


async def reclassify(
    tx: Connection,
    workspace_ids: Sequence[UUID],
    event_ids: Sequence[UUID],
    machines: Sequence[bool],
    revisions: Sequence[int],
) -> None:
    """Let the highest revision of each event's verdict stand, on what is here and on what comes later."""
    await tx.execute(_RECLASSIFY, workspace_ids, event_ids, machines, revisions)
    await tx.execute(_FOLLOW, workspace_ids, event_ids)


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
