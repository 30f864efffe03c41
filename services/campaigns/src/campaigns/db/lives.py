"""The life of started campaigns, locked, changed and written back in batches."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from campaigns.domain.lifecycle import FINISHED, Hold, Life, Progress, Rejection, Totals, status

_LOCK = """
select c.workspace_id, c.id, c.wish, c.state_revision, c.running_revision, c.totals, c.progress, c.closing, c.hold,
  c.rejection, c.outcome, c.final_revision
from unnest($1::uuid[], $2::uuid[]) as wanted (workspace_id, id)
join campaigns c on c.workspace_id = wanted.workspace_id and c.id = wanted.id
where c.wish is not null
order by c.workspace_id, c.id
for update of c
"""
_STORE = """
update campaigns c set status = n.status, reason = n.reason, detail = n.detail, wish = n.wish,
  state_revision = n.state_revision, running_revision = n.running_revision, totals = n.totals,
  progress = n.progress, closing = n.closing, hold = n.hold, rejection = n.rejection, outcome = n.outcome,
  final_revision = n.final_revision, finished_at = case when n.finished then coalesce(c.finished_at, now()) end,
  revision = c.revision + 1, updated_at = now()
from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
            $9::jsonb[], $10::jsonb[], $11::jsonb[], $12::jsonb[], $13::jsonb[], $14::text[], $15::bigint[],
            $16::boolean[])
  as n (workspace_id, id, status, reason, detail, wish, state_revision, running_revision, totals, progress, closing,
        hold, rejection, outcome, final_revision, finished)
where c.workspace_id = n.workspace_id and c.id = n.id
"""


def from_row(row: asyncpg.Record) -> Life:
    """The life in a row of campaigns."""
    return Life(
        workspace_id=row["workspace_id"],
        campaign_id=row["id"],
        wish=row["wish"],
        state_revision=row["state_revision"],
        running_revision=row["running_revision"],
        totals=Totals(**row["totals"]) if row["totals"] else None,
        progress=Progress(**row["progress"]) if row["progress"] else None,
        closing=Progress(**row["closing"]) if row["closing"] else None,
        hold=Hold(**row["hold"]) if row["hold"] else None,
        rejection=Rejection(**row["rejection"]) if row["rejection"] else None,
        outcome=row["outcome"],
        final_revision=row["final_revision"],
    )


async def lock(tx: Connection, keys: Sequence[tuple[UUID, UUID]]) -> list[Life]:
    """The started ones of these (workspace, campaign), locked in one order; others are left out."""
    rows = await tx.fetch(_LOCK, [workspace for workspace, _ in keys], [campaign for _, campaign in keys])
    return [from_row(row) for row in rows]


async def store(tx: Connection, lives: Sequence[Life]) -> None:
    """Write them back, with the status that follows."""
    told = [status(life) for life in lives]
    await tx.execute(
        _STORE,
        [life.workspace_id for life in lives],
        [life.campaign_id for life in lives],
        [one[0] for one in told],
        [one[1] for one in told],
        [one[2] for one in told],
        [life.wish for life in lives],
        [life.state_revision for life in lives],
        [life.running_revision for life in lives],
        [_json(life.totals) for life in lives],
        [_json(life.progress) for life in lives],
        [_json(life.closing) for life in lives],
        [_json(life.hold) for life in lives],
        [_json(life.rejection) for life in lives],
        [life.outcome for life in lives],
        [life.final_revision for life in lives],
        [one[0] in FINISHED for one in told],
    )


def _json(value: Any) -> dict[str, Any] | None:
    return None if value is None else asdict(value)
