"""The tables every service has for its plumbing, and row-level security. Migrations call these.

Outbox, inbox, offsets, jobs and keys carry no row-level security (COPY could not fill them, and they are
read by the plumbing alone).
"""

PLUMBING = """
create table outbox (
  id bigint generated always as identity primary key,
  lane smallint not null,
  topic text not null,
  type text not null,
  key text not null,
  event_id uuid not null,
  workspace_id uuid not null,
  time timestamptz not null default now(),
  traceparent text,
  payload text not null
) with (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 20000, fillfactor = 100);
create index outbox_by_lane on outbox (lane, id);

create table consumer_offsets (
  consumer text not null,
  source text not null,
  next_offset bigint not null,
  primary key (consumer, source)
) with (fillfactor = 50);

create table inbox (
  consumer text not null,
  event_id uuid not null,
  day date not null,
  primary key (consumer, event_id, day)
) partition by range (day);
create table inbox_other partition of inbox default;

-- The worker role owns no table, so daily partitions are made and dropped by the owner's function.
create function inbox_upkeep(keep_days integer) returns void
language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '2s' as $$
declare
  d date;
  part record;
begin
  perform pg_advisory_xact_lock(hashtext('barid.inbox_upkeep'));
  for d in select generate_series(current_date - 1, current_date + 3, interval '1 day')::date loop
    if to_regclass(format('inbox_%s', to_char(d, 'YYYYMMDD'))) is null
       and not exists (select from inbox_other where day = d) then
      execute format('create table inbox_%s partition of inbox for values from (%L) to (%L)',
                     to_char(d, 'YYYYMMDD'), d, d + 1);
    end if;
  end loop;
  for part in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'inbox'::regclass and c.relname ~ '^inbox_[0-9]{8}$'
      and to_date(substr(c.relname, 7), 'YYYYMMDD') < current_date - keep_days
  loop
    execute format('drop table %I', part.relname);
  end loop;
  delete from inbox_other where day < current_date - keep_days;
end $$;
select inbox_upkeep(31);

create table dead_letters (
  id bigint generated always as identity primary key,
  consumer text not null,
  topic text not null,
  type text not null,
  key text not null,
  event_id uuid not null,
  workspace_id uuid not null,
  time timestamptz not null,
  traceparent text,
  payload text not null,
  source text not null,
  source_offset bigint not null,
  error text not null,
  attempts integer not null default 0,
  dead_at timestamptz not null default now(),
  requested_at timestamptz,
  replayed_at timestamptz,
  unique (consumer, event_id)
);

create table jobs (
  id uuid primary key,
  workspace_id uuid,
  kind text not null,
  unique_key text,
  args jsonb not null default '{}',
  state text not null default 'queued' check (state in ('queued', 'running', 'completed', 'failed', 'cancelled')),
  progress jsonb not null default '{}',
  checkpoint jsonb not null default '{}',
  cancel boolean not null default false,
  attempt integer not null default 0,
  run_at timestamptz not null default now(),
  lease_until timestamptz,
  lease_epoch bigint not null default 0,
  traceparent text,
  error text,
  created_at timestamptz not null default now(),
  finished_at timestamptz
);
create unique index jobs_unique on jobs (kind, unique_key) where state in ('queued', 'running');
create index jobs_due on jobs (run_at) where state in ('queued', 'running');

create table idempotency_keys (
  workspace_id uuid not null,
  route text not null,
  key text not null,
  body_hash bytea not null,
  status smallint not null,
  headers jsonb not null,
  body bytea not null,
  at timestamptz not null default now(),
  primary key (workspace_id, route, key)
);
create index idempotency_keys_by_age on idempotency_keys (at);

create table revoked_access (
  workspace_id uuid not null,
  subject_kind text not null,
  subject_id uuid not null,
  not_before timestamptz not null,
  primary key (workspace_id, subject_kind, subject_id)
);

create function set_updated_at() returns trigger language plpgsql as $$
begin new.updated_at = now(); return new; end $$;
"""


def plumbing(service: str) -> list[str]:
    """The DDL of the plumbing tables, with the grants of the service's two roles."""
    return [
        PLUMBING,
        f"""
        alter default privileges grant select, insert, update, delete on tables to {service}_api, {service}_worker;
        alter default privileges grant usage, select on sequences to {service}_api, {service}_worker;
        grant select, insert, update, delete on all tables in schema public to {service}_api, {service}_worker;
        grant usage, select on all sequences in schema public to {service}_api, {service}_worker;
        grant create on schema public to {service}_worker;
        """,
    ]


def protect(service: str, *tables: str) -> list[str]:
    """Row-level security: the API role sees its transaction's workspace, the worker role sees all.

    FORCE, so that even the owner is bound; without a workspace set, the API role sees nothing.
    """
    return [
        f"""
        alter table {table} enable row level security;
        alter table {table} force row level security;
        create policy api on {table} to {service}_api
          using (workspace_id = (select nullif(current_setting('barid.workspace', true), '')::uuid));
        create policy worker on {table} to {service}_worker using (true);
        create policy owner on {table} to current_user using (true);
        """
        for table in tables
    ]


def keep_record(*roles: str) -> list[str]:
    """Every process reads at which revision the schema is and what code it serves; only a migration writes it."""
    return [
        f"""
        revoke all on alembic_version, schema_code from {role};
        grant select on alembic_version, schema_code to {role};
        """
        for role in roles
    ]
