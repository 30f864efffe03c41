"""Who is in each stored segment, kept up to date: what changed waits in a queue, written with the change."""

from alembic import op
from common.db.plumbing import protect

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SEGMENTS = """
-- What the live membership of a segment stands on. A build looks at every contact: `wanted` counts those that were
-- asked for, `built` says which one was done; until the first is done, nobody is told of who enters or leaves.
create table segment_states (
  workspace_id uuid not null,
  segment_id uuid not null,
  mentions text[] not null default '{}',  -- what its rule looks at
  timed boolean not null default false,   -- its rule looks at the clock
  wanted bigint not null default 1,
  built bigint not null default 0,
  size bigint not null default 0,
  swept_at timestamptz not null default now(),
  error text,
  primary key (workspace_id, segment_id)
) with (fillfactor = 50);

create table segment_members (
  workspace_id uuid not null,
  segment_id uuid not null,
  contact_id uuid not null,
  since timestamptz not null default now(),
  primary key (workspace_id, segment_id, contact_id)
);
create index segment_members_contact on segment_members (workspace_id, contact_id);

create table segment_sizes (
  workspace_id uuid not null,
  segment_id uuid not null,
  at timestamptz not null,
  size bigint not null,
  primary key (workspace_id, segment_id, at)
);

-- Which contacts changed, and in what: the names that rules mention; '*' is everything. A row tells of up to 2,000
-- contacts, so that an import writes a few rows, not a million. It is written even where there is no segment: one
-- may be on its way to be committed, and would then be built from contacts as they were before this change.
create table segment_touched (
  workspace_id uuid not null,
  bulk boolean not null,  -- many at once: those that came one by one go first
  id bigint generated always as identity,
  contact_ids uuid[] not null,
  what text[] not null,
  primary key (workspace_id, bulk, id)
) with (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000, fillfactor = 100);

-- Orders what is told of a contact and a segment.
create sequence segment_moves;
grant usage on segment_moves to contacts_api, contacts_worker;
"""

TRIGGERS = """
create function contacts_touched() returns trigger language plpgsql as $$
begin
  insert into segment_touched (workspace_id, bulk, contact_ids, what)
  select workspace_id, max(n) > 100, array_agg(id), '{*}'
    from (select workspace_id, id, (row_number() over () - 1) / 2000 as part, count(*) over () as n from rows) r
   group by workspace_id, part;
  return null;
end $$;
create trigger contacts_touched_inserted after insert on contacts
  referencing new table as rows for each statement execute function contacts_touched();
create trigger contacts_touched_deleted after delete on contacts
  referencing old table as rows for each statement execute function contacts_touched();

create function contacts_touched_again() returns trigger language plpgsql set enable_hashjoin = on as $$
begin
  insert into segment_touched (workspace_id, bulk, contact_ids, what)
  select workspace_id, max(n) > 100, array_agg(distinct id), array_agg(distinct w)
    from (select n.workspace_id, n.id, (row_number() over () - 1) / 2000 as part, count(*) over () as n,
                 array_remove(array[
                   case when o.email is distinct from n.email
                          or o.email_normalised is distinct from n.email_normalised then 'email' end,
                   case when o.first_name is distinct from n.first_name then 'first_name' end,
                   case when o.last_name is distinct from n.last_name then 'last_name' end,
                   case when o.language is distinct from n.language then 'language' end,
                   case when o.country is distinct from n.country then 'country' end,
                   case when o.timezone is distinct from n.timezone then 'timezone' end,
                   case when o.external_id is distinct from n.external_id then 'external_id' end,
                   case when o.created_at is distinct from n.created_at then 'created_at' end,
                   case when o.score is distinct from n.score then 'score' end,
                   case when o.stage is distinct from n.stage then 'stage' end,
                   case when o.phone is distinct from n.phone
                          or o.phone_normalised is distinct from n.phone_normalised then 'phone' end,
                   case when o.company is distinct from n.company then 'company' end,
                   case when o.city is distinct from n.city then 'city' end,
                   case when o.owner is distinct from n.owner then 'owner' end,
                   case when o.tags is distinct from n.tags then 'tags' end], null)
                 || case when o.attributes is not distinct from n.attributes then '{}' else array(
                      select 'attributes.' || k from jsonb_object_keys(o.attributes || n.attributes) k
                       where o.attributes -> k is distinct from n.attributes -> k) end as what
            from gone o join added n on n.workspace_id = o.workspace_id and n.id = o.id) r
   cross join lateral unnest(what) w
   group by workspace_id, part;
  return null;
end $$;
create trigger contacts_touched_updated after update on contacts
  referencing old table as gone new table as added for each statement execute function contacts_touched_again();

create function list_members_touched() returns trigger language plpgsql as $$
begin
  insert into segment_touched (workspace_id, bulk, contact_ids, what)
  select workspace_id, max(n) > 100, array_agg(contact_id), array['list:' || list_id]
    from (select *, (row_number() over () - 1) / 2000 as part, count(*) over () as n from rows) r
   group by workspace_id, list_id, part;
  return null;
end $$;
create trigger list_members_touched_inserted after insert on list_members
  referencing new table as rows for each statement execute function list_members_touched();
create trigger list_members_touched_deleted after delete on list_members
  referencing old table as rows for each statement execute function list_members_touched();

create function consents_touched() returns trigger language plpgsql as $$
begin
  insert into segment_touched (workspace_id, bulk, contact_ids, what)
  select workspace_id, max(n) > 100, array_agg(contact_id), '{consent}'
    from (select workspace_id, contact_id, (row_number() over () - 1) / 2000 as part, count(*) over () as n
            from rows) r
   group by workspace_id, part;
  return null;
end $$;
create trigger consents_touched_inserted after insert on consents
  referencing new table as rows for each statement execute function consents_touched();
create trigger consents_touched_updated after update on consents
  referencing new table as rows for each statement execute function consents_touched();

create function activity_touched() returns trigger language plpgsql as $$
begin
  insert into segment_touched (workspace_id, bulk, contact_ids, what)
  select workspace_id, max(n) > 100, array_agg(distinct contact_id), array[type]
    from (select workspace_id, contact_id, type, (row_number() over () - 1) / 2000 as part, count(*) over () as n
            from rows) r
   group by workspace_id, type, part;
  return null;
end $$;
create trigger activity_touched_inserted after insert on activity
  referencing new table as rows for each statement execute function activity_touched();
create trigger activity_touched_updated after update on activity
  referencing new table as rows for each statement execute function activity_touched();
"""

MONEY = """
create function contact_money_touched() returns trigger language plpgsql as $$
begin
  insert into segment_touched (workspace_id, bulk, contact_ids, what)
  select workspace_id, max(n) > 100, array_agg(distinct contact_id), '{money}'
    from (select workspace_id, contact_id, (row_number() over () - 1) / 2000 as part, count(*) over () as n
            from rows) r
   group by workspace_id, part;
  return null;
end $$;
create trigger contact_money_touched_inserted after insert on contact_money
  referencing new table as rows for each statement execute function contact_money_touched();
create trigger contact_money_touched_updated after update on contact_money
  referencing new table as rows for each statement execute function contact_money_touched();
create trigger contact_money_touched_deleted after delete on contact_money
  referencing old table as rows for each statement execute function contact_money_touched();
"""


def upgrade() -> None:
    op.execute(SEGMENTS)
    op.execute(TRIGGERS)
    op.execute(MONEY)
    for statement in protect("contacts", "segment_states", "segment_members", "segment_sizes", "segment_touched"):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("older code runs on this schema: there is no need to go back")
