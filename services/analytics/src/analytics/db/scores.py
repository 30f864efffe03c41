"""Scores and the events they come from."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record
from common.db.pool import Connection

from analytics.domain.scoring import Score

REASONS_KEPT = 5
EVENTS_READ = 500

_ADD = """
with given as (
  select g.* from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[])
    as g (workspace_id, contact_id, event_id, type, at, due_at)
  where not exists (select from tombstones t where t.workspace_id = g.workspace_id and t.contact_id = g.contact_id)
), added as (
  insert into score_events (workspace_id, contact_id, event_id, type, at, counts_at)
  select workspace_id, contact_id, event_id, type, at, due_at from given
  order by workspace_id, contact_id, event_id
  on conflict do nothing
  returning workspace_id, contact_id, event_id
)
insert into score_due (workspace_id, contact_id, due_at)
select distinct g.workspace_id, g.contact_id, date_trunc('second', g.due_at) + interval '1 second'
from given g join added a using (workspace_id, contact_id, event_id)
order by 1, 2, 3
on conflict do nothing
"""

_NOTE_DUE = """
insert into score_due (workspace_id, contact_id, due_at)
select w, c, now() from unnest($1::uuid[], $2::uuid[]) as p (w, c)
 where exists (select from score_events e where e.workspace_id = w and e.contact_id = c)
on conflict do nothing
"""

_TAKE = """
delete from score_due d using (
  select workspace_id, contact_id, due_at from score_due where due_at <= now()
  order by due_at limit $1 for update skip locked
) due
where d.workspace_id = due.workspace_id and d.contact_id = due.contact_id and d.due_at = due.due_at
returning d.workspace_id, coalesce((select m.contact_id from merged m where m.workspace_id = d.workspace_id
                                       and m.merged_id = d.contact_id and m.active), d.contact_id) as contact_id
"""

# The highest revision stands. Both are scored anew: the one with the other's events, or without them; the other by
# itself again. While it is merged its score stays as it is, for its revision, and is not shown.
_MERGE = """
with told as (
  insert into merged as m (workspace_id, merged_id, contact_id, active, revision)
  select distinct on (w, g) w, g, c, active, revision
    from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::boolean[], $5::bigint[]) as t (w, g, c, active, revision)
   order by w, g, revision desc
  on conflict (workspace_id, merged_id) do update
     set contact_id = excluded.contact_id, active = excluded.active, revision = excluded.revision
   where excluded.revision > m.revision
  returning workspace_id, merged_id, contact_id, active
)
insert into score_due (workspace_id, contact_id, due_at)
select distinct t.workspace_id, p.id, now()
  from told t cross join lateral unnest(array[t.contact_id, t.merged_id]) p (id)
 where exists (select from score_events e where e.workspace_id = t.workspace_id
                and e.contact_id in (t.contact_id, t.merged_id))
   and not (t.active and p.id = t.merged_id)
 order by 1, 2
on conflict do nothing
"""

_EVENTS = """
select e.* from unnest($1::uuid[], $2::uuid[]) as k (workspace_id, contact_id)
 cross join lateral (
   select k.workspace_id, k.contact_id, s.event_id, s.type, s.at from score_events s
    where s.workspace_id = k.workspace_id and s.counts_at <= now()
      and s.contact_id = any(array(select k.contact_id union all
                                   select m.merged_id from merged m where m.workspace_id = k.workspace_id
                                                                     and m.contact_id = k.contact_id and m.active))
      and not exists (select from clicks c where c.workspace_id = s.workspace_id and c.event_id = s.event_id
                                             and c.rule is not null)
    order by s.at desc, s.event_id limit $3
 ) e
"""

_SAVE = """
insert into lead_scores (workspace_id, contact_id, revision, score, grade, reasons, updated_at)
select s.workspace_id, s.contact_id, 1, s.score, s.grade, string_to_array(s.reasons, ','), now()
from unnest($1::uuid[], $2::uuid[], $3::float8[], $4::text[], $5::text[])
  as s (workspace_id, contact_id, score, grade, reasons)
order by 1, 2
on conflict (workspace_id, contact_id) do update
  set revision = lead_scores.revision + 1, score = excluded.score, grade = excluded.grade,
      reasons = excluded.reasons, updated_at = now()
  where lead_scores.score <> excluded.score or lead_scores.grade <> excluded.grade
returning workspace_id, contact_id, revision, score, grade, reasons
"""


async def add_events(
    tx: Connection,
    keys: Sequence[tuple[UUID, UUID, UUID]],
    types: Sequence[str],
    at: Sequence[datetime],
    due_at: Sequence[datetime],
) -> None:
    """Store events that may count, by (workspace, contact, event id), and note when each contact is to be scored."""
    workspaces, contacts, events = zip(*keys, strict=True)
    await tx.execute(_ADD, workspaces, contacts, events, types, at, due_at)


async def note_due(tx: Connection, people: Sequence[tuple[UUID, UUID]]) -> None:
    """These (workspace, contact) are to be scored anew, if they ever had a score."""
    workspaces, contacts = zip(*people, strict=True)
    await tx.execute(_NOTE_DUE, workspaces, contacts)


async def take_due(tx: Connection, limit: int) -> list[tuple[UUID, UUID]]:
    """(workspace, contact) pairs whose time has come; gone from the list when the transaction commits."""
    return sorted({(row["workspace_id"], row["contact_id"]) for row in await tx.fetch(_TAKE, limit)})


async def events_of(tx: Connection, pairs: Sequence[tuple[UUID, UUID]]) -> list[Record]:
    """The newest events of each contact, and of those merged into it, that count by now: at most 500."""
    workspaces, contacts = zip(*pairs, strict=True)
    return await tx.fetch(
        _EVENTS,
        workspaces,
        contacts,
        EVENTS_READ,
    )


async def merge(
    tx: Connection,
    workspace_ids: Sequence[UUID],
    merged_ids: Sequence[UUID],
    contact_ids: Sequence[UUID],
    active: Sequence[bool],
    revisions: Sequence[int],
) -> None:
    """Contacts became others, or are themselves again; the highest revision of each stands."""
    await tx.execute(_MERGE, workspace_ids, merged_ids, contact_ids, active, revisions)


async def save(tx: Connection, scores: Sequence[tuple[UUID, UUID, Score]]) -> list[Record]:
    """Store scores; the rows that changed, with their new revision."""
    return await tx.fetch(
        _SAVE,
        [workspace_id for workspace_id, _, _ in scores],
        [contact_id for _, contact_id, _ in scores],
        [score.value for _, _, score in scores],
        [score.grade for _, _, score in scores],
        [",".join(dict.fromkeys(r.rule for r in score.reasons[:REASONS_KEPT])) for _, _, score in scores],
    )


async def page(tx: Connection, workspace_id: UUID, limit: int, after: tuple[Any, ...] | None) -> list[Record]:
    """Scored contacts, the highest first, after (score, contact id)."""
    score, contact_id = after if after else (float("inf"), UUID(int=2**128 - 1))
    return await tx.fetch(
        """
        select contact_id, score, grade, reasons, revision, updated_at from lead_scores
        where workspace_id = $1 and (score, contact_id) < ($2::float8, $3::uuid)
          and not exists (select from merged m where m.workspace_id = lead_scores.workspace_id and m.active
                                                 and m.merged_id = lead_scores.contact_id)
        order by score desc, contact_id desc limit $4
        """,
        workspace_id,
        score,
        contact_id,
        limit,
    )


async def forget(tx: Connection, workspace_ids: Sequence[UUID], contact_ids: Sequence[UUID]) -> None:
    """Delete the scores of erased people, and what they came from."""
    await tx.execute(
        """
        delete from merged d using unnest($1::uuid[], $2::uuid[]) as e (workspace_id, contact_id)
        where d.workspace_id = e.workspace_id and d.merged_id = e.contact_id
        """,
        workspace_ids,
        contact_ids,
    )
    for table in ("score_due", "score_events", "lead_scores"):
        await tx.execute(
            f"""
            delete from {table} d using unnest($1::uuid[], $2::uuid[]) as e (workspace_id, contact_id)
            where d.workspace_id = e.workspace_id and d.contact_id = e.contact_id
            """,  # noqa: S608
            workspace_ids,
            contact_ids,
        )


async def prune(tx: Connection, older_than_days: int) -> None:
    """Delete events so old that nothing is left of their points."""
    await tx.execute("delete from score_events where at < now() - make_interval(days => $1)", older_than_days)
