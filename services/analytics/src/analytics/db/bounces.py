"""Messages that came back after they were sent: one verdict each, the same in whatever order the events come."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.db.pool import Connection

from analytics.db import fared

# A hard bounce is the last word; of two alike the earlier one stands.
_PUT = """
insert into bounces as b (workspace_id, message_id, campaign_id, bounce, reason, at, event_id)
select distinct on (w, m) w, m, c, k, r, t, e
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::uuid[])
         as n (w, m, c, k, r, t, e)
 order by w, m, k = 'hard' desc, t, e
on conflict (workspace_id, message_id) do update
  set bounce = excluded.bounce, reason = excluded.reason, at = excluded.at, event_id = excluded.event_id
  where (excluded.bounce <> 'hard', excluded.at, excluded.event_id) < (b.bounce <> 'hard', b.at, b.event_id)
"""

_OF_CAMPAIGN = """
select bounce, reason, count(*) as n from bounces where workspace_id = $1 and campaign_id = $2 group by 1, 2
"""


@dataclass(frozen=True, slots=True)
class Bounce:
    """One event."""

    workspace_id: UUID
    message_id: UUID
    campaign_id: UUID
    bounce: str
    reason: str
    at: datetime
    event_id: UUID


async def put(tx: Connection, bounces: Sequence[Bounce]) -> None:
    """Let the gravest, then the earliest bounce of each message stand, and count it."""
    await tx.execute(
        _PUT,
        [b.workspace_id for b in bounces],
        [b.message_id for b in bounces],
        [b.campaign_id for b in bounces],
        [b.bounce for b in bounces],
        [b.reason for b in bounces],
        [b.at for b in bounces],
        [b.event_id for b in bounces],
    )
    if bounces:
        await fared.lock(tx)
        await fared.count_bounces(tx, sorted({(b.workspace_id, b.message_id) for b in bounces}))


async def of_campaign(tx: Connection, workspace_id: UUID, campaign_id: UUID) -> dict[tuple[str, str], int]:
    """(bounce, reason) → messages of the campaign that came back so."""
    rows = await tx.fetch(_OF_CAMPAIGN, workspace_id, campaign_id)
    return {(row["bounce"], row["reason"]): row["n"] for row in rows}
