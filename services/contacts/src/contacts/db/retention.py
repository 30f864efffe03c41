"""What a workspace keeps how long, and taking out what is older: some rows at a time."""

from collections import defaultdict
from collections.abc import Mapping
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from contacts.db import segment_members
from contacts.domain.retention import Kind

# The rows of a kind that are too old; $2 days, $3 how many at most. Activity is found type by type: that has an index.
_OLD: Mapping[Kind, tuple[str, str]] = {
    "activity": (
        "activity",
        """
with recursive types as (
  (select type from activity where workspace_id = $1 order by type limit 1)
  union all
  select (select a.type from activity a where a.workspace_id = $1 and a.type > t.type order by a.type limit 1)
    from types t where t.type is not null)
select o.place from types cross join lateral (
  select ctid as place from activity a
   where a.workspace_id = $1 and a.type = types.type and a.at < now() - make_interval(days => $2)
   order by a.at limit $3 {lock}) o
 limit $3""",
    ),
    # What a consent rests on stays.
    "form_submissions": (
        "form_submissions",
        """
select ctid as place from form_submissions
 where workspace_id = $1 and at < now() - make_interval(days => $2) and outcome not in ('subscribed', 'confirmed')
 limit $3 {lock}""",
    ),
    "contact_notes": (
        "contact_notes",
        """
select ctid as place from contact_notes
 where workspace_id = $1 and at < now() - make_interval(days => $2) limit $3 {lock}""",
    ),
    "stage_transitions": (
        "stage_transitions",
        """
select ctid as place from stage_transitions
 where workspace_id = $1 and at < now() - make_interval(days => $2) limit $3 {lock}""",
    ),
    "import_rejects": (
        "import_rejects",
        """
select r.ctid as place from imports i
  join import_rejects r on r.workspace_id = i.workspace_id and r.import_id = i.id
 where i.workspace_id = $1 and i.finished_at < now() - make_interval(days => $2) limit $3 {lock}""",
    ),
}
_LOCKS: Mapping[Kind, str] = {"import_rejects": "for update of r skip locked"}
_LOCK = "for update skip locked"

_PUT = """
insert into retention_rules as r (workspace_id, days, updated_by) values ($1, $2, $3)
on conflict (workspace_id) do update
   set days = excluded.days, updated_by = excluded.updated_by, revision = r.revision + 1, updated_at = now()
returning *
"""


async def get(tx: Connection, workspace_id: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    """The workspace's rules, if it has any."""
    return await tx.fetchrow(
        f"select * from retention_rules where workspace_id = $1{' for update' if lock else ''}",  # noqa: S608
        workspace_id,
    )


async def put(tx: Connection, workspace_id: UUID, days: Mapping[str, int | None], actor: str) -> asyncpg.Record:
    """New rules, in the place of the old ones."""
    row = await tx.fetchrow(_PUT, workspace_id, dict(days), actor)
    assert row is not None  # noqa: S101
    return row


async def count(tx: Connection, workspace_id: UUID, kind: Kind, days: int, most: int) -> int:
    """How many rows are too old; no further than `most`."""
    old = _OLD[kind][1].format(lock="")
    rows: int = await tx.fetchval(f"select count(*) from ({old}) o", workspace_id, days, most)  # noqa: S608
    return rows


async def remove(tx: Connection, workspace_id: UUID, kind: Kind, days: int, most: int) -> int:
    """Take out some of the rows that are too old; how many."""
    table, old = _OLD[kind]
    old = old.format(lock=_LOCKS.get(kind, _LOCK))
    told = "contact_id, type" if kind == "activity" else "1 as one"
    gone = await tx.fetch(
        f"delete from {table} where ctid = any(array({old})) returning {told}",  # noqa: S608
        workspace_id,
        days,
        most,
    )
    if kind == "activity":
        await _look_again(tx, workspace_id, gone)
    return len(gone)


async def _look_again(tx: Connection, workspace_id: UUID, gone: list[asyncpg.Record]) -> None:
    """Segments that count what is gone judge these contacts anew."""
    people: dict[str, set[UUID]] = defaultdict(set)
    for row in gone:
        people[row["type"]].add(row["contact_id"])
    for kind, ids in sorted(people.items()):
        await segment_members.touch(tx, workspace_id, sorted(ids), kind)
