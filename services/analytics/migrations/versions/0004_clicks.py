"""Clicks with the verdicts on them, apart from the facts, so that other rules may judge them again."""

from alembic import op
from common.db.plumbing import protect

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# told_rule: what the tracker saw; rule: what stands now, null for a person. rules: by which revision of the rules.
TABLES = """
create table clicks (
  workspace_id uuid not null,
  message_id uuid not null,
  event_id uuid not null,
  at timestamptz not null,
  composed_at timestamptz,
  link integer not null,
  kind text not null,
  contact_id uuid,
  campaign_id uuid,
  variant_id text not null,
  told_rule text,
  rule text,
  rules smallint not null,
  revision bigint not null default 0,
  settled boolean not null default false,
  primary key (workspace_id, message_id, event_id)
) with (fillfactor = 80);
create unique index clicks_by_event on clicks (workspace_id, event_id);
create index clicks_by_rules on clicks (rules);
create index clicks_unsettled on clicks (at) where not settled;
create index clicks_of_machines on clicks (workspace_id, campaign_id, rule) where rule is not null;

insert into clicks (workspace_id, message_id, event_id, at, link, kind, contact_id, campaign_id, variant_id, told_rule,
                    rule, rules)
select workspace_id, message_id, event_id, at, coalesce(link, 0), kind, contact_id, campaign_id,
       coalesce(variant_id, ''), rule, rule, 0
  from (select *, case when machine then coalesce(machine_rule, 'machine') end as rule from facts
         where type = 'email.clicked') f
on conflict do nothing;

alter table facts add column via text;
"""


def upgrade() -> None:
    for statement in (TABLES, *protect("analytics", "clicks")):
        op.execute(statement)
