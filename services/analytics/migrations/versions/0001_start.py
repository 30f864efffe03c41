"""The tables analytics begins with."""

from alembic import op
from common.db.plumbing import plumbing, protect

revision = "0001"
down_revision = None

TABLES = """
create table workspaces (
  workspace_id uuid primary key,
  revision bigint not null,
  name text not null,
  time_zone text not null
);

create table tombstones (
  workspace_id uuid not null,
  contact_id uuid not null,
  request_id uuid not null,
  ingest_done boolean not null default false,
  scoring_done boolean not null default false,
  primary key (workspace_id, contact_id)
);

create table leads (
  workspace_id uuid not null,
  contact_id uuid not null,
  revision bigint not null,
  language text,
  country text,
  created_at timestamptz not null,
  primary key (workspace_id, contact_id)
);

create table consents (
  workspace_id uuid not null,
  contact_id uuid not null,
  purpose_id uuid not null,
  revision bigint not null,
  status text not null,
  at timestamptz not null,
  primary key (workspace_id, contact_id, purpose_id)
);

create table campaigns (
  workspace_id uuid not null,
  campaign_id uuid not null,
  name text,
  purpose_id uuid,
  program_id uuid,
  started_at timestamptz,
  state text,
  state_revision bigint not null default 0,
  audience bigint,
  eligible bigint,
  excluded jsonb,
  outcome text,
  final_revision bigint,
  completed_at timestamptz,
  primary key (workspace_id, campaign_id)
);

create table facts (
  workspace_id uuid not null,
  event_id uuid not null,
  day date not null,
  at timestamptz not null,
  type text not null,
  kind text not null,
  message_id uuid not null,
  contact_id uuid,
  campaign_id uuid,
  purpose_id uuid,
  program_id uuid,
  variant_id text,
  machine boolean not null default false,
  machine_rule text,
  link integer,
  url text,
  primary key (workspace_id, event_id, day)
) partition by range (day);
create table facts_other partition of facts default;
create index facts_by_contact on facts (workspace_id, contact_id) where url is not null;

create function ensure_facts_partitions(first date, last date) returns void
  language plpgsql security definer set search_path = public as $$
declare d date := first;
begin
  while d <= last loop
    execute format('create table if not exists %I partition of facts for values from (%L) to (%L)',
                   'facts_' || to_char(d, 'YYYYMMDD'), d, d + 1);
    d := d + 1;
  end loop;
end $$;
select ensure_facts_partitions(current_date - 7, current_date + 14);

create table message_status (
  workspace_id uuid not null,
  message_id uuid not null,
  campaign_id uuid not null,
  variant_id text not null,
  revision bigint not null,
  status text not null,
  failure text not null,
  at timestamptz not null,
  primary key (workspace_id, message_id)
) with (fillfactor = 80);

create table status_counts (
  workspace_id uuid not null,
  campaign_id uuid not null,
  variant_id text not null,
  status text not null,
  failure text not null,
  shard smallint not null,
  n bigint not null,
  primary key (workspace_id, campaign_id, variant_id, status, failure, shard)
) with (fillfactor = 50);

create table first_touch (
  workspace_id uuid not null,
  campaign_id uuid not null,
  message_id uuid not null,
  kind text not null,
  link integer not null,
  primary key (workspace_id, campaign_id, message_id, kind, link)
);

create table touch_counts (
  workspace_id uuid not null,
  campaign_id uuid not null,
  variant_id text not null,
  kind text not null,
  link integer not null,
  machine boolean not null,
  shard smallint not null,
  total bigint not null,
  uniques bigint not null,
  primary key (workspace_id, campaign_id, variant_id, kind, link, machine, shard)
) with (fillfactor = 50);

create table links (
  workspace_id uuid not null,
  campaign_id uuid not null,
  link integer not null,
  url text not null,
  primary key (workspace_id, campaign_id, link)
);

create table scoring_rules (
  workspace_id uuid primary key,
  revision bigint not null default 1,
  rules jsonb not null,
  grades jsonb not null,
  updated_at timestamptz not null default now()
);

create table score_events (
  workspace_id uuid not null,
  contact_id uuid not null,
  event_id uuid not null,
  type text not null,
  at timestamptz not null,
  counts_at timestamptz not null,
  primary key (workspace_id, contact_id, event_id)
);
create index score_events_by_age on score_events (at);

create table score_due (
  workspace_id uuid not null,
  contact_id uuid not null,
  due_at timestamptz not null,
  primary key (workspace_id, contact_id, due_at)
);
create index score_due_by_time on score_due (due_at);

create table lead_scores (
  workspace_id uuid not null,
  contact_id uuid not null,
  revision bigint not null,
  score double precision not null,
  grade text not null,
  reasons text[] not null,
  updated_at timestamptz not null,
  primary key (workspace_id, contact_id)
) with (fillfactor = 70);
create index lead_scores_by_score on lead_scores (workspace_id, score desc, contact_id desc);
"""

PROTECTED = (
    "workspaces", "tombstones", "leads", "consents", "campaigns", "facts", "message_status", "status_counts",
    "first_touch", "touch_counts", "links", "scoring_rules", "score_events", "score_due", "lead_scores",
)  # fmt: skip


def upgrade() -> None:
    """Build it."""
    for statement in (TABLES, *plumbing("analytics"), *protect("analytics", *PROTECTED)):
        op.execute(statement)
    op.execute("grant execute on function ensure_facts_partitions to analytics_worker")
