"""Sending domains, with the DKIM keys that mail from them is signed by."""

from alembic import op
from common.db.plumbing import protect

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# A name is not unique over workspaces: whoever publishes a key's record shows that the domain is theirs, and two may.
TABLES = """
create table domains (
  workspace_id uuid not null,
  id uuid not null,
  name text not null,
  verified boolean not null default false,
  subdomains boolean not null default false,
  failing text[] not null default '{}',
  checks jsonb not null,
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  checked_at timestamptz,
  check_at timestamptz not null default now(),
  primary key (workspace_id, id),
  unique (workspace_id, name)
);
create index domains_due on domains (check_at);

create table dkim_keys (
  workspace_id uuid not null,
  domain_id uuid not null,
  selector text not null,
  algorithm text not null check (algorithm in ('rsa-sha256', 'ed25519-sha256')),
  state text not null check (state in ('published', 'active', 'retired')),
  private_key bytea,
  public_key bytea not null,
  created_at timestamptz not null default now(),
  activated_at timestamptz,
  retired_at timestamptz,
  primary key (workspace_id, domain_id, selector),
  foreign key (workspace_id, domain_id) references domains on delete cascade,
  check ((private_key is null) = (state = 'retired'))
);
create unique index dkim_keys_one_signs on dkim_keys (workspace_id, domain_id, algorithm) where state = 'active';
create unique index dkim_keys_one_comes on dkim_keys (workspace_id, domain_id, algorithm) where state = 'published';
"""


def upgrade() -> None:
    for statement in (TABLES, *protect("delivery", "domains", "dkim_keys")):
        op.execute(statement)
