"""The statements that merge staged rows into contacts, set-based, one range of rows per transaction.

A staged row's own id is the id of the contact it makes, of its line in the ledger and of the event of its contact:
drawing random ids costs more than the rows they are for, and one row does each once.

Composed once per import, because each file has its own columns: positions are ours, names are parameters.
The planner knows nothing of a stage filled a moment ago, nor of a workspace's first contacts, and would compare
every row with every other. So each look-up is a subquery with a limit, which it cannot turn into a join: one index
probe a row; and it asks for a range of one, in order, because only the right index has that order: by the sizes alone
any index that begins with the workspace looks as good while the table is small, and is read whole for every row.
Rows found that way are written by their place (ctid), under a lock taken before.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from common.db.pool import Connection

from contacts.db.merge_values import columns_of, values_after, values_of

PREPARE_TRANSACTION = """
set local enable_hashjoin = off; set local enable_mergejoin = off; set local enable_seqscan = off;
set local work_mem = '64MB';
"""
PREPARE_FOLD = "set local work_mem = '64MB'"

_FOLD = """
update import_stage s
   set code = 'duplicate_in_file', message = 'row ' || d.winner || ' has the same address and comes later'
  from (select ctid as place, row, last_value(row) over same as winner
          from import_stage where import_id = $1 and code is null
        window same as (partition by email_normalised order by row
                        rows between unbounded preceding and unbounded following)) d
 where s.ctid = d.place and d.winner <> d.row
"""

_FOLD_EXTERNAL_IDS = """
update import_stage s
   set code = 'external_id_taken', message = 'row ' || d.winner || ' has the same external id'
  from (select ctid as place, row, last_value(row) over same as winner from import_stage
         where import_id = $1 and code is null and cells[{external_id}] <> ''
        window same as (partition by cells[{external_id}] order by row
                        rows between unbounded preceding and unbounded following)) d
 where s.ctid = d.place and d.winner <> d.row
"""

_TAKEN_EXTERNAL_IDS = """
update import_stage s set code = 'external_id_taken', message = 'another contact has this external id'
 where s.import_id = $1 and s.row > $2 and s.row <= $3 and s.code is null and s.cells[{external_id}] <> ''
   and (select c.email_normalised from contacts c
         where c.workspace_id = $4 and c.external_id between s.cells[{external_id}] and s.cells[{external_id}]
         order by c.external_id limit 1) <> s.email_normalised
"""

_SOURCE = """
src as (
  select s.row, s.contact_id, s.email, s.email_normalised, s.address_hash, s.domain_hash,
         {first_name} as first_name, {last_name} as last_name, {language} as language, {timezone} as timezone,
         {country} as country, {external_id} as external_id, {phone} as phone,
         {phone_normalised} as phone_normalised, {company} as company, {city} as city, {owner} as owner,
         {stage} as stage, {attributes} as attributes,
         {attributes_filled} as attributes_filled, {attributes_over} as attributes_over, {tags} as tags
    from import_stage s
   where s.import_id = $1 and s.row > $2 and s.row <= $3 and s.code is null)
"""

_SUPPRESSED = """
(exists (select from suppressions x where x.workspace_id = $4 and x.scope = 'address' and x.hash = {of}.address_hash
            and x.active and (x.expires_at is null or x.expires_at > now()))
 or exists (select from suppressions x where x.workspace_id = $4 and x.scope = 'domain' and x.hash = {of}.domain_hash
            and x.active and (x.expires_at is null or x.expires_at > now())))
"""

LEAD = """
json_build_object('revision', {revision}, 'contact_id', n.id, 'email', n.email, 'first_name', n.first_name,
  'last_name', n.last_name, 'language', n.language, 'timezone', n.timezone, 'country', n.country,
  'external_id', n.external_id, 'phone', n.phone, 'phone_normalised', n.phone_normalised, 'company', n.company,
  'city', n.city, 'owner', n.owner, 'stage', n.stage, 'attributes', n.attributes, 'tags', n.tags,
  'consents', {consents}, 'tracking', n.tracking, 'created_at', n.created_at)::text
"""

_OUTBOX = "insert into outbox (lane, topic, type, key, event_id, workspace_id, payload)"

# $1 import, $2 and $3 the range, $4 workspace, $5 attribute names, $6 wanted status, $7 purpose, $8 tracking, $9 tags,
# $10 lists, $11 source, $12 evidence, $13 wording version, $14 actor
_CREATE = """
with {source},
added as (
  insert into contacts (workspace_id, id, email, email_normalised, address_hash, domain_hash, first_name, last_name,
                        language, timezone, country, external_id, phone, phone_normalised, company, city,
                        attributes, tags, tracking, import_id{more_columns})
  select $4, contact_id, email, email_normalised, address_hash, domain_hash, first_name, last_name,
         language, timezone, country, external_id, phone, phone_normalised, company, city,
         attributes, tags, coalesce($8::text, 'none'), $1{more_values}
    from src
   where (select c.id from contacts c
           where c.workspace_id = $4 and c.email_normalised between src.email_normalised and src.email_normalised
           order by c.email_normalised limit 1) is null
     and (select t.contact_id from tombstones t
           where t.workspace_id = $4 and t.address_hash = src.address_hash limit 1) is null
   order by email_normalised
  on conflict (workspace_id, email_normalised) do nothing
  returning *),
new as materialized (
  select n.*, ($6::text is not null and ($6::text = 'unsubscribed' or not {suppressed})) as consented from added n),
current as (
  insert into consents (workspace_id, contact_id, purpose_id, status)
  select $4, id, $7::uuid, $6 from new where consented),
ledger as (
  insert into consent_records (workspace_id, id, contact_id, purpose_id, status, source, evidence, wording_version,
                               actor, import_id)
  select $4, id, id, $7::uuid, $6, $11::text, $12::text, $13::integer, $14::text, $1
    from new where consented),
membership as (
  insert into list_members (workspace_id, list_id, contact_id, import_id)
  select $4, list, id, $1 from new cross join unnest($10::uuid[]) list on conflict do nothing),
created as (
  {outbox}
  select 2, 'lead.created', 'lead.created.v1', n.id::text, n.id, $4, {lead} from new n),
blocked as (
  {outbox}
  select 2, 'consent.changed', 'consent.changed.v1', n.id::text, gen_random_uuid(), $4,
         json_build_object('revision', 1, 'contact_id', n.id, 'purpose_id', $7::uuid, 'status', $6::text)::text
    from new n where consented and $6 <> 'subscribed')
select (select count(*) from new) as created, count(*) as staged, count(*) filter (where code is null) as good
  from import_stage where import_id = $1 and row > $2 and row <= $3
"""

# The addresses alone: making the rest of the row costs more than looking for them.
_LOCK = """
with src as (
  select contact_id, email_normalised from import_stage
   where import_id = $1 and row > $2 and row <= $3 and code is null)
select count(*) from (
  select id from contacts
   where workspace_id = $4 and id = any (array(
         select c.id from src cross join lateral (
           select id from contacts
            where workspace_id = $4 and email_normalised between src.email_normalised and src.email_normalised
           order by email_normalised limit 1) c
          where c.id <> src.contact_id))
   order by id for update) locked
"""

_UPDATE = """
with {source},
old as materialized (
  select c.*, src.contact_id as row_id, k.status as consent_now, coalesce(k.revision, 0) as consent_revision,
         {suppressed} as suppressed,
         {first_name_to} as first_name_to, {last_name_to} as last_name_to, {language_to} as language_to,
         {timezone_to} as timezone_to, {country_to} as country_to, {external_id_to} as external_id_to,
         {phone_to} as phone_to, {phone_normalised_to} as phone_normalised_to, {company_to} as company_to,
         {city_to} as city_to, {owner_to} as owner_to, {stage_to} as stage_to, {attributes_to} as attributes_to,
         case when c.tags @> src.tags then c.tags
              else (select array_agg(distinct tag) from unnest(c.tags || src.tags) tag) end as tags_to,
         case when $8::text = 'none' then 'none' else c.tracking end as tracking_to
    from src cross join lateral (
           select contacts.ctid as place, * from contacts
            where workspace_id = $4 and email_normalised between src.email_normalised and src.email_normalised
           order by email_normalised limit 1) c
    left join lateral (
           select status, revision from consents
            where workspace_id = $4 and contact_id = c.id and purpose_id = $7::uuid limit 1) k on true
   where c.id <> src.contact_id),
judged as materialized (
  select old.*,
         (first_name_to, last_name_to, language_to, timezone_to, country_to, external_id_to, phone_to,
          phone_normalised_to, company_to, city_to, owner_to, stage_to, attributes_to, tags_to, tracking_to)
         is distinct from
         (first_name, last_name, language, timezone, country, external_id, phone,
          phone_normalised, company, city, owner, stage, attributes, tags, tracking) as differs,
         case when $6::text = 'unsubscribed' and coalesce(consent_now, 'none') <> 'unsubscribed' then $6::text
              when $6::text in ('subscribed', 'pending') and coalesce(consent_now, 'none') = 'none'
                   and not suppressed then $6::text end as consent_to
    from old),
changed as materialized (select * from judged where differs or consent_to is not null),
written as (
  update contacts c
     set first_name = h.first_name_to, last_name = h.last_name_to, language = h.language_to,
         timezone = h.timezone_to, country = h.country_to, external_id = h.external_id_to, phone = h.phone_to,
         phone_normalised = h.phone_normalised_to, company = h.company_to, city = h.city_to,
         owner = h.owner_to, stage = h.stage_to,
         -- what the file says is nobody's guess any more
         provenance = case when c.provenance = '{{}}' then c.provenance else c.provenance - array_remove(array[
           case when h.country_to is distinct from h.country then 'country' end,
           case when h.company_to is distinct from h.company then 'company' end,
           case when h.city_to is distinct from h.city then 'city' end], null) end,
         attributes = h.attributes_to, tags = h.tags_to, tracking = h.tracking_to,
         revision = c.revision + 1, updated_at = now()
    from changed h where c.ctid = h.place),
moved as (
  insert into stage_transitions (workspace_id, contact_id, id, from_stage, to_stage, actor, cause)
  select $4, id, gen_random_uuid(), stage, stage_to, $14::text, 'import' from changed where stage <> stage_to),
current as (
  insert into consents (workspace_id, contact_id, purpose_id, status)
  select $4, id, $7::uuid, consent_to from changed where consent_to is not null
  on conflict (workspace_id, contact_id, purpose_id) do update
     set status = excluded.status, revision = consents.revision + 1, updated_at = now(), decided_at = null,
         paused_until = null, expires_at = null),
ledger as (
  insert into consent_records (workspace_id, id, contact_id, purpose_id, status, source, evidence, wording_version,
                               actor, import_id)
  select $4, row_id, id, $7::uuid, consent_to, $11::text, $12::text, $13::integer, $14::text, $1
    from changed where consent_to is not null),
before as (
  insert into import_changes (workspace_id, import_id, contact_id, revision, before, after, consent_before,
                              consent_after, consent_revision, consent_lines)
  select $4, $1, id, revision + 1,
         jsonb_build_object('first_name', first_name, 'last_name', last_name, 'language', language,
           'timezone', timezone, 'country', country, 'external_id', external_id, 'phone', phone,
           'phone_normalised', phone_normalised, 'company', company, 'city', city, 'owner', owner,
           'stage', stage, 'attributes', attributes, 'tags', tags, 'tracking', tracking),
         jsonb_build_object('first_name', first_name_to, 'last_name', last_name_to, 'language', language_to,
           'timezone', timezone_to, 'country', country_to, 'external_id', external_id_to, 'phone', phone_to,
           'phone_normalised', phone_normalised_to, 'company', company_to, 'city', city_to,
           'owner', owner_to, 'stage', stage_to, 'attributes', attributes_to, 'tags', tags_to, 'tracking', tracking_to),
         consent_now, consent_to, consent_revision + 1,
         case when consent_to is not null then 1 + (
           select count(*) from consent_records k
            where k.workspace_id = $4 and k.contact_id = changed.id and k.purpose_id = $7::uuid) end
    from changed),
membership as (
  insert into list_members (workspace_id, list_id, contact_id, import_id)
  select $4, list, id, $1 from judged cross join unnest($10::uuid[]) list on conflict do nothing),
told as (
  {outbox}
  select 2, 'lead.updated', 'lead.updated.v1', n.id::text, n.row_id, $4, {lead}
    from (select h.id, h.row_id, h.email, h.first_name_to as first_name, h.last_name_to as last_name,
                 h.language_to as language, h.timezone_to as timezone, h.country_to as country,
                 h.external_id_to as external_id, h.phone_to as phone,
                 h.phone_normalised_to as phone_normalised, h.company_to as company, h.city_to as city,
                 h.owner_to as owner, h.stage_to as stage,
                 h.attributes_to as attributes, h.tags_to as tags,
                 h.tracking_to as tracking, h.created_at, h.revision, h.consent_to, h.consent_now from changed h) n),
consent as (
  {outbox}
  select 2, 'consent.changed', 'consent.changed.v1', n.id::text, gen_random_uuid(), $4,
         json_build_object('revision', n.consent_revision + 1, 'contact_id', n.id, 'purpose_id', $7::uuid,
                           'status', n.consent_to)::text
    from changed n where consent_to is not null)
select (select count(*) from changed) as updated, (select count(*) from judged) as matched
"""

_CONSENTS_AFTER = """
(select coalesce(json_agg(json_build_object('purpose_id', p.purpose_id, 'status', p.status)
                          order by p.purpose_id), '[]')
   from (select k.purpose_id, k.status from consents k
          where k.workspace_id = $4 and k.contact_id = n.id
            and (n.consent_to is null or k.purpose_id <> $7::uuid)
         union all select $7::uuid, n.consent_to where n.consent_to is not null) p)
"""

_SKIP = """
with src as (
  select contact_id, email_normalised from import_stage
   where import_id = $1 and row > $2 and row <= $3 and code is null)
select count(*) from src cross join lateral (
  select id from contacts
   where workspace_id = $4 and email_normalised between src.email_normalised and src.email_normalised
   order by email_normalised limit 1) c
 where c.id <> src.contact_id
"""

_REJECT = """
with rejected as (
  insert into import_rejects (workspace_id, import_id, row, code, message, cells, address_hash)
  select $4, $1, s.row, coalesce(s.code, 'erased'),
         coalesce(s.message, 'this person asked to be erased; only they can come back'),
         case when s.code is null then '{}' else s.cells end, s.address_hash
    from import_stage s
   where s.import_id = $1 and s.row > $2 and s.row <= $3
     and (s.code <> 'duplicate_in_file' or s.code is null and (
            select c.id from contacts c
             where c.workspace_id = $4 and c.email_normalised between s.email_normalised and s.email_normalised
           order by c.email_normalised limit 1) is null)
  returning 1)
select (select count(*) from rejected) as rejected,
       (select count(*) from import_stage s where s.import_id = $1 and s.row > $2 and s.row <= $3
           and s.code = 'duplicate_in_file') as skipped
"""


_REJECTED = """
select coalesce(jsonb_agg(to_jsonb(r)), '[]')::text from import_rejects r
 where workspace_id = $4 and import_id = $1 and row > $2 and row <= $3
"""
_KEEP_REJECTED = (
    "insert into import_rejects select * from jsonb_populate_recordset(null::import_rejects, $1::text::jsonb)"
)


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of one range of rows."""

    created: int
    updated: int
    unchanged: int
    skipped: int
    rejected: int


class Merge:
    """The statements of one import, and their parameters."""

    def __init__(self, workspace_id: UUID, import_id: UUID, plan: dict[str, Any], consent: list[Any]) -> None:
        """`consent`: status, purpose, tracking, tags, lists, source, evidence, wording version, actor."""
        self._ids = (workspace_id, import_id)
        self._names = [column["name"] for column in plan["attributes"]]
        self._consent = consent
        self._external_id = plan["fields"].get("external_id")
        source = _SOURCE.format(**values_of(plan))
        lead_new = LEAD.format(
            revision="1",
            consents="case when n.consented then json_build_array(json_build_object("
            "'purpose_id', $7::uuid, 'status', $6::text)) else '[]'::json end",
        )
        lead_old = LEAD.format(revision="n.revision + 1", consents=_CONSENTS_AFTER)
        self._create = _CREATE.format(
            source=source, outbox=_OUTBOX, suppressed=_SUPPRESSED.format(of="n"), lead=lead_new, **columns_of(plan)
        )
        self._update = _UPDATE.format(
            source=source,
            outbox=_OUTBOX,
            suppressed=_SUPPRESSED.format(of="c"),
            lead=lead_old,
            **values_after(plan),
        )

    def statements(self) -> dict[str, str]:
        """Those that look for people, by what they do."""
        return {"create": self._create, "lock": _LOCK, "update": self._update, "skip": _SKIP, "reject": _REJECT}

    async def fold(self, tx: Connection) -> None:
        """Mark all rows of one address but the last; then those of one external id. May be repeated."""
        await tx.execute(_FOLD, self._ids[1])
        if self._external_id is not None:
            await tx.execute(_FOLD_EXTERNAL_IDS.format(external_id=self._external_id + 1), self._ids[1])

    async def merge(self, tx: Connection, after: int, to: int, *, update: bool) -> Merged:
        """Merge the rows after `after` up to `to`. The caller commits it with the checkpoint."""
        workspace_id, import_id = self._ids
        span = (import_id, after, to, workspace_id)
        if self._external_id is not None:
            await tx.execute(_TAKEN_EXTERNAL_IDS.format(external_id=self._external_id + 1), *span)
        arguments = (*span, self._names, *self._consent)
        made = await tx.fetchrow(self._create, *arguments)
        assert made is not None  # noqa: S101
        updated = unchanged = skipped = rejected = 0
        if made["created"] == made["good"]:
            pass  # nobody was there before
        elif not update:
            skipped = await tx.fetchval(_SKIP, *span)
        # Locked by a statement of its own: the next one must see what others committed meanwhile.
        elif await tx.fetchval(_LOCK, *span):
            row = await tx.fetchrow(self._update, *arguments)
            assert row is not None  # noqa: S101
            updated, unchanged = row["updated"], row["matched"] - row["updated"]
        if made["created"] < made["staged"]:
            row = await tx.fetchrow(_REJECT, *span)
            assert row is not None  # noqa: S101
            skipped, rejected = skipped + row["skipped"], row["rejected"]
        return Merged(made["created"], updated, unchanged, skipped, rejected)

    async def rehearse(self, tx: Connection, after: int, to: int, *, update: bool) -> Merged:
        """What `merge` would do: it is done, and taken back; only the rejects stay."""
        await tx.execute("savepoint rehearsal")
        merged = await self.merge(tx, after, to, update=update)
        rejected = await tx.fetchval(_REJECTED, self._ids[1], after, to, self._ids[0])
        await tx.execute("rollback to savepoint rehearsal")
        await tx.execute(_KEEP_REJECTED, rejected)
        return merged
