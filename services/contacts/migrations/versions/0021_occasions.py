"""Webinars and events that people register for and attend."""

from alembic import op
from common.db.plumbing import protect

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TABLES = """
create table occasions (
  workspace_id uuid not null,
  id uuid not null,
  kind text not null check (kind in ('webinar', 'event')),
  title text not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  timezone text not null,
  url text,
  missed_after_hours integer not null,
  closed_at timestamptz,  -- since when those who did not come are known to have missed it
  deleted boolean not null default false,
  revision bigint not null default 1,
  created_by text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (workspace_id, id),
  check (ends_at > starts_at)
);
create index occasions_by_time on occasions (workspace_id, starts_at, id) where not deleted;
create index occasions_open on occasions (ends_at) where closed_at is null and not deleted;
"""

# Who registered, attended and missed is activity: so erasure, merging and the timeline know it already.
ATTENDANCE = """
create index concurrently if not exists activity_occasion
  on activity (workspace_id, (properties ->> 'occasion_id'), contact_id)
  where type in ('occasion.registered', 'occasion.attended', 'occasion.missed')
"""


def upgrade() -> None:
    for statement in (TABLES, *protect("contacts", "occasions")):
        op.execute(statement)
    with op.get_context().autocommit_block():
        op.execute(ATTENDANCE)


def downgrade() -> None:
    raise NotImplementedError("the table holds what cannot be made again; restore a backup instead")
