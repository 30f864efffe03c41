"""The last status of each campaign message, and how many messages of a campaign stand where."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record
from common.db.pool import Connection

from analytics.db import fared
from analytics.db.fared import SHARD

_LOCK = """
select s.workspace_id, s.message_id, s.campaign_id, s.variant_id, s.revision, s.status, s.failure, s.at,
       s.provider, s.counted
from message_status s
join unnest($1::uuid[], $2::uuid[]) as k (workspace_id, message_id)
  on s.workspace_id = k.workspace_id and s.message_id = k.message_id
order by s.workspace_id, s.message_id
for update of s
"""

_UPSERT = """
insert into message_status (workspace_id, message_id, campaign_id, variant_id, revision, status, failure, at,
                            provider, counted)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::text[],
                     $8::timestamptz[], $9::text[], $10::boolean[])
on conflict (workspace_id, message_id) do update
  set revision = excluded.revision, status = excluded.status, failure = excluded.failure, at = excluded.at,
      provider = coalesce(excluded.provider, message_status.provider), counted = excluded.counted
  where excluded.revision > message_status.revision
"""

_COUNT = f"""
insert into status_counts (workspace_id, campaign_id, variant_id, status, failure, shard, n)
select w, c, v, s, f, {SHARD}, n
from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[]) as d (w, c, v, s, f, n)
order by w, c, v, s, f
on conflict (workspace_id, campaign_id, variant_id, status, failure, shard) do update
  set n = status_counts.n + excluded.n
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Status:
    """One message's status at a revision."""

    workspace_id: UUID
    message_id: UUID
    campaign_id: UUID
    variant_id: str
    revision: int
    status: str
    failure: str
    at: datetime
    provider: str | None = None


async def apply(tx: Connection, statuses: Sequence[Status]) -> None:
    """Let the highest revision of each message stand, and move the campaign's counters accordingly."""
    latest: dict[tuple[UUID, UUID], Status] = {}
    for status in statuses:
        key = (status.workspace_id, status.message_id)
        if key not in latest or status.revision > latest[key].revision:
            latest[key] = status
    if not latest:
        return
    # One lock a message, held to the end: two consumers must not both count the same first status.
    await tx.execute(
        "select pg_advisory_xact_lock(l) from (select distinct hashtextextended(m::text, 0) % 64 as l"
        " from unnest($1::uuid[]) as m order by 1) locks",
        [message_id for _, message_id in latest],
    )
    before = {
        (row["workspace_id"], row["message_id"]): row
        for row in await tx.fetch(_LOCK, [key[0] for key in latest], [key[1] for key in latest])
    }
    moves: Counter[tuple[UUID, UUID, str, str, str]] = Counter()
    winners: list[tuple[Status, Record | None]] = []
    for key, status in sorted(latest.items()):
        old = before.get(key)
        if old is not None and old["revision"] >= status.revision:
            continue
        if old is not None:
            moves[old["workspace_id"], old["campaign_id"], old["variant_id"], old["status"], old["failure"]] -= 1
        moves[status.workspace_id, status.campaign_id, status.variant_id, status.status, status.failure] += 1
        winners.append((status, old))
    if not winners:
        return
    counted = await _count_fared(tx, winners)
    await tx.execute(
        _UPSERT,
        [s.workspace_id for s, _ in winners],
        [s.message_id for s, _ in winners],
        [s.campaign_id for s, _ in winners],
        [s.variant_id for s, _ in winners],
        [s.revision for s, _ in winners],
        [s.status for s, _ in winners],
        [s.failure for s, _ in winners],
        [s.at for s, _ in winners],
        [s.provider for s, _ in winners],
        counted,
    )
    changed = [(key, n) for key, n in moves.items() if n]
    if changed:
        columns = zip(*(key for key, _ in changed), strict=True)
        await tx.execute(_COUNT, *(list(column) for column in columns), [n for _, n in changed])


async def _count_fared(tx: Connection, winners: Sequence[tuple[Status, Record | None]]) -> list[bool]:
    """Count how mail fared, before the new statuses are stored; which of them count."""
    counts: Counter[fared.Key] = Counter()
    moved: list[tuple[fared.Message, fared.Key]] = []
    counted = []
    for status, old in winners:
        provider = status.provider if status.provider or old is None else old["provider"]
        new = fared.key_of(status.workspace_id, status.at, provider, status.status, status.failure)
        counted.append(new is not None)
        if old is not None and old["counted"]:
            was = fared.key_of(old["workspace_id"], old["at"], old["provider"], old["status"], old["failure"])
            if was == new:
                continue
            if was is not None:
                moved.append(((old["workspace_id"], old["campaign_id"], old["message_id"]), was))
        if new is not None:
            counts[new] += 1
    if moved:
        counts.update(await fared.take_out(tx, moved))
    await fared.add(tx, counts)
    return counted


async def of_campaign(tx: Connection, workspace_id: UUID, campaign_id: UUID) -> dict[tuple[str, str], int]:
    """(status, failure) → messages of the campaign that stand there."""
    rows = await tx.fetch(
        """
        select status, failure, sum(n)::bigint as n from status_counts
        where workspace_id = $1 and campaign_id = $2 group by status, failure having sum(n) <> 0
        """,
        workspace_id,
        campaign_id,
    )
    return {(row["status"], row["failure"]): row["n"] for row in rows}
