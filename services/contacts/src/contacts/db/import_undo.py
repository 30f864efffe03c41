"""Taking an import back: the people it made and changed, a page at a time, in the order of their ids."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from common.db.pool import Connection

from contacts.domain.import_undo import Kept

UNDO_DAYS = 7

_REQUEST = """
update imports set undo = 'queued', undone_by = $3
 where workspace_id = $1 and id = $2 and not dry_run and status not in ('queued', 'running')
   and coalesce(undo, 'failed') = 'failed' and finished_at > now() - make_interval(days => $4)
returning *
"""

_STATE = """
update imports set undo = $3, undone_at = case when $3 = 'completed' then now() end
 where workspace_id = $1 and id = $2 and undo in ('queued', 'running')
"""

_COUNT = """
update imports set undo_removed = undo_removed + $3, undo_restored = undo_restored + $4, undo_kept = undo_kept + $5
 where workspace_id = $1 and id = $2
"""

# Locked first, by a statement of its own: the next one must see what others committed meanwhile.
_LOCK_MADE = """
select id from contacts where workspace_id = $1 and import_id = $2 and id > $3 and id <= $4
 order by id limit $5 for update
"""

# Why somebody the import made stays: what is told first counts. $4: the import's purpose.
_JUDGE_MADE = """
select c.id,
  case when c.revision - c.enrichments <> 1 then 'changed'
       when exists (select from campaigns k join audience_members m
                      on m.workspace_id = k.workspace_id and m.campaign_id = k.campaign_id
                     where k.workspace_id = $1 and m.contact_id = c.id and m.decision = 'eligible'
                       and k.created_at >= c.created_at) then 'mailed'
       when exists (select from activity a where a.workspace_id = $1 and a.contact_id = c.id) then 'active'
       when exists (select from contact_notes n where n.workspace_id = $1 and n.contact_id = c.id) then 'noted'
       when exists (select from contact_money m where m.workspace_id = $1 and m.contact_id = c.id) then 'converted'
       when spoken then 'consent'
       when exists (select from list_members l where l.workspace_id = $1 and l.contact_id = c.id
                       and l.import_id is distinct from $2) then 'on another list'
  end as reason,
  c.tags, k.status as consent, spoken
from contacts c
left join consents k on k.workspace_id = $1 and k.contact_id = c.id and k.purpose_id = $4
cross join lateral (
  select exists (select from consent_records r where r.workspace_id = $1 and r.contact_id = c.id
                    and r.import_id is distinct from $2) as spoken) r
where c.workspace_id = $1 and c.id = any ($3::uuid[])
"""

_BURY = """
insert into tombstones (workspace_id, contact_id, address_hash, request_id)
select $1, unnest($2::uuid[]), '', $3 on conflict do nothing
"""

_CHANGED = """
select * from import_changes where workspace_id = $1 and import_id = $2 and contact_id > $3
 order by contact_id limit $4
"""

_NOW = """
select c.*, k.status as consent, k.revision as consent_revision,
  (select count(*) from consent_records r
    where r.workspace_id = $1 and r.contact_id = c.id and r.purpose_id = $3) as consent_lines,
  exists (select from suppressions x where x.workspace_id = $1 and x.active
             and (x.expires_at is null or x.expires_at > now())
             and ((x.scope = 'address' and x.hash = c.address_hash) or (x.scope = 'domain' and x.hash = c.domain_hash))
         ) as suppressed,
  case when line.paused_until > now() then line.paused_until end as paused_before, line.expires_at as expires_before,
  coalesce(line.expires_at <= now(), false) as expired_before
from contacts c
left join consents k on k.workspace_id = $1 and k.contact_id = c.id and k.purpose_id = $3
-- the line that decided before the import's own
left join lateral (
  select r.paused_until, r.expires_at from consent_records r
   where r.workspace_id = $1 and r.contact_id = c.id and r.purpose_id = $3 and r.import_id is distinct from $4
   order by coalesce(r.happened_at, r.at) desc, r.at desc, r.id desc limit 1) line on true
where c.workspace_id = $1 and c.id = any ($2::uuid[])
"""

_LOCK = "select id from contacts where workspace_id = $1 and id = any ($2::uuid[]) order by id for update"

_TAKEN = """
select external_id from contacts where workspace_id = $1 and external_id = any ($2::text[]) and id <> all ($3::uuid[])
"""

_WRITE = """
update contacts c
   set first_name = n.first_name, last_name = n.last_name, language = n.language, timezone = n.timezone,
       country = n.country, external_id = n.external_id, phone = n.phone,
       phone_normalised = n.phone_normalised, company = n.company, city = n.city, owner = n.owner, stage = n.stage,
       tags = n.tags, tracking = n.tracking,
       attributes = (c.attributes - n.attributes) || n.were, revision = c.revision + 1, updated_at = now()
  from (select n.*, coalesce((select jsonb_object_agg(name, h.before -> 'attributes' -> name)
                                from unnest(n.attributes) name
                               where h.before -> 'attributes' ? name), '{}') as were
          from jsonb_to_recordset($3::text::jsonb) as n (id uuid, first_name text, last_name text, language text,
               timezone text, country text, external_id text, phone text, phone_normalised text, company text,
               city text, owner text, stage text, attributes text[], tags text[], tracking text)
          left join import_changes h on h.workspace_id = $1 and h.import_id = $2 and h.contact_id = n.id) n
 where c.workspace_id = $1 and c.id = n.id
returning c.*
"""

_CONSENTS = """
select * from consents where workspace_id = $1 and contact_id = any ($2::uuid[]) order by contact_id, purpose_id
"""

_KEEP = """
insert into import_undo_kept (workspace_id, import_id, contact_id, field, reason, value)
select $1, $2, c, f, r, v::jsonb from unnest($3::uuid[], $4::text[], $5::text[], $6::text[]) n (c, f, r, v)
on conflict do nothing
"""

_LEAVE_LISTS = """
delete from list_members where ctid in (
  select ctid from list_members where workspace_id = $1 and list_id = any ($2::uuid[]) and import_id = $3 limit $4)
"""

_KEPT = """
select contact_id, field, reason, value from import_undo_kept
 where workspace_id = $1 and import_id = $2 and (contact_id, field) > ($3, $4)
 order by contact_id, field limit $5
"""

_FORGET = """
delete from import_changes where ctid in (
  select h.ctid from imports i join import_changes h on h.workspace_id = i.workspace_id and h.import_id = i.id
   where i.finished_at < now() - make_interval(days => $1) and coalesce(i.undo, '') not in ('queued', 'running')
   limit 10000)
"""


async def request(tx: Connection, workspace_id: UUID, import_id: UUID, actor: str) -> asyncpg.Record | None:
    """Ask for an import to be undone; None if it cannot be, or is already."""
    return await tx.fetchrow(_REQUEST, workspace_id, import_id, actor, UNDO_DAYS)


async def set_state(tx: Connection, workspace_id: UUID, import_id: UUID, state: str) -> None:
    """How far the undoing is."""
    await tx.execute(_STATE, workspace_id, import_id, state)


async def count(tx: Connection, workspace_id: UUID, import_id: UUID, *, removed: int, restored: int, kept: int) -> None:
    """Add what became of a page."""
    await tx.execute(_COUNT, workspace_id, import_id, removed, restored, kept)


async def made(
    tx: Connection, row: asyncpg.Record, purpose_id: UUID | None, after: UUID, limit: int
) -> list[asyncpg.Record]:
    """The next people the import made, locked; `reason`: why they stay."""
    if row["last_id"] is None:
        return []
    workspace_id, import_id = row["workspace_id"], row["id"]
    locked = await tx.fetch(_LOCK_MADE, workspace_id, import_id, after, row["last_id"], limit)
    judged = await tx.fetch(_JUDGE_MADE, workspace_id, import_id, [one["id"] for one in locked], purpose_id)
    return sorted(judged, key=lambda one: one["id"])


async def bury(tx: Connection, workspace_id: UUID, contact_ids: Sequence[UUID], import_id: UUID) -> None:
    """Leave the ids as tombstones. No hash of the address: the person may be imported again."""
    await tx.execute(_BURY, workspace_id, contact_ids, import_id)


async def changed(tx: Connection, workspace_id: UUID, import_id: UUID, after: UUID, limit: int) -> list[asyncpg.Record]:
    """What the import changed of the next people that were there."""
    return await tx.fetch(_CHANGED, workspace_id, import_id, after, limit)


async def now(
    tx: Connection, workspace_id: UUID, import_id: UUID, contact_ids: Sequence[UUID], purpose_id: UUID | None
) -> dict[UUID, asyncpg.Record]:
    """How the contacts that are still there are now; locked."""
    await tx.execute(_LOCK, workspace_id, contact_ids)
    return {row["id"]: row for row in await tx.fetch(_NOW, workspace_id, contact_ids, purpose_id, import_id)}


async def taken(
    tx: Connection, workspace_id: UUID, external_ids: Sequence[str], contact_ids: Sequence[UUID]
) -> set[str]:
    """Those external ids that somebody else has."""
    rows = await tx.fetch(_TAKEN, workspace_id, external_ids, contact_ids)
    return {row["external_id"] for row in rows}


async def write(
    tx: Connection, workspace_id: UUID, import_id: UUID, contacts: Sequence[dict[str, Any]]
) -> list[asyncpg.Record]:
    """Write contacts that are locked, `attributes`: those that go back; returns them with their new revisions."""
    return await tx.fetch(_WRITE, workspace_id, import_id, orjson.dumps(contacts, default=str).decode())


async def consents_of(
    tx: Connection, workspace_id: UUID, contact_ids: Sequence[UUID]
) -> dict[UUID, list[asyncpg.Record]]:
    """Where contacts stand with each purpose."""
    found: dict[UUID, list[asyncpg.Record]] = {contact_id: [] for contact_id in contact_ids}
    for row in await tx.fetch(_CONSENTS, workspace_id, contact_ids):
        found[row["contact_id"]].append(row)
    return found


async def keep(tx: Connection, workspace_id: UUID, import_id: UUID, kept: Sequence[tuple[UUID, Kept]]) -> None:
    """List what stays as it is."""
    await tx.execute(
        _KEEP,
        workspace_id,
        import_id,
        [contact_id for contact_id, _ in kept],
        [one.field for _, one in kept],
        [one.reason for _, one in kept],
        [orjson.dumps(one.value).decode() for _, one in kept],
    )


async def leave_lists(tx: Connection, workspace_id: UUID, list_ids: Sequence[UUID], import_id: UUID, limit: int) -> int:
    """Take people off the lists the import put them on; says how many."""
    done = await tx.execute(_LEAVE_LISTS, workspace_id, list_ids, import_id, limit)
    return int(done.rsplit(" ", 1)[1])


async def kept_page(
    tx: Connection, workspace_id: UUID, import_id: UUID, after: tuple[UUID, str] | None, limit: int
) -> list[asyncpg.Record]:
    """What undoing left as it is, by contact and field."""
    contact_id, field = after or (UUID(int=0), "")
    return await tx.fetch(_KEPT, workspace_id, import_id, contact_id, field, limit)


async def forget(tx: Connection) -> int:
    """Remove some of what can no longer be undone; says how much."""
    done = await tx.execute(_FORGET, UNDO_DAYS)
    return int(done.rsplit(" ", 1)[1])
