"""Which contacts are to be looked at, and writing what was concluded."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

# A file is looked at when it is stored whole: its import is not to share the machine with this.
_BEGIN = """
select now() as at, case when s.rules = $2 then s.seen_until end as since
  from (select $1::uuid as workspace_id) w left join enrichment_states s using (workspace_id)
 where not exists (select from imports where workspace_id = $1 and status = 'running')
"""
_SEEN = """
insert into enrichment_states (workspace_id, rules, seen_until) values ($1, $2, $3)
on conflict (workspace_id) do update set rules = excluded.rules, seen_until = excluded.seen_until
"""
_INPUTS = "id, email_normalised, phone_normalised, country, company, city, city_normalised, provenance, flags"
_CHANGED = f"""
select {_INPUTS} from contacts
 where workspace_id = $1 and id > $2 and updated_at >= $3 order by id limit $4
"""  # noqa: S608
_LOCK = f"""
select {_INPUTS} from contacts where workspace_id = $1 and id = any($2::uuid[]) order by id for update
"""  # noqa: S608
# What nobody else is told of is no new revision. `enrichments` counts ours: they are not what somebody did.
_WRITE = """
update contacts c
   set country = n.country, company = n.company, city_normalised = n.city, flags = n.flags, provenance = n.provenance,
       revision = revision + n.told::int, enrichments = enrichments + n.told::int,
       updated_at = case when n.told then now() else updated_at end
  from (select t.*, string_to_array(t.marks, ' ') as flags
          from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::boolean[])
               t (id, country, company, city, marks, provenance, told)) n
 where c.workspace_id = $1 and c.id = n.id
returning c.*, n.told
"""


async def begin(tx: Connection, workspace_id: UUID, rules: int) -> asyncpg.Record | None:
    """Now, and since when contacts are to be looked at (None: all of them). None while a file is being imported."""
    return await tx.fetchrow(_BEGIN, workspace_id, rules)


async def seen(tx: Connection, workspace_id: UUID, rules: int, until: datetime) -> None:
    """All that was committed until then has been looked at."""
    await tx.execute(_SEEN, workspace_id, rules, until)


async def changed(
    tx: Connection, workspace_id: UUID, after: UUID, since: datetime, overlap: timedelta, limit: int
) -> list[asyncpg.Record]:
    """The next contacts that were stored or changed since."""
    return await tx.fetch(_CHANGED, workspace_id, after, since - overlap, limit)


async def lock(tx: Connection, workspace_id: UUID, contact_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """The same contacts as they are now, locked in the order of everybody."""
    return await tx.fetch(_LOCK, workspace_id, contact_ids)


async def write(tx: Connection, workspace_id: UUID, contacts: Sequence[Mapping[str, Any]]) -> list[asyncpg.Record]:
    """Write locked contacts, each whole with `told`: whether others know of what changed."""
    return await tx.fetch(
        _WRITE,
        workspace_id,
        [one["id"] for one in contacts],
        [one["country"] for one in contacts],
        [one["company"] for one in contacts],
        [one["city_normalised"] for one in contacts],
        [" ".join(one["flags"]) for one in contacts],
        [one["provenance"] for one in contacts],
        [one["told"] for one in contacts],
    )
