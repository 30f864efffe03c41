"""Phone, company, city, owner and stages of contacts; notes, money, owner-run lists, descriptions."""

from alembic import op
from common.db.plumbing import protect

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

PEOPLE = """
alter table contacts
  add column phone text,                          -- as it was typed
  add column phone_normalised text collate "C",   -- E.164; null if nobody could call it
  add column company text,
  add column city text,
  add column owner text,                          -- the member's id
  -- field → {"source": …, "at": …} of values that nobody typed
  add column provenance jsonb not null default '{}',
  -- what the address says of itself: role, disposable, freemail
  add column flags text[] not null default '{}';
create index contacts_phone on contacts (workspace_id, phone_normalised, id) where phone_normalised is not null;
create index contacts_owner on contacts (workspace_id, owner, id) where owner is not null;
"""

STAGES = """
-- Stages were any text. What people commonly call them is kept; any other is a lead.
create function contact_stage(value text) returns text language sql immutable parallel safe as $$
  select case lower(regexp_replace(trim(value), '[^[:alpha:]]+', '_', 'g'))
    when 'subscriber' then 'subscriber'
    when 'mql' then 'marketing_qualified'
    when 'marketing_qualified' then 'marketing_qualified'
    when 'marketing_qualified_lead' then 'marketing_qualified'
    when 'sql' then 'sales_qualified'
    when 'sales_qualified' then 'sales_qualified'
    when 'sales_qualified_lead' then 'sales_qualified'
    when 'opportunity' then 'opportunity'
    when 'customer' then 'customer'
    else 'lead' end
$$;
update contacts set stage = contact_stage(stage) where stage <> contact_stage(stage);
alter table contacts add constraint contacts_stage
  check (stage in ('subscriber', 'lead', 'marketing_qualified', 'sales_qualified', 'opportunity', 'customer'));

-- The code before this revision writes any text. To be dropped one release later.
create function contacts_stage_named() returns trigger language plpgsql as $$
begin new.stage = contact_stage(new.stage); return new; end $$;
create trigger contacts_stage_named before insert or update of stage on contacts for each row
  when (new.stage not in
        ('subscriber', 'lead', 'marketing_qualified', 'sales_qualified', 'opportunity', 'customer'))
  execute function contacts_stage_named();

create table stage_transitions (
  workspace_id uuid not null,
  contact_id uuid not null,
  id uuid not null,
  from_stage text not null,
  to_stage text not null,
  actor text not null,
  cause text not null,
  at timestamptz not null default now(),
  primary key (workspace_id, contact_id, id)
);
"""

REST = """
create table contact_notes (
  workspace_id uuid not null,
  contact_id uuid not null,
  id uuid not null,
  text text not null,
  author text not null,
  at timestamptz not null default now(),
  primary key (workspace_id, contact_id, id)
);

-- What a contact's conversions come to, per currency.
create table contact_money (
  workspace_id uuid not null,
  contact_id uuid not null,
  currency text not null,
  conversions bigint not null,
  total numeric not null,
  last_at timestamptz not null,
  primary key (workspace_id, contact_id, currency)
);

alter table attribute_definitions add column allowed_values text[];

-- An owner-run list belongs to one member, who keeps it; `member_limit` is the most it may hold.
alter table lists add column owner text, add column member_limit integer check (member_limit > 0);
create index lists_owner on lists (workspace_id, owner, id) where owner is not null;

alter table segments add column description text not null default '';
"""


def upgrade() -> None:
    for statement in (PEOPLE, STAGES, REST):
        op.execute(statement)
    for statement in protect("contacts", "stage_transitions", "contact_notes", "contact_money"):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("the tables hold what cannot be made again; restore a backup instead")
