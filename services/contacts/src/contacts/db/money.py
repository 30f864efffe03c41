"""Contacts' money: reckoned anew from the conversions of whomever one was told of, so that any order gives the same."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from common.db.pool import Connection


class Told(NamedTuple):
    """A conversion as analytics told it last."""

    workspace_id: UUID
    id: UUID
    contact_id: UUID
    amount: Decimal
    currency: str
    at: datetime
    counts: bool
    revision: int


# Whom each contact is now, locked: nobody else reckons, erases or merges them before the transaction ends. The next
# statement sees what whoever was waited for has done.
_LOCK = """
select from contacts c
  join (select distinct t.w, coalesce(a.contact_id, t.i) as id from unnest($1::uuid[], $2::uuid[]) as t (w, i)
          left join contact_aliases a on a.workspace_id = t.w and a.alias_id = t.i) t
    on c.workspace_id = t.w and c.id = t.id
 order by c.workspace_id, c.id for no key update of c
"""
# One that is known stays with whom a merge has given it to.
_PUT = """
insert into conversions as k (workspace_id, id, contact_id, amount, currency, at, counts, revision)
select t.w, t.id, c.id, t.amount, t.currency, t.at, t.counts, t.revision
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::numeric[], $5::text[], $6::timestamptz[], $7::boolean[],
              $8::bigint[]) as t (w, id, contact_id, amount, currency, at, counts, revision)
  left join contact_aliases a on a.workspace_id = t.w and a.alias_id = t.contact_id
  join contacts c on c.workspace_id = t.w and c.id = coalesce(a.contact_id, t.contact_id)
 order by t.w, t.id
on conflict (workspace_id, id) do update
  set amount = excluded.amount, currency = excluded.currency, at = excluded.at, counts = excluded.counts,
      revision = excluded.revision
  where excluded.revision > k.revision
returning workspace_id, contact_id
"""
_RECKON = """
with people as (select distinct w, c from unnest($1::uuid[], $2::uuid[]) as t (w, c)),
sums as (
  select k.workspace_id, k.contact_id, k.currency, count(*) as conversions, sum(k.amount) as total, max(k.at) as last_at
    from people p join conversions k on k.workspace_id = p.w and k.contact_id = p.c
   where k.counts group by 1, 2, 3),
none as (
  delete from contact_money m using people p
   where m.workspace_id = p.w and m.contact_id = p.c
     and not exists (select from sums s where s.workspace_id = m.workspace_id and s.contact_id = m.contact_id
                                          and s.currency = m.currency))
insert into contact_money as m (workspace_id, contact_id, currency, conversions, total, last_at)
select * from sums order by 1, 2, 3
on conflict (workspace_id, contact_id, currency) do update
  set conversions = excluded.conversions, total = excluded.total, last_at = excluded.last_at
  where (m.conversions, m.total, m.last_at) is distinct from (excluded.conversions, excluded.total, excluded.last_at)
"""


async def put(tx: Connection, told: Sequence[Told]) -> None:
    """Let the highest revision of each conversion stand; one row for each. Unknown and erased people have none."""
    columns = [list(column) for column in zip(*told, strict=True)]
    await tx.execute(_LOCK, columns[0], columns[2])
    changed = await tx.fetch(_PUT, *columns)
    if changed:
        touched = [row["workspace_id"] for row in changed], [row["contact_id"] for row in changed]
        await tx.execute(_LOCK, *touched)  # those, too, whom others have become since the first look
        await reckon(tx, *touched)


async def reckon(tx: Connection, workspace_ids: Sequence[UUID], contact_ids: Sequence[UUID]) -> None:
    """Number, sum and last date for each currency, of contacts that are locked."""
    await tx.execute(_RECKON, workspace_ids, contact_ids)
