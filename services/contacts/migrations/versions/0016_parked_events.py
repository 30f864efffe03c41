"""Events about contacts that nobody knows yet: they wait here, and find their contact when it appears."""

from alembic import op
from common.db.plumbing import protect

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TABLES = """
create table event_policies (
  workspace_id uuid primary key,
  unknown_contacts text not null check (unknown_contacts in ('park', 'create', 'refuse')),
  keep_days integer not null,
  revision bigint not null default 1,
  updated_at timestamptz not null default now()
);

-- `contact_id`: whose it is, since the contact appeared; a job stores it as activity then.
create table parked_events (
  workspace_id uuid not null,
  event_id uuid not null,
  type text not null,
  at timestamptz not null,
  properties jsonb not null,
  email_normalised text,
  address_hash bytea,
  external_id text,
  contact_id uuid,
  parked_at timestamptz not null default now(),
  expires_at timestamptz not null,
  primary key (workspace_id, event_id),
  check ((email_normalised is null) <> (external_id is null))
);
create index parked_events_email on parked_events (workspace_id, email_normalised) where email_normalised is not null;
create index parked_events_hash on parked_events (workspace_id, address_hash) where address_hash is not null;
create index parked_events_external on parked_events (workspace_id, external_id) where external_id is not null;
create index parked_events_found on parked_events (workspace_id) where contact_id is not null;
create index parked_events_new on parked_events (parked_at);
create index parked_events_old on parked_events (expires_at);
"""

# One probe per statement while nothing is parked: imports pass here with thousands of rows each.
TRIGGERS = """
create function contacts_find_parked() returns trigger language plpgsql set enable_hashjoin = on as $$
begin
  if exists (select from parked_events where workspace_id = (select workspace_id from rows limit 1)) then
    update parked_events p set contact_id = c.id from rows c
     where p.workspace_id = c.workspace_id and p.email_normalised = c.email_normalised and p.contact_id is null;
    update parked_events p set contact_id = c.id from rows c
     where p.workspace_id = c.workspace_id and p.external_id = c.external_id and p.contact_id is null;
  end if;
  return null;
end $$;
create trigger contacts_find_parked_inserted after insert on contacts
  referencing new table as rows for each statement execute function contacts_find_parked();
create trigger contacts_find_parked_updated after update on contacts
  referencing new table as rows for each statement execute function contacts_find_parked();
"""


def upgrade() -> None:
    for statement in (TABLES, *protect("contacts", "event_policies", "parked_events"), TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("the tables hold what cannot be made again; restore a backup instead")
