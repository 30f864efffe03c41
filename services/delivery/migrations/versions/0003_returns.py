"""What came back of messages, what adds up to a block, and what could not be read."""

from alembic import op
from common.db.plumbing import protect

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# id: of the mail or the provider's event, so that a repetition finds itself. Without a message it told of none of ours.
RETURNS = """
create table returns (
  workspace_id uuid not null,
  id uuid not null,
  source text not null,
  message_id uuid,
  mailing_id uuid,
  kind text not null check (kind in ('hard', 'soft', 'complaint', 'auto-reply', 'delivered', 'reply')),
  reason text not null,
  status text not null,
  reply text not null,
  delayed boolean not null,
  counts boolean not null,
  block_id uuid,
  sent_at timestamptz,
  at timestamptz not null default now(),
  primary key (workspace_id, id)
);
create index returns_of_message on returns (workspace_id, message_id, kind) where message_id is not null;
create index returns_against_mailing on returns (workspace_id, mailing_id, kind, sent_at, message_id)
  where counts and kind in ('hard', 'complaint');
create index returns_by_age on returns (at);

-- An address by its keyed hash: failures that block it only when they come again, in another mailing.
create table strikes (
  workspace_id uuid not null,
  address_hash bytea not null,
  class text not null check (class in ('bad_domain', 'mailbox_full')),
  mailing_id uuid not null,
  at timestamptz not null default now(),
  primary key (workspace_id, address_hash, class, mailing_id)
);
create index strikes_by_age on strikes (at);
"""

# Nobody's, or nobody's yet: mail that came in without a caller, and that could not be read or matched.
SET_ASIDE = """
create table set_aside (
  id uuid primary key,
  source text not null,
  why text not null,
  envelope text[] not null,
  mail bytea not null,
  at timestamptz not null default now()
);
create index set_aside_by_age on set_aside (at);
revoke all on set_aside from delivery_api;
"""

# A campaign is held by what came since it was last held.
HOLDS = """
alter table mailings add column held_after_refused bigint not null default 0, add column held_at timestamptz;
"""


def upgrade() -> None:
    for statement in (RETURNS, SET_ASIDE, HOLDS, *protect("delivery", "returns", "strikes")):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("what came back is kept: nothing of it is dropped")
