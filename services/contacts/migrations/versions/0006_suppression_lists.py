"""Suppression lists that came as digests: whom they name is only known when such a contact comes."""

from alembic import op
from common.db.plumbing import protect

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

DIGESTS = """
create table suppressed_digests (
  workspace_id uuid not null,
  algorithm text not null check (algorithm in ('md5', 'sha256')),
  digest bytea not null,
  reason text not null,
  actor text not null,
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  primary key (workspace_id, algorithm, digest)
);

-- Suppress the contacts (null: all of the workspace) whose address a digest names, and tell delivery. What is
-- suppressed for longer stays as it is. A suppression has the id of its first contact: ids sort by time.
create function meet_suppressed_digests(workspace uuid, contact_ids uuid[]) returns bigint language sql as $$
  with named as (
    select n.id, n.address_hash, d.reason, d.actor, d.expires_at
      from contacts n join suppressed_digests d
        on d.workspace_id = n.workspace_id and d.algorithm = 'sha256'
       and d.digest = sha256(convert_to(n.email_normalised, 'UTF8'))
     where n.workspace_id = workspace and (contact_ids is null or n.id = any(contact_ids))
    union all
    select n.id, n.address_hash, d.reason, d.actor, d.expires_at
      from contacts n join suppressed_digests d
        on d.workspace_id = n.workspace_id and d.algorithm = 'md5'
       and d.digest = decode(md5(convert_to(n.email_normalised, 'UTF8')), 'hex')
     where n.workspace_id = workspace and (contact_ids is null or n.id = any(contact_ids))
  ), put as (
    insert into suppressions (workspace_id, id, scope, hash, reason, actor, expires_at)
    select distinct on (address_hash) workspace, id, 'address', address_hash, reason, actor, expires_at from named
     where expires_at is null or expires_at > now()
     order by address_hash, expires_at desc nulls first
    on conflict (workspace_id, scope, hash) do update
       set reason = excluded.reason, active = true, revision = suppressions.revision + 1, actor = excluded.actor,
           expires_at = excluded.expires_at, updated_at = now()
     where not suppressions.active or suppressions.expires_at < coalesce(excluded.expires_at, 'infinity')
    returning *
  ), told as (
    insert into outbox (lane, topic, type, key, event_id, workspace_id, payload)
    select 0, 'suppression.changed', 'suppression.changed.v1', encode(hash, 'hex'), gen_random_uuid(), workspace_id,
           json_build_object('revision', revision, 'suppression_id', id, 'scope', scope, 'hash', encode(hash, 'hex'),
                             'reason', reason, 'active', true, 'caused_by', caused_by)::text
      from put
  )
  select count(*) from put
$$;

create function contacts_meet_digests() returns trigger language plpgsql as $$
begin
  perform meet_suppressed_digests(w.workspace_id, array(select n.id from added n where n.workspace_id = w.workspace_id))
     from (select distinct workspace_id from added) w
    where exists (select from suppressed_digests d where d.workspace_id = w.workspace_id);
  return null;
end $$;
create trigger contacts_meet_digests_inserted after insert on contacts
  referencing new table as added for each statement execute function contacts_meet_digests();

create function contacts_meet_digests_again() returns trigger language plpgsql as $$
begin
  perform meet_suppressed_digests(w.workspace_id, array(
            select n.id from added n join gone o on o.workspace_id = n.workspace_id and o.id = n.id
             where n.workspace_id = w.workspace_id and n.email_normalised <> o.email_normalised))
     from (select distinct workspace_id from added) w
    where exists (select from suppressed_digests d where d.workspace_id = w.workspace_id);
  return null;
end $$;
create trigger contacts_meet_digests_updated after update on contacts
  referencing old table as gone new table as added for each statement execute function contacts_meet_digests_again();
"""


def upgrade() -> None:
    op.execute(DIGESTS)
    for statement in protect("contacts", "suppressed_digests"):
        op.execute(statement)
