"""What proves a consent, how long it counts, and every state a suppression was in."""

from alembic import op
from common.db.plumbing import protect

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

LEDGER = """
alter table consents
  add column paused_until timestamptz,
  add column expires_at timestamptz,
  -- when what decides here happened; null: updated_at says it
  add column decided_at timestamptz;
create index consents_paused on consents (paused_until) where paused_until is not null;
create index consents_expiring on consents (expires_at) where expires_at is not null;

alter table consent_records
  add column channel text not null default 'email',
  add column basis text,
  add column express boolean,
  add column wording_language text,
  add column agent text,
  add column expires_at timestamptz,
  add column paused_until timestamptz,
  -- null: when it was written down
  add column happened_at timestamptz;
-- A transaction may have begun long before it got the contact's lock: the ledger's order is that of the locks.
alter table consent_records alter column at set default clock_timestamp();

create or replace function consent_records_append_only() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and new.evidence is null and new.ip is null and new.source in (old.source, '')
     and (new.agent is null or new.agent = old.agent)
     and (new.workspace_id, new.id, new.contact_id, new.purpose_id, new.status, new.actor, new.at, new.channel)
       = (old.workspace_id, old.id, old.contact_id, old.purpose_id, old.status, old.actor, old.at, old.channel)
     and (new.wording_version, new.import_id, new.caused_by, new.basis, new.express, new.wording_language,
          new.expires_at, new.paused_until, new.happened_at)
       is not distinct from
         (old.wording_version, old.import_id, old.caused_by, old.basis, old.express, old.wording_language,
          old.expires_at, old.paused_until, old.happened_at) then
    return new;
  end if;
  raise exception 'the consent ledger is append-only' using errcode = 'integrity_constraint_violation';
end $$;
"""

SUPPRESSIONS = """
-- Every state of every suppression, so that it can be told who was suppressed on any day. Kept by triggers:
-- whatever writes suppressions, writes here.
create table suppression_records (
  workspace_id uuid not null,
  suppression_id uuid not null,
  revision bigint not null,
  scope text not null,
  hash bytea not null,
  reason text not null,
  active boolean not null,
  actor text not null,
  expires_at timestamptz,
  at timestamptz not null default clock_timestamp(),
  primary key (workspace_id, suppression_id, revision)
);
create index suppression_records_hash on suppression_records (workspace_id, scope, hash, at);
insert into suppression_records (workspace_id, suppression_id, revision, scope, hash, reason, active, actor,
                                 expires_at, at)
select workspace_id, id, revision, scope, hash, reason, active, actor, expires_at,
       case when active then created_at else updated_at end
  from suppressions;

create function suppressions_recorded() returns trigger language plpgsql as $$
begin
  insert into suppression_records (workspace_id, suppression_id, revision, scope, hash, reason, active, actor,
                                   expires_at)
  select workspace_id, id, revision, scope, hash, reason, active, actor, expires_at from written
  on conflict do nothing;
  return null;
end $$;
create trigger suppressions_inserted after insert on suppressions
  referencing new table as written for each statement execute function suppressions_recorded();
create trigger suppressions_updated after update on suppressions
  referencing new table as written for each statement execute function suppressions_recorded();
create index suppressions_expiring on suppressions (expires_at) where active and expires_at is not null;
"""


def upgrade() -> None:
    for statements in (LEDGER, SUPPRESSIONS, *protect("contacts", "suppression_records")):
        op.execute(statements)


def downgrade() -> None:
    raise NotImplementedError("the ledger holds what cannot be made again; restore a backup instead")
