"""Exports: who took what out, when, and how much of it."""

from alembic import op
from common.db.plumbing import protect

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

EXPORTS = """
-- No file is kept: it is written from the contacts as they are when somebody downloads it.
create table exports (
  workspace_id uuid not null,
  id uuid not null,
  name text not null default '',
  rule jsonb not null,
  format text not null check (format in ('csv', 'jsonl', 'parquet', 'xlsx')),
  mode text not null check (mode in ('raw', 'spreadsheet')),
  columns text[],
  created_by text not null,
  created_at timestamptz not null default now(),
  downloads integer not null default 0,
  rows bigint,
  downloaded_by text,
  downloaded_at timestamptz,
  primary key (workspace_id, id)
);
"""


def upgrade() -> None:
    op.execute(EXPORTS)
    for statement in protect("contacts", "exports"):
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop table exports")
