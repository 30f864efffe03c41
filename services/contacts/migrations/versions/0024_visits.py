"""Web sites whose pages tell of their visitors, and what visitors did before anybody knew who they are."""

from alembic import op
from common.db.plumbing import protect

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

TABLES = """
create table sites (
  workspace_id uuid not null,
  id uuid not null,
  name text not null,
  origins text[] not null,
  consent text not null check (consent in ('required', 'assumed')),
  keep_days integer not null,
  active boolean not null,
  secret_version integer not null default 1,
  deleted boolean not null default false,
  revision bigint not null default 1,
  created_by text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (workspace_id, id)
);

-- A browser, by the number it made up for itself. `contact_id`: whose it is, once they have proven it.
create table visitors (
  workspace_id uuid not null,
  id uuid not null,
  site_id uuid not null,
  contact_id uuid,
  consent text not null,
  events integer not null default 0,  -- that wait below
  first_at timestamptz not null default now(),
  last_at timestamptz not null default now(),
  expires_at timestamptz not null,
  primary key (workspace_id, id)
);
create index visitors_contact on visitors (workspace_id, contact_id) where contact_id is not null;
create index visitors_old on visitors (expires_at);

-- What nobody's browser did. It becomes activity when the browser is somebody's.
create table visitor_events (
  workspace_id uuid not null,
  visitor_id uuid not null,
  event_id uuid not null,
  type text not null,
  at timestamptz not null,
  properties jsonb not null,
  machine boolean not null,
  expires_at timestamptz not null,
  primary key (workspace_id, visitor_id, event_id)
);
create index visitor_events_old on visitor_events (expires_at);
"""


def upgrade() -> None:
    for statement in (TABLES, *protect("contacts", "sites", "visitors", "visitor_events")):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("the tables hold what cannot be made again; restore a backup instead")
