"""The log, who reads it, and how far."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LOG = """
create table log (
  id bigint generated always as identity,
  lane smallint not null,
  part smallint not null,
  topic text not null,
  type text not null,
  source text not null,
  key text not null,
  event_id uuid not null,
  workspace_id uuid not null,
  time timestamptz not null,
  at timestamptz not null,
  traceparent text,
  payload text not null
) partition by range (at);
create index log_by_place on log (lane, part, id);
create table log_other partition of log default;

-- One row, written by the appender that holds the lock: every id below it is visible to who sees it.
create table log_head (
  one boolean primary key default true check (one),
  next_id bigint not null
) with (fillfactor = 10);
insert into log_head (next_id) values (1);

create table bus_member (
  group_name text not null,
  member uuid not null,
  expires_at timestamptz not null,
  primary key (group_name, member)
) with (fillfactor = 50);

create table bus_lease (
  group_name text not null,
  lane smallint not null,
  part smallint not null,
  owner uuid,
  epoch bigint not null default 0,
  expires_at timestamptz not null default '-infinity',
  primary key (group_name, lane, part)
) with (fillfactor = 50);

-- A copy of the consumers' offsets, to show lag; the truth is in each consumer's own database.
create table bus_offset (
  group_name text not null,
  lane smallint not null,
  part smallint not null,
  next_offset bigint not null,
  at timestamptz not null default now(),
  primary key (group_name, lane, part)
) with (fillfactor = 50);
"""

# The nested loop visits the places in the order given and stops at the limit, so a lower lane is only looked at
# with what the higher ones left of the budget. `at` prunes the daily partitions that were read to their end.
# Planner settings: only the index gives the order, and an estimate from old statistics must not say otherwise.
READ = """
create function log_read(lanes smallint[], parts smallint[], nexts bigint[], topics text[], floor timestamptz,
                         max_rows integer, max_bytes bigint)
returns table (id bigint, lane smallint, part smallint, topic text, type text, source text, key text, event_id uuid,
               workspace_id uuid, "time" timestamptz, traceparent text, payload text, found bigint)
language plpgsql stable rows 1000
set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query
  select w.id, w.lane, w.part, w.topic, w.type, w.source, w.key, w.event_id, w.workspace_id, w.time, w.traceparent,
         w.payload, w.found
  from (
    select l.*, count(*) over () as found,
           sum(octet_length(l.payload)) over (rows between unbounded preceding and current row)
             - octet_length(l.payload) as before
    from (
      select e.* from unnest(lanes, parts, nexts) as place (lane, part, next_id)
      cross join lateral (
        select log.id, log.lane, log.part, log.topic, log.type, log.source, log.key, log.event_id, log.workspace_id,
               log.time, log.traceparent, log.payload
        from log
        where log.lane = place.lane and log.part = place.part and log.id >= place.next_id
          and log.topic = any(log_read.topics) and log.at >= log_read.floor
        order by log.id limit log_read.max_rows
      ) e limit log_read.max_rows
    ) l
  ) w where w.before < log_read.max_bytes;
end $$;
"""

# The roles that append and read own nothing, so the daily partitions are made and dropped by the owner's function.
UPKEEP = """
create function log_upkeep(personal text[], keep_days integer, personal_days integer) returns bigint
language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '2s' as $$
declare
  day date;
  part record;
  removed bigint := 0;
  here bigint;
begin
  perform pg_advisory_xact_lock(hashtext('barid.log_upkeep'));
  for day in select generate_series(current_date - 1, current_date + 3, interval '1 day')::date loop
    if to_regclass(format('log_%s', to_char(day, 'YYYYMMDD'))) is null then
      execute format('create table log_%s partition of log for values from (%L) to (%L)',
                     to_char(day, 'YYYYMMDD'), day::timestamptz, (day + 1)::timestamptz);
    end if;
  end loop;
  for part in
    select c.oid, c.relname, to_date(substr(c.relname, 5), 'YYYYMMDD') as day
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'log'::regclass and c.relname ~ '^log_[0-9]{8}$' order by 3
  loop
    if part.day + 1 <= current_date - keep_days then
      execute format('drop table %I', part.relname);
    elsif part.day::timestamptz < now() - make_interval(days => personal_days)
          and obj_description(part.oid, 'pg_class') is null then
      execute format('delete from %1$I where ctid = any(array(select ctid from %1$I
                      where topic = any($1) and at < now() - make_interval(days => $2) limit 50000))', part.relname)
        using personal, personal_days;
      get diagnostics here = row_count;
      removed := removed + here;
      if here = 0 and (part.day + 1)::timestamptz < now() - make_interval(days => personal_days) then
        execute format('comment on table %I is %L', part.relname, 'without personal rows');
      end if;
    end if;
  end loop;
  delete from log_other where at < now() - make_interval(days => keep_days)
    or (topic = any(personal) and at < now() - make_interval(days => personal_days));
  return removed;
end $$;
select log_upkeep('{}', 30, 7);
"""

GRANTS = """
do $$
declare role_name text;
begin
  for role_name in select rolname from pg_roles where rolname in ('bus_client') loop
    execute format('grant select, insert, update, delete on all tables in schema public to %I', role_name);
    execute format('grant usage, select on all sequences in schema public to %I', role_name);
    execute format('alter default privileges grant select, insert, update, delete on tables to %I', role_name);
  end loop;
end $$;
"""


def upgrade() -> None:
    for statement in (LOG, READ, UPKEEP, GRANTS):
        op.execute(statement)
