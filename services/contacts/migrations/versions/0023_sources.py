"""Partners that tell events in their own words: how they sign, what is made of what they send, and what came lately."""

from alembic import op
from common.db.plumbing import protect

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

TABLES = """
create table sources (
  workspace_id uuid not null,
  id uuid not null,
  name text not null,
  signature jsonb not null,  -- the scheme, without its secret
  secret bytea not null,     -- sealed
  mapping jsonb not null,
  mapping_version integer not null default 1,
  active boolean not null default true,
  revision bigint not null default 1,
  created_by text not null default '',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (workspace_id, id)
);

create table source_mappings (
  workspace_id uuid not null,
  source_id uuid not null,
  version integer not null,
  mapping jsonb not null,
  created_by text not null,
  created_at timestamptz not null default now(),
  primary key (workspace_id, source_id, version)
);

-- What came lately, as it came; `address_hashes`: of every address in it, so that an erasure finds it.
create table source_deliveries (
  workspace_id uuid not null,
  id uuid not null,
  source_id uuid not null,
  received_at timestamptz not null default now(),
  body bytea not null,
  address_hashes bytea[] not null,
  outcome text not null,
  reason jsonb,
  mapping_version integer not null,
  tried_at timestamptz not null default now(),
  primary key (workspace_id, id)
);
create index source_deliveries_source on source_deliveries (workspace_id, source_id, id);
create index source_deliveries_addresses on source_deliveries using gin (address_hashes);
create index source_deliveries_age on source_deliveries (received_at);
"""


def upgrade() -> None:
    for statement in (TABLES, *protect("contacts", "sources", "source_mappings", "source_deliveries")):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("the tables hold what cannot be made again; restore a backup instead")
