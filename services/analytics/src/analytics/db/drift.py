"""delivery's ledger beside what its events came to here: of a closed campaign, the two must be the same."""

from collections.abc import Sequence
from datetime import timedelta

from common.contracts.delivery import DeliveryProgressedV1
from common.contracts.envelope import Received
from common.db.pool import Connection

SETTLED = timedelta(minutes=1)  # by then the events that the ledger told before have come
LOOKED_AT = timedelta(days=7)

# `cancelled` is told by no event: nobody was written to.
_DRIFT = """
with told as (
  select t.workspace_id, t.campaign_id, s.status, s.n from ledger_told t
  cross join lateral (values ('sent', t.sent), ('failed', t.failed), ('suppressed', t.suppressed),
                             ('uncertain', t.uncertain), ('expired', t.expired)) as s (status, n)
  where t.final and t.at between now() - $1::interval and now() - $2::interval
), found as (
  select c.workspace_id, c.campaign_id, c.status, sum(c.n) as n from status_counts c
  where (c.workspace_id, c.campaign_id) in (select workspace_id, campaign_id from told)
  group by 1, 2, 3
)
select coalesce(sum(abs(told.n - coalesce(found.n, 0))), 0)::bigint
from told left join found using (workspace_id, campaign_id, status)
"""


async def keep_told(tx: Connection, events: Sequence[Received[DeliveryProgressedV1]]) -> None:
    """The newest revision of each campaign's ledger stands."""
    await tx.executemany(
        """
        insert into ledger_told (workspace_id, campaign_id, revision, final, sent, failed, suppressed, uncertain,
                                 expired, at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, now())
        on conflict (workspace_id, campaign_id) do update
          set revision = excluded.revision, final = excluded.final, sent = excluded.sent, failed = excluded.failed,
              suppressed = excluded.suppressed, uncertain = excluded.uncertain, expired = excluded.expired, at = now()
          where excluded.revision > ledger_told.revision
        """,
        [
            (
                event.workspace_id,
                event.data.campaign_id,
                event.data.revision,
                event.data.final,
                event.data.sent,
                sum(event.data.failed.values()),
                event.data.suppressed,
                event.data.uncertain,
                event.data.expired,
            )
            for event in sorted(events, key=lambda one: (one.workspace_id, one.data.campaign_id))
        ],
    )


async def drift(tx: Connection, settled: timedelta = SETTLED) -> int:
    """Messages that stand elsewhere here than in the ledger, over the campaigns closed in the last seven days."""
    found: int = await tx.fetchval(_DRIFT, LOOKED_AT, settled)
    return found
