"""Where mail providers tell what came of messages, and what proves that it is them."""

from alembic import op
from common.db.plumbing import protect

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# token_hash: SHA-256 of what the address ends with. secret: sealed.
ENDPOINTS = """
create table provider_endpoints (
  workspace_id uuid not null,
  id uuid not null,
  provider text not null check (provider in ('ses', 'sendgrid', 'mailgun', 'postmark')),
  name text not null,
  token_hash bytea not null,
  secret bytea not null,
  last_event_at timestamptz,
  created_at timestamptz not null default now(),
  primary key (workspace_id, id)
);
create unique index provider_endpoints_token on provider_endpoints (workspace_id, token_hash);

-- A signature that does not cover the event it came with is good for that one event only.
create table provider_nonces (
  workspace_id uuid not null,
  endpoint_id uuid not null,
  nonce bytea not null,
  event_id text not null,
  at timestamptz not null default now(),
  primary key (workspace_id, endpoint_id, nonce)
);
create index provider_nonces_by_age on provider_nonces (at);
"""


def upgrade() -> None:
    for statement in (ENDPOINTS, *protect("delivery", "provider_endpoints", "provider_nonces")):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("what providers were given is kept")
