"""Merging two contacts that are one person, and taking it back."""

from alembic import op
from common.db.plumbing import protect

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

MERGING = """
-- `before`: both contacts and what was theirs, so that a merge can be taken back.
create table contact_merges (
  workspace_id uuid not null,
  id uuid not null,
  kept_id uuid not null,
  gone_id uuid not null,
  actor text not null,
  at timestamptz not null default now(),
  undone_at timestamptz,
  before jsonb not null,
  primary key (workspace_id, id)
);
create unique index contact_merges_gone on contact_merges (workspace_id, gone_id) where undone_at is null;
create index contact_merges_kept on contact_merges (workspace_id, kept_id);

-- Who a contact that is gone has become; flat: an alias of an alias names the last one.
create table contact_aliases (
  workspace_id uuid not null,
  alias_id uuid not null,
  contact_id uuid not null,
  address_hash bytea not null,
  primary key (workspace_id, alias_id)
);
create index contact_aliases_contact on contact_aliases (workspace_id, contact_id);

-- Contacts that may be one person; the first id is the lower one.
create table duplicate_pairs (
  workspace_id uuid not null,
  first_id uuid not null,
  second_id uuid not null,
  score real not null,
  reasons text[] not null,
  decision text check (decision in ('merged', 'different')),
  decided_by text,
  decided_at timestamptz,
  found_at timestamptz not null default now(),
  primary key (workspace_id, first_id, second_id),
  check (first_id < second_id)
);
create index duplicate_pairs_open on duplicate_pairs (workspace_id, score desc, first_id, second_id)
  where decision is null;
create index duplicate_pairs_second on duplicate_pairs (workspace_id, second_id);
"""


def upgrade() -> None:
    op.execute(MERGING)
    for statement in protect("contacts", "contact_merges", "contact_aliases", "duplicate_pairs"):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("who was merged cannot be told apart without these tables; restore a backup instead")
