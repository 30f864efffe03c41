"""Workspaces, access, senders, purposes, campaigns, and what is projected from contacts."""

from alembic import op
from common.db.plumbing import plumbing, protect

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
create table workspaces (
  workspace_id uuid primary key,
  name text not null,
  postal_address text,
  tracking_mode text not null default 'none' check (tracking_mode in ('individual', 'none')),
  languages text[] not null default '{en}',
  time_zone text not null default 'UTC',
  weekend smallint[],
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table members (
  workspace_id uuid not null references workspaces,
  id uuid not null,
  email text not null,
  name text not null default '',
  role text not null check (role in ('owner', 'manager', 'editor', 'approver', 'contributor', 'viewer')),
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  removed_at timestamptz,
  primary key (workspace_id, id)
);
create unique index members_by_email on members (workspace_id, email) where removed_at is null;

create table tokens (
  workspace_id uuid not null,
  id uuid not null,
  member_id uuid not null,
  name text not null,
  role text not null,
  scopes text[],
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  primary key (workspace_id, id),
  foreign key (workspace_id, member_id) references members
);

create table senders (
  workspace_id uuid not null references workspaces,
  id uuid not null,
  name text not null,
  email text not null,
  reply_to text,
  revision bigint not null default 1,
  deleted boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (workspace_id, id)
);

create table purposes (
  workspace_id uuid not null references workspaces,
  id uuid not null,
  key text not null,
  version integer not null default 1,
  wording jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (workspace_id, id),
  unique (workspace_id, key)
);

create table campaigns (
  workspace_id uuid not null references workspaces,
  id uuid not null,
  name text not null,
  sender_id uuid,
  purpose_id uuid not null,
  program_id uuid,
  audience jsonb not null default '{}',
  content jsonb not null default '{}',
  tracking jsonb not null default '{}',
  uncertain_policy text not null default 'hold' check (uncertain_policy in ('hold', 'retry_once')),
  send_until timestamptz,
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- the life of a campaign: `status` is derived from the columns below by domain.lifecycle, never set by itself
  status text not null default 'draft' check (status in
    ('draft', 'scheduled', 'running', 'pausing', 'paused', 'completed', 'cancelled', 'failed')),
  reason text,
  detail text,
  scheduled_at timestamptz,
  started_at timestamptz,
  finished_at timestamptz,
  compiled jsonb,
  wish text check (wish in ('running', 'paused', 'cancelled')),
  state_revision bigint not null default 0,
  running_revision bigint not null default 0,
  hold jsonb,
  rejection jsonb,
  totals jsonb,
  progress jsonb,
  closing jsonb,
  outcome text check (outcome in ('completed', 'cancelled', 'failed')),
  final_revision bigint,
  primary key (workspace_id, id),
  foreign key (workspace_id, sender_id) references senders,
  foreign key (workspace_id, purpose_id) references purposes
);
create index campaigns_scheduled on campaigns (workspace_id, scheduled_at) where status = 'scheduled';
create index campaigns_by_age on campaigns (workspace_id, created_at, id);

-- Segments and lists belong to contacts; this is what their events tell.
create table audience_sources (
  workspace_id uuid not null,
  kind text not null check (kind in ('segment', 'list')),
  id uuid not null,
  name text not null,
  deleted boolean not null,
  revision bigint not null,
  primary key (workspace_id, kind, id)
);

-- Contacts as their events tell them, for previews. An erased one stays as a tombstone: ids only.
create table leads (
  workspace_id uuid not null,
  contact_id uuid not null,
  revision bigint not null,
  data jsonb,
  erased boolean not null default false,
  primary key (workspace_id, contact_id),
  check (erased = (data is null))
) with (autovacuum_vacuum_scale_factor = 0.05);

-- How far the projections are: a miss in one means nothing while its consumer is behind.
create table projection_progress (
  name text primary key,
  event_at timestamptz,
  handled_at timestamptz,
  alive_at timestamptz
) with (fillfactor = 50);
"""


def upgrade() -> None:
    for statement in (
        TABLES,
        *plumbing("campaigns"),
        *protect(
            "campaigns",
            "workspaces",
            "members",
            "tokens",
            "senders",
            "purposes",
            "campaigns",
            "audience_sources",
            "leads",
        ),
    ):
        op.execute(statement)
