"""Imports of every format, dry runs, and what it takes to undo an import."""

from alembic import op
from common.db.plumbing import protect

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

IMPORTS = """
alter table imports
  add column format text not null default 'csv',
  add column compressed boolean not null default false,
  add column dry_run boolean not null default false,
  -- the ids of the contacts it made lie between these
  add column first_id uuid,
  add column last_id uuid,
  add column undo text check (undo in ('queued', 'running', 'completed', 'failed')),
  add column undone_by text,
  add column undone_at timestamptz,
  add column undo_removed bigint not null default 0,
  add column undo_restored bigint not null default 0,
  add column undo_kept bigint not null default 0;

-- Which import made it. No index: the ids of an import's contacts are neighbours.
alter table contacts add column import_id uuid;
alter table list_members add column import_id uuid;

-- What an import changed of contacts that were there, until it can no longer be undone.
create table import_changes (
  workspace_id uuid not null,
  import_id uuid not null,
  contact_id uuid not null,
  revision bigint not null,  -- the contact's, after the import
  before jsonb not null,
  after jsonb not null,
  consent_before text,
  consent_after text,
  consent_revision bigint,
  consent_lines integer,     -- of the ledger, with the import's
  primary key (workspace_id, import_id, contact_id)
);

-- What undoing left as it is, because somebody changed it since.
create table import_undo_kept (
  workspace_id uuid not null,
  import_id uuid not null,
  contact_id uuid not null,
  field text not null,
  reason text not null,
  value jsonb,
  primary key (workspace_id, import_id, contact_id, field)
);
"""


def upgrade() -> None:
    for statement in (IMPORTS, *protect("contacts", "import_changes", "import_undo_kept")):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("without what imports changed none can be undone; restore a backup instead")
