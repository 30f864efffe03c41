"""Lists, segments, audiences and activity."""

from alembic import op
from common.db.plumbing import protect

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

AUDIENCES = """
create table lists (
  workspace_id uuid not null,
  id uuid not null,
  name text not null,
  revision bigint not null default 1,
  deleted boolean not null default false,
  created_by text not null default '',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (workspace_id, id)
);

create table list_members (
  workspace_id uuid not null,
  list_id uuid not null,
  contact_id uuid not null,
  added_at timestamptz not null default now(),
  primary key (workspace_id, list_id, contact_id)
);
create index list_members_contact on list_members (workspace_id, contact_id);

create table segments (
  workspace_id uuid not null,
  id uuid not null,
  name text not null,
  rule jsonb not null,
  revision bigint not null default 1,
  deleted boolean not null default false,
  created_by text not null default '',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (workspace_id, id)
);

-- One row per campaign that asked for an audience, or told a state (which may come first).
create table campaigns (
  workspace_id uuid not null,
  campaign_id uuid not null,
  status text not null default 'known'
    check (status in ('known', 'freezing', 'publishing', 'closed', 'rejected')),
  state text,
  state_revision bigint not null default 0,
  purpose_id uuid,
  rule jsonb,
  fields text[] not null default '{}',
  eligible integer,
  excluded jsonb not null default '{}',
  batches integer not null default 0,
  published integer not null default 0,
  frozen_at timestamptz,
  closed_at timestamptz,
  completed_at timestamptz,
  created_at timestamptz not null default now(),
  primary key (workspace_id, campaign_id)
);

-- `seq` orders the eligible ones from 1; the others have a reason instead.
create table audience_members (
  workspace_id uuid not null,
  campaign_id uuid not null,
  contact_id uuid not null,
  seq integer,
  decision text not null check (decision in ('eligible', 'excluded')),
  reason text,
  primary key (workspace_id, campaign_id, contact_id)
);
create unique index audience_members_seq on audience_members (workspace_id, campaign_id, seq) where seq is not null;
create index audience_members_reason on audience_members (workspace_id, campaign_id, reason, contact_id)
  where reason is not null;

-- What contacts did and what was sent to them: facts, keyed by their event.
create table activity (
  workspace_id uuid not null,
  event_id uuid not null,
  contact_id uuid not null,
  type text not null,
  at timestamptz not null,
  campaign_id uuid,
  message_id uuid,
  machine boolean not null default false,
  properties jsonb not null default '{}',
  primary key (workspace_id, event_id)
);
create index activity_contact on activity (workspace_id, contact_id, type, at);
create index activity_type on activity (workspace_id, type, at, contact_id);
"""

TENANT_TABLES = ["lists", "list_members", "segments", "campaigns", "audience_members", "activity"]


def upgrade() -> None:
    op.execute(AUDIENCES)
    for statement in protect("contacts", *TENANT_TABLES):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("the tables hold what cannot be made again; restore a backup instead")
