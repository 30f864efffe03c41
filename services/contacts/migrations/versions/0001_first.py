"""People, consent and imports."""

from alembic import op
from common.db.plumbing import plumbing, protect

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

FOLD = """
-- What search compares: case, diacritics, tatweel, joiners, letter forms and digits do not count.
create function fold(value text) returns text language sql immutable parallel safe as $$
  select case when octet_length(value) = length(value) then lower(value) else translate(lower(value),
    'يىئكةۀأإآٱؤ' || '٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹' || 'ًٌٍَُِّْٰـ' || U&'\\0653\\0654\\0655\\200C\\200D\\200E\\200F\\061C',
    'یییکههااااو' || '01234567890123456789') end
$$;
"""

PEOPLE = """
create table workspaces (
  workspace_id uuid primary key,
  name text not null default '',
  postal_address text,
  tracking_mode text not null default 'none',
  languages text[] not null default '{}',
  time_zone text not null default 'UTC',
  weekend smallint[],
  purposes jsonb not null default '[]',
  revision bigint not null default 0
);

create table contacts (
  workspace_id uuid not null,
  id uuid not null,
  email text not null,
  email_normalised text collate "C" not null,
  address_hash bytea not null,
  domain_hash bytea not null,
  first_name text,
  last_name text,
  language text,
  timezone text,
  country text,
  external_id text,
  attributes jsonb not null default '{}',
  tags text[] not null default '{}',
  tracking text not null default 'none' check (tracking in ('individual', 'none')),
  score double precision not null default 0,
  grade text,
  score_revision bigint not null default 0,
  stage text not null default 'lead',
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  search text generated always as (
    fold(email || ' ' || coalesce(first_name, '') || ' ' || coalesce(last_name, '') || ' ' || coalesce(external_id, ''))
  ) stored,
  primary key (workspace_id, id)
) with (fillfactor = 90);
create unique index contacts_email on contacts (workspace_id, email_normalised);
create unique index contacts_external_id on contacts (workspace_id, external_id) where external_id is not null;
create index contacts_score on contacts (workspace_id, score, id);

-- Ids of erased people, for ever; the keyed hash keeps an import from bringing the address back.
create table tombstones (
  workspace_id uuid not null,
  contact_id uuid not null,
  address_hash bytea not null,
  request_id uuid not null,
  erased_at timestamptz not null default now(),
  primary key (workspace_id, contact_id)
);
create index tombstones_address on tombstones (workspace_id, address_hash);

create table attribute_definitions (
  workspace_id uuid not null,
  name text not null,
  type text not null check (type in ('text', 'number', 'boolean', 'date')),
  label text,
  indexed boolean not null default false,
  index_job uuid,  -- fills the index; until it is done, nobody may read the side table for this attribute
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  primary key (workspace_id, name)
);

-- One row per contact and indexed attribute, kept by triggers on contacts: an index on an expression would
-- have to read the heap. Tags are here too, as the attribute '#tag' (no attribute can have that name).
create table contact_value (
  workspace_id uuid not null,
  attribute text not null,
  value text collate "C" not null,
  number double precision,
  moment timestamptz,
  contact_id uuid not null,
  primary key (workspace_id, attribute, value, contact_id)
);
create index contact_value_number on contact_value (workspace_id, attribute, number, contact_id)
  where number is not null;
create index contact_value_moment on contact_value (workspace_id, attribute, moment, contact_id)
  where moment is not null;

create function contact_values_of(workspace uuid, contact uuid, attributes jsonb, tags text[])
returns setof contact_value language sql stable as $$
  select d.workspace_id, d.name, left(attributes ->> d.name, 500),
         case when d.type = 'number' and jsonb_typeof(attributes -> d.name) = 'number'
              then (attributes ->> d.name)::double precision end,
         case when d.type = 'date' and attributes ->> d.name ~ '^\\d{4}-\\d\\d-\\d\\d'
              then (attributes ->> d.name)::timestamptz end,
         contact
    from attribute_definitions d
   where d.workspace_id = workspace and d.indexed and attributes ->> d.name is not null
  union all
  select distinct workspace, '#tag', left(tag, 500), null::double precision, null::timestamptz, contact
    from unnest(tags) tag
$$;

create function contact_values_inserted() returns trigger language plpgsql as $$
begin
  insert into contact_value
  select v.* from added n cross join lateral contact_values_of(n.workspace_id, n.id, n.attributes, n.tags) v
   order by v.workspace_id, v.attribute, v.value, v.contact_id;  -- in the index's order: a third cheaper
  return null;
end $$;

-- Imports forbid hash joins for their own statements; here one joins thousands of old rows to their new ones.
create function contact_values_updated() returns trigger language plpgsql set enable_hashjoin = on as $$
begin
  delete from contact_value c
   using (select v.workspace_id, v.attribute, v.value, v.contact_id
            from gone o join added n on n.workspace_id = o.workspace_id and n.id = o.id
           cross join lateral contact_values_of(o.workspace_id, o.id, o.attributes, o.tags) v
           where o.attributes is distinct from n.attributes or o.tags is distinct from n.tags) v
   where c.workspace_id = v.workspace_id and c.attribute = v.attribute
     and c.value = v.value and c.contact_id = v.contact_id;
  insert into contact_value
  select v.* from gone o join added n on n.workspace_id = o.workspace_id and n.id = o.id
   cross join lateral contact_values_of(n.workspace_id, n.id, n.attributes, n.tags) v
   where o.attributes is distinct from n.attributes or o.tags is distinct from n.tags
  on conflict do nothing;
  return null;
end $$;

create function contact_values_deleted() returns trigger language plpgsql as $$
begin
  delete from contact_value c
   using (select v.workspace_id, v.attribute, v.value, v.contact_id from gone o
           cross join lateral contact_values_of(o.workspace_id, o.id, o.attributes, o.tags) v) v
   where c.workspace_id = v.workspace_id and c.attribute = v.attribute
     and c.value = v.value and c.contact_id = v.contact_id;
  return null;
end $$;

create trigger contact_values_inserted after insert on contacts
  referencing new table as added for each statement execute function contact_values_inserted();
create trigger contact_values_updated after update on contacts
  referencing old table as gone new table as added for each statement execute function contact_values_updated();
create trigger contact_values_deleted after delete on contacts
  referencing old table as gone for each statement execute function contact_values_deleted();
"""

CONSENT = """
create table consents (
  workspace_id uuid not null,
  contact_id uuid not null,
  purpose_id uuid not null,
  status text not null check (status in ('subscribed', 'unsubscribed', 'pending', 'none')),
  revision bigint not null default 1,
  -- the latest of delivery's blocks that this answers: lifting it must name it
  caused_by uuid,
  updated_at timestamptz not null default now(),
  primary key (workspace_id, contact_id, purpose_id)
);

-- The ledger: who consented to what, when, how, shown which wording. Append-only; an erasure may only blank
-- what could name the person.
create table consent_records (
  workspace_id uuid not null,
  id uuid not null,
  contact_id uuid not null,
  purpose_id uuid not null,
  status text not null,
  source text not null,
  evidence text,
  wording_version integer,
  actor text not null,
  ip text,
  import_id uuid,
  caused_by uuid,
  at timestamptz not null default now(),
  primary key (workspace_id, contact_id, id)
);
create unique index consent_records_cause on consent_records (workspace_id, caused_by, contact_id, purpose_id)
  where caused_by is not null;

create function consent_records_append_only() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and new.evidence is null and new.ip is null and new.source in (old.source, '')
     and (new.workspace_id, new.id, new.contact_id, new.purpose_id, new.status, new.actor, new.at)
       = (old.workspace_id, old.id, old.contact_id, old.purpose_id, old.status, old.actor, old.at)
     and (new.wording_version, new.import_id, new.caused_by)
       is not distinct from (old.wording_version, old.import_id, old.caused_by) then
    return new;
  end if;
  raise exception 'the consent ledger is append-only' using errcode = 'integrity_constraint_violation';
end $$;
create trigger consent_records_append_only before update or delete on consent_records
  for each row execute function consent_records_append_only();

create table suppressions (
  workspace_id uuid not null,
  id uuid not null,
  scope text not null check (scope in ('address', 'domain')),
  hash bytea not null,
  reason text not null,
  active boolean not null default true,
  revision bigint not null default 1,
  caused_by uuid,
  actor text not null default '',
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (workspace_id, id)
);
create unique index suppressions_hash on suppressions (workspace_id, scope, hash);

create table privacy_requests (
  workspace_id uuid not null,
  id uuid not null,
  kind text not null check (kind in ('erase', 'export')),
  contact_id uuid not null,
  requested_by text not null,
  created_at timestamptz not null default now(),
  completed_at timestamptz,
  primary key (workspace_id, id)
);
create index privacy_requests_contact on privacy_requests (workspace_id, contact_id);

-- Who has erased a person's data. May be written before (or without) the request it answers.
create table erasures (
  workspace_id uuid not null,
  request_id uuid not null,
  service text not null,
  at timestamptz not null,
  primary key (workspace_id, request_id, service)
);
"""

IMPORTS = """
create table imports (
  workspace_id uuid not null,
  id uuid not null,
  status text not null default 'queued' check (status in ('queued', 'running', 'completed', 'failed', 'cancelled')),
  filename text not null default '',
  options jsonb not null,
  plan jsonb not null default '{}',
  columns text[] not null,
  encoding text not null,
  delimiter text not null,
  rows_read bigint not null default 0,
  created bigint not null default 0,
  updated bigint not null default 0,
  unchanged bigint not null default 0,
  skipped bigint not null default 0,
  rejected bigint not null default 0,
  error text,
  created_by text not null,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz,
  primary key (workspace_id, id)
);

create table import_rejects (
  workspace_id uuid not null,
  import_id uuid not null,
  row integer not null,
  code text not null,
  message text not null,
  cells text[] not null,
  address_hash bytea,
  primary key (workspace_id, import_id, row)
);
create index import_rejects_address on import_rejects (workspace_id, address_hash) where address_hash is not null;

-- Uploaded rows that are not merged yet. Logged: an upload that was answered 202 survives a crash.
-- No row-level security: COPY could not fill it, and nobody but the import reads it.
create table import_stage (
  import_id uuid not null,
  row integer not null,
  contact_id uuid not null,
  email text,
  email_normalised text collate "C",
  address_hash bytea,
  domain_hash bytea,
  code text,
  message text,
  cells text[] not null,
  primary key (import_id, row)
) with (autovacuum_vacuum_scale_factor = 0.5);
"""

TENANT_TABLES = [
    "workspaces",
    "contacts",
    "tombstones",
    "attribute_definitions",
    "contact_value",
    "consents",
    "consent_records",
    "suppressions",
    "privacy_requests",
    "erasures",
    "imports",
    "import_rejects",
]


def upgrade() -> None:
    for statements in (FOLD, PEOPLE, CONSENT, IMPORTS, *plumbing("contacts")):
        op.execute(statements)
    for statement in protect("contacts", *TENANT_TABLES):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("the first migration is not undone; drop the database")
