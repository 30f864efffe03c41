"""Who is in which segment: the queue of what changed, and the one statement that brings members up to date."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from common.db.pool import Connection
from sqlalchemy.dialects.postgresql import ARRAY

from contacts.db import segment_sql, segment_tables
from contacts.domain.segment_binding import Bound, Leaf

Cause = Literal["changed", "time", "rule"]


@dataclass(frozen=True, slots=True)
class Touched:
    """Contacts that changed, and in what."""

    contact_ids: Sequence[UUID]
    what: Sequence[str]


async def lock(tx: Connection, workspace_id: UUID) -> None:
    """Nobody else moves members of this workspace until the transaction ends.

    Two who judged the same contact side by side could otherwise write in the other order than they had looked.
    """
    await tx.execute("select pg_advisory_xact_lock(hashtextextended('segments' || $1::uuid::text, 0))", workspace_id)


_WAITING = "select workspace_id, bool_and(bulk) as bulk from segment_touched group by 1 order by 2, random() limit 100"


async def waiting(tx: Connection) -> list[UUID]:
    """Workspaces with changes to look at; those where only bulk waits come last."""
    return [row["workspace_id"] for row in await tx.fetch(_WAITING)]


_TAKE = """
delete from segment_touched t
 using (select id from (
          select id, sum(cardinality(contact_ids)) over (order by id) - cardinality(contact_ids) as before
            from (select id, contact_ids from segment_touched
                   where workspace_id = $1 and bulk = $2 order by id limit $4) oldest) counted
         where before < $3) taken
 where t.workspace_id = $1 and t.bulk = $2 and t.id = taken.id
returning t.contact_ids, t.what
"""


async def take(tx: Connection, workspace_id: UUID, most: int, *, bulk: bool) -> list[Touched]:
    """The oldest changes, of about so many contacts. They are gone when the transaction is committed."""
    # Rows of the bulk are long: more of them would be read only to be left.
    rows = await tx.fetch(_TAKE, workspace_id, bulk, most, most // 100 if bulk else 200)
    return [Touched(row["contact_ids"], row["what"]) for row in rows]


async def touch(tx: Connection, workspace_id: UUID, contact_ids: Sequence[UUID], what: str) -> None:
    """Put contacts into the queue."""
    await tx.execute(
        "insert into segment_touched (workspace_id, bulk, contact_ids, what)"
        " select $1, cardinality($2::uuid[]) > 100, array_agg(id), array[$3::text]"
        "   from (select id, (row_number() over () - 1) / 2000 as part from unnest($2::uuid[]) id) r group by part",
        workspace_id,
        contact_ids,
        what,
    )


def _among(contact_ids: Sequence[UUID]) -> sa.Select[Any]:
    ids = sa.bindparam("among", list(contact_ids), ARRAY(sa.Uuid()), unique=True)
    return sa.select(sa.func.unnest(ids).label("id"))


def _between(workspace_id: UUID, after: UUID, last: UUID) -> sa.Select[Any]:
    contacts = segment_tables.contacts.c
    return sa.select(contacts.id).where(contacts.workspace_id == workspace_id, contacts.id > after, contacts.id <= last)


# The members that the rule holds for are those the statement sees; it also sees who was one.
_MOVE = """
with inside as materialized ({inside}),
entered as (
  insert into segment_members (workspace_id, segment_id, contact_id, since)
  select ${n}, ${n1}, id, ${n2} from inside order by id on conflict do nothing returning contact_id),
gone as (
  delete from segment_members m
   where m.workspace_id = ${n} and m.segment_id = ${n1} and {scope}
     and not exists (select from inside i where i.id = m.contact_id)
  returning contact_id),
sized as (
  update segment_states
     set size = size + (select count(*) from entered) - (select count(*) from gone)
   where workspace_id = ${n} and segment_id = ${n1}
     and (select count(*) from entered) <> (select count(*) from gone)),
told as (
  insert into outbox (lane, topic, type, key, event_id, workspace_id, time, payload)
  select ${n3}, topic, type, contact_id::text, gen_random_uuid(), ${n}, ${n2},
         json_build_object('revision', nextval('segment_moves'), 'segment_id', ${n1}::uuid,
                           'contact_id', contact_id, 'cause', ${n4}::text)::text
    from (select contact_id, 'segment.entered' as topic, 'segment.entered.v1' as type from entered
          union all
          -- nobody is told that an erased person left
          select g.contact_id, 'segment.left', 'segment.left.v1' from gone g
           where (select c.id from contacts c
                   where c.workspace_id = ${n} and c.id between g.contact_id and g.contact_id
                   order by c.id limit 1) is not null) moved
   where ${n3}::smallint is not null)
select (select count(*) from entered) as entered, (select count(*) from gone) as gone
"""


async def move(
    tx: Connection,
    workspace_id: UUID,
    segment_id: UUID,
    rule: Bound,
    now: datetime,
    scope: Sequence[UUID] | tuple[UUID, UUID],
    *,
    cause: Cause,
    lane: int | None,
) -> asyncpg.Record:
    """Make the members among these contacts (ids, or a range of ids as a tuple) those for whom the rule holds.

    `lane` None: nobody is told. Done again, it changes nothing.
    """
    if isinstance(scope, tuple):
        ids, members, args = _between(workspace_id, *scope), "m.contact_id > ${a} and m.contact_id <= ${b}", list(scope)
    else:
        ids, members, args = _among(scope), "m.contact_id = any(${a}::uuid[])", [scope]
    query = segment_sql.statement(segment_sql.judged(rule, workspace_id, now, ids))
    n = len(query.args) + 1
    text = _MOVE.format(
        inside=query.sql,
        scope=members.format(a=n + 5, b=n + 6),
        n=n,
        n1=n + 1,
        n2=n + 2,
        n3=n + 3,
        n4=n + 4,
    )
    row = await tx.fetchrow(text, *query.args, workspace_id, segment_id, now, lane, cause, *args)
    assert row is not None  # noqa: S101
    return row


async def last_of_range(tx: Connection, workspace_id: UUID, after: UUID, size: int) -> UUID | None:
    """Where a range of so many contacts ends; None: fewer are left."""
    last: UUID | None = await tx.fetchval(
        "select case when count(*) = $3 then (array_agg(id order by id desc))[1] end from"
        " (select id from contacts where workspace_id = $1 and id > $2 order by id limit $3) part",
        workspace_id,
        after,
        size,
    )
    return last


async def page(
    tx: Connection, workspace_id: UUID, segment_id: UUID, after: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """Members by id."""
    return await tx.fetch(
        "select c.id, c.email, c.first_name, c.last_name, c.language, c.country, m.since"
        "  from segment_members m join contacts c on c.workspace_id = m.workspace_id and c.id = m.contact_id"
        " where m.workspace_id = $1 and m.segment_id = $2 and m.contact_id > $3 order by m.contact_id limit $4",
        workspace_id,
        segment_id,
        after or UUID(int=0),
        limit,
    )


async def drop(tx: Connection, workspace_id: UUID, segment_id: UUID, most: int) -> bool:
    """Forget some members of a deleted segment, and the rest of it with the last of them; whether more are left."""
    done = await tx.execute(
        "delete from segment_members where (workspace_id, segment_id, contact_id) in"
        " (select workspace_id, segment_id, contact_id from segment_members"
        "   where workspace_id = $1 and segment_id = $2 limit $3)",
        workspace_id,
        segment_id,
        most,
    )
    if done != "DELETE 0":
        return True
    for table in ("segment_sizes", "segment_states"):
        await tx.execute(
            f"delete from {table} where workspace_id = $1 and segment_id = $2",  # noqa: S608
            workspace_id,
            segment_id,
        )
    return False


async def crossing(tx: Connection, workspace_id: UUID, leaf: Leaf, before: datetime, now: datetime) -> list[UUID]:
    """The contacts for whom the clock alone may have changed the condition since."""
    query = segment_sql.statement(segment_sql.crossing(leaf, workspace_id, before, now))
    return [row["id"] for row in await tx.fetch(query.sql, *query.args)]
