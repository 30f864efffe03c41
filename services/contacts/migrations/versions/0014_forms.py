"""Forms and what people sent with them, double opt-in, and how often either may be asked for."""

from alembic import op
from common.db.plumbing import protect

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLES = """
-- Who mail may come from, as campaigns tells.
create table senders (
  workspace_id uuid not null,
  id uuid not null,
  name text not null,
  email text not null,
  reply_to text,
  deleted boolean not null,
  revision bigint not null,
  primary key (workspace_id, id)
);

create table forms (
  workspace_id uuid not null,
  id uuid not null,
  name text not null,
  definition jsonb not null,
  revision bigint not null default 1,
  deleted boolean not null default false,
  created_by text not null default '',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (workspace_id, id)
);

create table form_submissions (
  workspace_id uuid not null,
  id uuid not null,
  form_id uuid not null,
  contact_id uuid,
  address_hash bytea not null,
  outcome text not null,
  fields jsonb not null default '{}',
  language text not null,
  ip text,
  agent text,
  at timestamptz not null default now(),
  primary key (workspace_id, id)
);
create index form_submissions_form on form_submissions (workspace_id, form_id, id);
create index form_submissions_address on form_submissions (workspace_id, address_hash);

-- One open question per contact and purpose: asking again renews it.
create table confirmations (
  workspace_id uuid not null,
  id uuid not null,
  contact_id uuid not null,
  purpose_id uuid not null,
  sender_id uuid not null,
  submission_id uuid,
  source text not null,
  language text not null,
  wording_version integer not null,
  requested_at timestamptz not null default clock_timestamp(),
  confirmed_at timestamptz,
  primary key (workspace_id, id)
);
create unique index confirmations_open on confirmations (workspace_id, contact_id, purpose_id)
  where confirmed_at is null;

-- When an address was last asked, by its keyed hash: the row is the lock of "one mail a day".
create table confirmation_mails (
  workspace_id uuid not null,
  address_hash bytea not null,
  last_at timestamptz not null,
  primary key (workspace_id, address_hash)
);

-- How often something came in a window of time. The subject is a keyed hash.
create table public_limits (
  workspace_id uuid not null,
  kind text not null,
  subject bytea not null,
  began timestamptz not null,
  used integer not null,
  primary key (workspace_id, kind, subject)
);
create index public_limits_by_age on public_limits (began);
create index confirmation_mails_by_age on confirmation_mails (last_at);
"""

TENANT_TABLES = ("senders", "forms", "form_submissions", "confirmations", "confirmation_mails", "public_limits")


def upgrade() -> None:
    for statement in (TABLES, *protect("contacts", *TENANT_TABLES)):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("the tables hold what cannot be made again; restore a backup instead")
