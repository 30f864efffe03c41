"""Contacts that may be one person."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

# Larger groups are a switchboard or a shared inbox, not one person.
MOST_ALIKE = 10

# Evidence: the same number; the same mailbox written otherwise (dots and +tags do not count); the same name, which is
# not enough by itself. What was decided stays decided.
_FIND = """
with keys as (
  select id, 'phone' as reason, phone_normalised as key, 0.6 as weight
    from contacts where workspace_id = $1 and phone_normalised is not null
  union all
  select id, 'address', replace(split_part(split_part(email_normalised, '@', 1), '+', 1), '.', '') || '@'
                        || replace(split_part(email_normalised, '@', 2), 'googlemail.com', 'gmail.com'), 0.6
    from contacts where workspace_id = $1
), groups as (
  select reason, key, weight, array_agg(id order by id) as ids from keys where key <> '' group by 1, 2, 3
  having count(*) between 2 and $2
), pairs as (
  select a.id as first_id, b.id as second_id, g.reason, g.weight
    from groups g cross join lateral unnest(g.ids) a (id) cross join lateral unnest(g.ids) b (id) where a.id < b.id
), judged as (
  select p.first_id, p.second_id, p.reason, p.weight from pairs p
  union all
  select distinct p.first_id, p.second_id, 'name', 0.3
    from pairs p join contacts a on a.workspace_id = $1 and a.id = p.first_id
    join contacts b on b.workspace_id = $1 and b.id = p.second_id
   where fold(coalesce(a.first_name, '') || coalesce(a.last_name, '')) <> ''
     and fold(coalesce(a.first_name, '') || coalesce(a.last_name, ''))
         = fold(coalesce(b.first_name, '') || coalesce(b.last_name, ''))
), found as (
  select first_id, second_id, least(sum(weight), 1)::real as score, array_agg(reason order by reason) as reasons
    from judged group by 1, 2
), gone as (
  delete from duplicate_pairs d where d.workspace_id = $1 and d.decision is null
     and not exists (select from found f where f.first_id = d.first_id and f.second_id = d.second_id))
insert into duplicate_pairs as d (workspace_id, first_id, second_id, score, reasons)
select $1, first_id, second_id, score, reasons from found
on conflict (workspace_id, first_id, second_id) do update set score = excluded.score, reasons = excluded.reasons
 where d.decision is null and (d.score, d.reasons) is distinct from (excluded.score, excluded.reasons)
"""

_PAGE = """
select d.first_id, d.second_id, d.score, d.reasons, d.found_at, a.email as first_email, b.email as second_email,
       a.first_name as first_first_name, a.last_name as first_last_name,
       b.first_name as second_first_name, b.last_name as second_last_name
  from duplicate_pairs d join contacts a on a.workspace_id = d.workspace_id and a.id = d.first_id
  join contacts b on b.workspace_id = d.workspace_id and b.id = d.second_id
 where d.workspace_id = $1 and d.decision is null
   and ($2::real is null or (d.score, d.first_id, d.second_id) < ($2, $3::uuid, $4::uuid))
 order by d.score desc, d.first_id desc, d.second_id desc limit $5
"""

_DECIDE = """
insert into duplicate_pairs as d (workspace_id, first_id, second_id, score, reasons, decision, decided_by, decided_at)
values ($1, least($2::uuid, $3::uuid), greatest($2::uuid, $3::uuid), 0, '{}', $4, $5, now())
on conflict (workspace_id, first_id, second_id) do update
   set decision = excluded.decision, decided_by = excluded.decided_by, decided_at = now()
"""


async def find(tx: Connection, workspace_id: UUID) -> None:
    """Look for pairs in a whole workspace; undecided ones for which nothing speaks any more go."""
    await tx.execute("set local work_mem = '128MB'")
    await tx.execute(_FIND, workspace_id, MOST_ALIKE)


async def page(tx: Connection, workspace_id: UUID, after: Sequence[Any] | None, limit: int) -> list[asyncpg.Record]:
    """Undecided pairs, the likeliest first."""
    score, first_id, second_id = after or (None, None, None)
    return await tx.fetch(_PAGE, workspace_id, score, first_id, second_id, limit)


async def different(tx: Connection, workspace_id: UUID, one: UUID, other: UUID, actor: str) -> None:
    """They are two people, and are not suggested again."""
    await tx.execute(_DECIDE, workspace_id, one, other, "different", actor)


async def merged(tx: Connection, workspace_id: UUID, one: UUID, other: UUID, actor: str) -> None:
    """They were one person."""
    await tx.execute(_DECIDE, workspace_id, one, other, "merged", actor)


async def reopen(tx: Connection, workspace_id: UUID, one: UUID, other: UUID) -> None:
    """The merge was taken back: who did that knows that they are two."""
    await tx.execute(_DECIDE, workspace_id, one, other, "different", "merge taken back")


async def workspaces(tx: Connection) -> list[UUID]:
    """Every workspace."""
    return [row["workspace_id"] for row in await tx.fetch("select workspace_id from workspaces order by 1")]
