"""Which events from outside may be told."""

from alembic import op
from common.db.plumbing import protect

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

DEFINITIONS = """
create table event_definitions (
  workspace_id uuid not null,
  name text not null,
  label text,
  properties jsonb not null default '{}',  -- name → type
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  primary key (workspace_id, name)
);
"""


def upgrade() -> None:
    for statement in (DEFINITIONS, *protect("contacts", "event_definitions")):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("the table holds what cannot be made again; restore a backup instead")
