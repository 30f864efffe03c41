"""The send ledger, blocks, mailers' leases and intents, and the projections delivery works from."""

from alembic import op
from common.db.plumbing import plumbing, protect

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

PROJECTIONS = """
create table workspaces (
  workspace_id uuid primary key,
  name text not null,
  postal_address text,
  tracking_mode text not null,
  languages text[] not null,
  purposes jsonb not null,
  revision bigint not null
);

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

create table tombstones (
  workspace_id uuid not null,
  kind text not null check (kind in ('contact')),
  id uuid not null,
  at timestamptz not null default now(),
  primary key (workspace_id, kind, id)
);
"""

# A mailing is what messages have in common: a campaign, or one accepted request for single or test mail.
MAILINGS = """
create table mailings (
  workspace_id uuid not null,
  id uuid not null,
  kind text not null check (kind in ('campaign', 'test', 'single')),
  lane smallint not null,
  campaign_id uuid,
  name text,
  purpose_id uuid,
  program_id uuid,
  sender jsonb,
  content jsonb,
  tracking jsonb,
  uncertain_policy text not null default 'hold' check (uncertain_policy in ('hold', 'retry_once')),
  send_until timestamptz,
  started boolean not null default false,
  state text not null default 'running' check (state in ('running', 'paused', 'cancelled')),
  state_revision bigint not null default 0,
  held_reason text,
  held_after_policy bigint not null default 0,
  held_after_tried bigint not null default 0,
  paused_at timestamptz,
  paused_total interval not null default '0',
  audience integer,
  eligible integer,
  outcome text,
  final_revision bigint,
  traceparent text,
  active boolean not null default false,
  purged boolean not null default false,
  at timestamptz not null default now(),
  primary key (workspace_id, id)
) with (fillfactor = 70);
create index mailings_active on mailings (workspace_id, id) where active;
create index mailings_by_campaign on mailings (workspace_id, campaign_id) where kind <> 'campaign';

create table message_counts (
  workspace_id uuid not null,
  mailing_id uuid not null,
  status text not null,
  class text not null,
  n bigint not null,
  primary key (workspace_id, mailing_id, status, class)
) with (fillfactor = 50);

-- One row per campaign: the revision of its counters, and what was last told of them.
create table progress (
  workspace_id uuid not null,
  mailing_id uuid not null,
  revision bigint not null,
  dirty boolean not null default true,
  published jsonb,
  published_at timestamptz,
  primary key (workspace_id, mailing_id)
) with (fillfactor = 50);
create index progress_dirty on progress (workspace_id, mailing_id) where dirty;
"""

LEDGER = """
create table messages (
  workspace_id uuid not null,
  id uuid not null,
  mailing_id uuid not null,
  contact_id uuid,
  kind text not null,
  lane smallint not null,
  email text,
  address_hash bytea,
  domain_hash bytea,
  language text,
  timezone text,
  country text,
  tracking boolean not null default false,
  fields jsonb,
  variant_id text,
  provider text not null,
  status text not null check (status in ('pending', 'attempting', 'sent', 'deferred', 'failed', 'suppressed',
                                         'uncertain', 'expired', 'cancelled')),
  class text not null default '',
  attempt integer not null default 0,
  revision integer not null default 1,
  next_at timestamptz not null,
  not_before timestamptz,
  send_until timestamptz,
  first_4xx_at timestamptz,
  resent boolean not null default false,
  smtp_code smallint,
  smtp_enhanced text,
  smtp_text text,
  mailer_id uuid,
  mailer_epoch bigint,
  sent_at timestamptz,
  at timestamptz not null default now(),
  primary key (workspace_id, id)
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
-- One contact, one mail per campaign. The id is the UUIDv5 of the send key; this holds even were it not.
create unique index messages_once on messages (workspace_id, contact_id, mailing_id) where kind = 'campaign';
create index messages_of_contact on messages (workspace_id, contact_id)
  where kind <> 'campaign' and contact_id is not null;
create index messages_of_mailing on messages (workspace_id, mailing_id, id);
create index messages_due on messages (workspace_id, mailing_id, provider, next_at, id)
  where status in ('pending', 'deferred');
create index messages_to_look_at on messages (workspace_id, mailing_id, status, id)
  where status not in ('pending', 'attempting', 'sent');
create index messages_retried on messages (workspace_id, mailing_id, first_4xx_at) where status = 'deferred';

-- Whatever moves a message moves the counters in the same transaction: no statement can forget it.
-- Locks are taken in one order everywhere: mailings, messages, counters.
create function count_messages() returns trigger language plpgsql as $$
begin
  -- The progress row first: it serialises the counters of a campaign, so that they cannot deadlock.
  insert into progress as p (workspace_id, mailing_id, revision)
  select distinct workspace_id, mailing_id, 1 from new_rows where kind = 'campaign' order by 1, 2
  on conflict (workspace_id, mailing_id) do update set revision = p.revision + 1, dirty = true;
  if not found then
    return null;
  end if;
  if tg_op = 'INSERT' then
    insert into message_counts as c (workspace_id, mailing_id, status, class, n)
    select workspace_id, mailing_id, status, class, count(*) from new_rows
     where kind = 'campaign' group by 1, 2, 3, 4
    on conflict (workspace_id, mailing_id, status, class) do update set n = c.n + excluded.n;
  else
    insert into message_counts as c (workspace_id, mailing_id, status, class, n)
    select workspace_id, mailing_id, status, class, sum(n) from (
      select workspace_id, mailing_id, status, class, 1 as n from new_rows where kind = 'campaign'
      union all
      select workspace_id, mailing_id, status, class, -1 from old_rows where kind = 'campaign'
    ) moves group by 1, 2, 3, 4 having sum(n) <> 0
    on conflict (workspace_id, mailing_id, status, class) do update set n = c.n + excluded.n;
  end if;
  return null;
end $$;
create trigger count_inserted after insert on messages
  referencing new table as new_rows for each statement execute function count_messages();
create trigger count_updated after update on messages
  referencing old table as old_rows new table as new_rows for each statement execute function count_messages();
"""

MAILERS = """
create table mailers (
  id uuid primary key,
  name text not null,
  epoch bigint not null,
  expires_at timestamptz not null,
  started_at timestamptz not null default now()
) with (fillfactor = 50);

-- The mark: the messages that a mailer is about to write to sockets.
create table intents (
  id bigint generated always as identity primary key,
  workspace_id uuid not null,
  mailer_id uuid not null,
  mailer_epoch bigint not null,
  ids uuid[] not null,
  at timestamptz not null default now()
) with (fillfactor = 50);
create index intents_of_mailer on intents (mailer_id, mailer_epoch);
"""

# subject: the keyed hash of an address or domain, or contact id and purpose id side by side.
# A message is blocked while the authority (contacts) says so, or while a block of our own stands unanswered.
BLOCKS = """
create table blocks (
  workspace_id uuid not null,
  scope text not null check (scope in ('address', 'domain', 'consent')),
  subject bytea not null,
  told_revision bigint not null default 0,
  told_blocked boolean not null default false,
  told_reason text,
  own_id uuid,
  own_reason text,
  at timestamptz not null default now(),
  primary key (workspace_id, scope, subject)
);
"""

TENANT_TABLES = (
    "workspaces",
    "senders",
    "tombstones",
    "mailings",
    "message_counts",
    "progress",
    "messages",
    "intents",
    "blocks",
)


def upgrade() -> None:
    for statement in (PROJECTIONS, MAILINGS, LEDGER, MAILERS, BLOCKS):
        op.execute(statement)
    for statement in [*plumbing("delivery"), *protect("delivery", *TENANT_TABLES)]:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("the first migration has no way back: drop the database")
