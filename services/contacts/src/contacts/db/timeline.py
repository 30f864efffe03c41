"""A contact's timeline: one page merged from the tables that know something of it, the newest first.

Each source gives at most one page, found by an index, so that a page costs the same however much there is.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
from common.db.pool import Connection

KINDS = ("consent", "stage", "note", "import")

# The index of activity has the type before the time: so one look-up per type, and the types by jumping from one to
# the next ("loose index scan", PostgreSQL wiki).
_ACTIVITY = """
(with recursive kinds as (
   (select type from activity where workspace_id = $1 and contact_id = $2 order by type limit 1)
   union all
   select (select a.type from activity a
            where a.workspace_id = $1 and a.contact_id = $2 and a.type > kinds.type order by a.type limit 1)
     from kinds where kinds.type is not null)
 select a.* from kinds cross join lateral (
   select event_id as id, type as kind, at,
          jsonb_build_object('campaign_id', campaign_id, 'message_id', message_id, 'machine', machine,
                             'properties', properties) as data
     from activity
    where workspace_id = $1 and contact_id = $2 and type = kinds.type and at <= $3 and (at, event_id) < ($3, $4)
    order by at desc, event_id desc limit $5) a
  where $6::text[] is null or kinds.type = any($6))
"""
_OTHERS: Mapping[str, str] = {
    "consent": """
(select id, 'consent' as kind, at,
        jsonb_build_object('purpose_id', purpose_id, 'status', status, 'source', source, 'actor', actor) as data
   from consent_records where workspace_id = $1 and contact_id = $2 and (at, id) < ($3, $4)
  order by at desc, id desc limit $5)
""",
    "stage": """
(select id, 'stage' as kind, at,
        jsonb_build_object('from_stage', from_stage, 'to_stage', to_stage, 'actor', actor, 'cause', cause) as data
   from stage_transitions where workspace_id = $1 and contact_id = $2 and (at, id) < ($3, $4)
  order by at desc, id desc limit $5)
""",
    "note": """
(select id, 'note' as kind, at, jsonb_build_object('text', text, 'author', author) as data
   from contact_notes where workspace_id = $1 and contact_id = $2 and (at, id) < ($3, $4)
  order by at desc, id desc limit $5)
""",
    "import": """
(select i.id, 'import' as kind, i.created_at as at,
        jsonb_build_object('filename', i.filename, 'by', i.created_by) as data
   from imports i
  where i.workspace_id = $1 and (i.created_at, i.id) < ($3, $4)
    and i.id in (select import_id from consent_records where workspace_id = $1 and contact_id = $2)
  order by i.created_at desc, i.id desc limit $5)
""",
}


async def page(
    tx: Connection,
    workspace_id: UUID,
    contact_id: UUID,
    types: Collection[str],
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[asyncpg.Record]:
    """What happened, the newest first. `types`: of KINDS or types of activity; none: everything."""
    events = sorted(set(types) - set(KINDS))
    sources = [_ACTIVITY] if events or not types else []
    sources += [sql for kind, sql in _OTHERS.items() if not types or kind in types]
    statement = f"select * from ({' union all '.join(sources)}) merged order by at desc, id desc limit $5"  # noqa: S608
    at, last = before or (datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))
    args = [workspace_id, contact_id, at, last, limit]
    return await tx.fetch(statement, *args, *([events or None] if sources[0] is _ACTIVITY else []))
