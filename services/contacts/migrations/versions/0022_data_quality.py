"""How good a workspace's contacts are, day by day; and how long it keeps what it knows of them."""

from alembic import op
from common.db.plumbing import protect

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

TABLES = """
create table data_quality (
  workspace_id uuid not null,
  day date not null,
  at timestamptz not null,
  contacts bigint not null,
  measures jsonb not null,
  primary key (workspace_id, day)
);

create table retention_rules (
  workspace_id uuid primary key,
  days jsonb not null,  -- kind → days; null: for ever
  revision bigint not null default 1,
  updated_by text not null,
  updated_at timestamptz not null default now()
);
"""


def upgrade() -> None:
    for statement in (TABLES, *protect("contacts", "data_quality", "retention_rules")):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("older code runs on this schema: there is no need to go back")
