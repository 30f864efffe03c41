"""Where contacts stand with segments."""

from collections.abc import Sequence

from common.contracts.envelope import Received
from common.contracts.leads import SegmentMove
from common.db.pool import Connection

_PUT = """
insert into segment_moves as s (workspace_id, contact_id, segment_id, inside, cause, at, revision)
select m.w, m.c, m.s, $7, m.cause, m.at, m.revision
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::bigint[])
       as m (w, c, s, cause, at, revision)
 where not exists (select from tombstones t where t.workspace_id = m.w and t.contact_id = m.c)
on conflict (workspace_id, contact_id, segment_id) do update
  set inside = excluded.inside, cause = excluded.cause, at = excluded.at, revision = excluded.revision
  where excluded.revision > s.revision
"""


async def put(tx: Connection, moves: Sequence[Received[SegmentMove]], *, inside: bool) -> None:
    """One move for each contact and segment; erased people never come back."""
    await tx.execute(
        _PUT,
        [event.workspace_id for event in moves],
        [event.data.contact_id for event in moves],
        [event.data.segment_id for event in moves],
        [event.data.cause for event in moves],
        [event.time for event in moves],
        [event.data.revision for event in moves],
        inside,
    )
