"""How mail fared, counted by the hour, so that the deliverability report does not read each message.

What is here already is counted here. Rows that the code before this one writes meanwhile, or that come before the
message they belong to is counted, say so (`counted`), and are counted later.
"""

from alembic import op
from common.db.plumbing import protect

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# A new column's default stands for the rows there are without writing them; the second one for those to come.
TABLES = """
create table fared_counts (
  workspace_id uuid not null,
  hour timestamptz not null,
  provider text not null,
  measure text not null,
  reason text not null,
  shard smallint not null,
  n bigint not null,
  primary key (workspace_id, hour, provider, measure, reason, shard)
) with (fillfactor = 50);

alter table message_status add column counted boolean not null default true;
alter table first_touch add column counted boolean not null default true;
alter table bounces add column counted text;

update first_touch t set counted = false where kind in ('opened', 'complained') and link = -1 and not exists (
  select from message_status s where s.workspace_id = t.workspace_id and s.message_id = t.message_id
                                 and s.status = 'sent');
update message_status set counted = false where status not in ('sent', 'failed') or provider is null;
update bounces b set counted = b.reason from message_status s
 where s.workspace_id = b.workspace_id and s.message_id = b.message_id and s.status = 'sent' and s.counted;

insert into fared_counts (workspace_id, hour, provider, measure, reason, shard, n)
select s.workspace_id, date_trunc('hour', s.at, 'UTC'), s.provider, m.measure, m.reason, 0, count(*)
  from message_status s
  left join bounces b on b.workspace_id = s.workspace_id and b.message_id = s.message_id
  left join first_touch c on c.workspace_id = s.workspace_id and c.campaign_id = s.campaign_id
                         and c.message_id = s.message_id and c.kind = 'complained' and c.link = -1
  left join first_touch o on o.workspace_id = s.workspace_id and o.campaign_id = s.campaign_id
                         and o.message_id = s.message_id and o.kind = 'opened' and o.link = -1
 cross join lateral (values (s.status, s.failure, true), ('bounced', b.reason, s.status = 'sent'),
                            ('complained', case when c.message_id is not null then '' end, s.status = 'sent'),
                            ('opened', case when o.message_id is not null then '' end, s.status = 'sent'))
   as m (measure, reason, counts)
 where s.counted and m.counts and m.reason is not null
 group by 1, 2, 3, 4, 5;

alter table message_status alter column counted set default false;
alter table first_touch alter column counted set default false;
create index message_status_uncounted on message_status (workspace_id, at)
  where not counted and status in ('sent', 'failed') and provider is not null;
create index first_touch_uncounted on first_touch (workspace_id, message_id)
  where not counted and kind in ('opened', 'complained');
create index bounces_uncounted on bounces (workspace_id, message_id) where counted is distinct from reason;
drop index deferrals_by_time;
create index deferrals_by_time on deferrals (workspace_id, at) include (provider, message_id);
"""


def upgrade() -> None:
    for statement in (TABLES, *protect("analytics", "fared_counts")):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("older code runs on this schema: there is no need to go back")
