"""What contacts keeps of one person, for them to read (common.personal_data); and what the others told of them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

STATEMENTS = {
    "contacts": """
select to_jsonb(t) - '{workspace_id,search,address_hash,domain_hash,revision,score_revision}'::text[]
  from person p join contacts t on t.workspace_id = p.workspace_id and t.id = p.contact_id""",
    "consents": """
select to_jsonb(t) - '{workspace_id,revision}'::text[] from person join consents t using (workspace_id, contact_id)""",
    "consent_records": """
select to_jsonb(t) - 'workspace_id' from person join consent_records t using (workspace_id, contact_id)
 order by t.at, t.id""",
    "lists": """
select jsonb_build_object('list_id', l.id, 'name', l.name, 'added_at', m.added_at)
  from person p join list_members m using (workspace_id, contact_id)
  join lists l on l.workspace_id = m.workspace_id and l.id = m.list_id""",
    "segments": """
select jsonb_build_object('segment_id', s.id, 'name', s.name, 'since', m.since)
  from person p join segment_members m using (workspace_id, contact_id)
  join segments s on s.workspace_id = m.workspace_id and s.id = m.segment_id""",
    "snapshots": """
select jsonb_build_object('snapshot_id', s.id, 'name', s.name, 'frozen_at', s.frozen_at)
  from person p join segment_snapshot_members m using (workspace_id, contact_id)
  join segment_snapshots s on s.workspace_id = m.workspace_id and s.id = m.snapshot_id""",
    "audiences": """
select jsonb_build_object('campaign_id', m.campaign_id, 'decision', m.decision, 'reason', m.reason)
  from person p join audience_members m using (workspace_id, contact_id)""",
    "stage_transitions": """
select to_jsonb(t) - 'workspace_id' from person join stage_transitions t using (workspace_id, contact_id)
 order by t.at""",
    "contact_notes": """
select to_jsonb(t) - 'workspace_id' from person join contact_notes t using (workspace_id, contact_id)
 order by t.at""",
    "conversions": """
select to_jsonb(t) - '{workspace_id,revision}'::text[]
  from person join conversions t using (workspace_id, contact_id) order by t.at""",
    "contact_money": """
select to_jsonb(t) - 'workspace_id' from person join contact_money t using (workspace_id, contact_id)""",
    "activity": """
select to_jsonb(t) - 'workspace_id' from person join activity t using (workspace_id, contact_id) order by t.at""",
    "parked_events": """
select to_jsonb(t) - '{workspace_id,address_hash}'::text[]
  from person p join parked_events t on t.workspace_id = p.workspace_id
   and (t.contact_id = p.contact_id or t.address_hash = any(p.hashes))
 order by t.at""",
    "source_deliveries": """
select jsonb_build_object('source_id', t.source_id, 'received_at', t.received_at, 'payload',
                          convert_from(t.body, 'UTF8'))
  from person p join source_deliveries t on t.workspace_id = p.workspace_id and t.address_hashes && p.hashes
 order by t.id""",
    "visitors": """
select to_jsonb(t) - 'workspace_id' from person join visitors t using (workspace_id, contact_id)
 order by t.first_at""",
    "suppressions": """
select jsonb_build_object('scope', s.scope, 'reason', s.reason, 'active', s.active, 'expires_at', s.expires_at,
                          'created_at', s.created_at)
  from person p join contacts c on c.workspace_id = p.workspace_id and c.id = p.contact_id
  join suppressions s on s.workspace_id = c.workspace_id
   and (s.scope, s.hash) in (('address', c.address_hash), ('domain', c.domain_hash))""",
    "import_rejects": """
select jsonb_build_object('import_id', r.import_id, 'row', r.row, 'code', r.code, 'cells', r.cells)
  from person p join import_rejects r on r.workspace_id = p.workspace_id and r.address_hash = any(p.hashes)""",
    "merged": """
select jsonb_build_object('contact_id', a.alias_id)
  from person join contact_aliases a using (workspace_id, contact_id)""",
    "import_changes": """
select jsonb_build_object('import_id', h.import_id, 'before', h.before, 'after', h.after)
  from person p join imports i on i.workspace_id = p.workspace_id
  join import_changes h on h.workspace_id = i.workspace_id and h.import_id = i.id and h.contact_id = p.contact_id""",
    "import_undo_kept": """
select jsonb_build_object('import_id', h.import_id, 'field', h.field, 'reason', h.reason, 'value', h.value)
  from person p join imports i on i.workspace_id = p.workspace_id
  join import_undo_kept h on h.workspace_id = i.workspace_id and h.import_id = i.id and h.contact_id = p.contact_id""",
    "form_submissions": """
select to_jsonb(t) - '{workspace_id,address_hash}'::text[]
  from person p join form_submissions t on t.workspace_id = p.workspace_id
   and (t.contact_id = p.contact_id or t.address_hash = any(p.hashes))
 order by t.id""",
    "confirmations": """
select to_jsonb(t) - 'workspace_id' from person join confirmations t using (workspace_id, contact_id) order by t.id""",
    "privacy_requests": """
select jsonb_build_object('kind', t.kind, 'created_at', t.created_at, 'completed_at', t.completed_at)
  from person join privacy_requests t using (workspace_id, contact_id)""",
}

# What comes after the person was erased is not kept.
_PUT = """
insert into personal_data (workspace_id, request_id, service, n, last, contact_id, tables)
select n.* from unnest($1::uuid[], $2::uuid[], $3::text[], $4::integer[], $5::boolean[], $6::uuid[], $7::jsonb[])
                n (workspace_id, request_id, service, n, last, contact_id, tables)
 where not exists (select from tombstones t where t.workspace_id = n.workspace_id and t.contact_id = n.contact_id)
on conflict do nothing
"""

# Parts come in any order: a service is done when there are as many as its last one counts.
_DONE = """
select workspace_id, request_id, service, max(at) as at from personal_data
 where (workspace_id, request_id) in (select * from unnest($1::uuid[], $2::uuid[]))
 group by 1, 2, 3 having count(*) = max(n) filter (where last)
"""

_PART = "select service, tables from personal_data where workspace_id = $1 and request_id = $2 order by service, n"

_FORGET = """
delete from personal_data where ctid in (select ctid from personal_data where at < now() - $1::interval limit 1000)
"""

Part = tuple[UUID, UUID, str, int, bool, UUID, Any]


async def put(tx: Connection, told: Sequence[Part]) -> list[asyncpg.Record]:
    """Keep parts; which services have told all, for the requests among them."""
    await tx.execute(_PUT, *map(list, zip(*told, strict=True)))
    return await tx.fetch(_DONE, [one[0] for one in told], [one[1] for one in told])


async def told(tx: Connection, workspace_id: UUID, request_id: UUID) -> list[asyncpg.Record]:
    """All parts of a request."""
    return await tx.fetch(_PART, workspace_id, request_id)


async def forget_old(tx: Connection, age: Any) -> bool:
    """Delete some of the parts that are older; whether there were any."""
    return str(await tx.execute(_FORGET, age)) != "DELETE 0"
