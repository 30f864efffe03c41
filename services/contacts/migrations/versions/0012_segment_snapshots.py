"""Snapshots: who was in a segment at one moment, kept under a name."""

from alembic import op
from common.db.plumbing import protect

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SNAPSHOTS = """
-- `rule`: the segment's when the snapshot was asked for. Nothing of a frozen snapshot changes but by an erasure.
create table segment_snapshots (
  workspace_id uuid not null,
  id uuid not null,
  segment_id uuid not null,
  name text not null,
  rule jsonb not null,
  size bigint,
  error text,
  created_by text not null,
  created_at timestamptz not null default now(),
  frozen_at timestamptz,
  primary key (workspace_id, id)
);
create index segment_snapshots_segment on segment_snapshots (workspace_id, segment_id, id);

create table segment_snapshot_members (
  workspace_id uuid not null,
  snapshot_id uuid not null,
  contact_id uuid not null,
  primary key (workspace_id, snapshot_id, contact_id)
);
create index segment_snapshot_members_contact on segment_snapshot_members (workspace_id, contact_id);
"""


def upgrade() -> None:
    for statement in (SNAPSHOTS, *protect("contacts", "segment_snapshots", "segment_snapshot_members")):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("who was inside cannot be found again; restore a backup instead")
