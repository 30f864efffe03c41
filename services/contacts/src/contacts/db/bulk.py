"""Changing many contacts at once: what becomes of each, its events and its moves between stages, in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from common.db.pool import Connection

from contacts.db.merge import LEAD
from contacts.db.republish import CONSENTS

# The rows are locked already. A tag that is both taken off and put on is there afterwards.
_CHANGE = """
with old as materialized (
  select c.*,
         case when c.tags @> $3::text[] and not c.tags && $4::text[] then c.tags
              else array(select distinct tag from unnest(c.tags || $3::text[]) tag
                          where tag <> all ($4::text[]) or tag = any ($3::text[]) order by tag) end as tags_to,
         case when $5::boolean then $6::text else c.owner end as owner_to,
         coalesce($7::text, c.stage) as stage_to,
         c.attributes - $8::text[] as attributes_to
    from contacts c where c.workspace_id = $1 and c.id = any ($2::uuid[])),
changed as materialized (
  select * from old
   where (tags, owner, stage, attributes) is distinct from (tags_to, owner_to, stage_to, attributes_to)),
written as (
  update contacts c
     set tags = h.tags_to, owner = h.owner_to, stage = h.stage_to, attributes = h.attributes_to,
         revision = c.revision + 1, updated_at = now()
    from changed h where c.workspace_id = $1 and c.id = h.id),
moved as (
  insert into stage_transitions (workspace_id, contact_id, id, from_stage, to_stage, actor, cause)
  select $1, id, gen_random_uuid(), stage, stage_to, $9::text, $10::text from changed where stage <> stage_to),
told as (
  insert into outbox (lane, topic, type, key, event_id, workspace_id, payload)
  select 2, 'lead.updated', 'lead.updated.v1', n.id::text, gen_random_uuid(), $1, {lead}
    from (select h.workspace_id, h.id, h.email, h.first_name, h.last_name, h.language, h.timezone, h.country,
                 h.external_id, h.phone, h.phone_normalised, h.company, h.city, h.owner_to as owner,
                 h.stage_to as stage, h.attributes_to as attributes, h.tags_to as tags, h.tracking, h.created_at,
                 h.revision from changed h order by h.id) n)
select count(*) from changed
""".format(lead=LEAD.format(revision="n.revision + 1", consents=CONSENTS))  # noqa: S608


@dataclass(frozen=True, slots=True)
class Change:
    """What to change of each contact. `set_owner`: to `owner`, which may be nobody."""

    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()
    set_owner: bool = False
    owner: str | None = None
    stage: str | None = None
    remove_attributes: Sequence[str] = ()


async def change(
    tx: Connection, workspace_id: UUID, contact_ids: Sequence[UUID], change: Change, actor: str, cause: str
) -> int:
    """Change locked contacts and announce those that are different now; how many."""
    args: list[Any] = [list(change.add_tags), list(change.remove_tags), change.set_owner, change.owner, change.stage]
    changed: int = await tx.fetchval(
        _CHANGE, workspace_id, contact_ids, *args, list(change.remove_attributes), actor, cause
    )
    return changed
