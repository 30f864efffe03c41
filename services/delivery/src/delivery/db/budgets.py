"""What all mailers together may send over a route to a provider. Locked before mailings, and never waited for."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from delivery.domain.pacing import Pace

_ENSURE = """
insert into route_budgets (workspace_id, route_id, provider)
select * from unnest($1::uuid[], $2::uuid[], $3::text[]) order by 1, 2, 3 on conflict do nothing
"""

_KNOWN = "select workspace_id, route_id, provider from route_budgets"

# Another mailer that holds a row is taking from it now; there is other mail to send meanwhile.
_LOCK = """
select b.*, extract(epoch from clock_timestamp())::float8 as now from route_budgets b
 where b.workspace_id = $1 or b.workspace_id in (select workspace_id from mailings where active)
 order by b.workspace_id, b.route_id, b.provider for update skip locked
"""

_LOCK_ONE = """
select b.*, extract(epoch from clock_timestamp())::float8 as now,
       (select count(*) from mailers where expires_at > now())::int as mailers
  from route_budgets b where b.workspace_id = $1 and b.route_id = $2 and b.provider = $3 for update
"""

_STORE = """
update route_budgets b
   set next_slot = u.next_slot, ceiling = u.ceiling, base_rate = u.base_rate, refused_at = u.refused_at,
       paused_until = u.paused_until, pause_s = u.pause_s
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::float8[], $5::float8[], $6::float8[], $7::float8[], $8::float8[],
              $9::float8[])
         as u (workspace_id, route_id, provider, next_slot, ceiling, base_rate, refused_at, paused_until, pause_s)
 where b.workspace_id = u.workspace_id and b.route_id = u.route_id and b.provider = u.provider
"""

_DROP = """
delete from route_budgets b using unnest($1::uuid[], $2::uuid[], $3::text[]) as u (workspace_id, route_id, provider)
 where b.workspace_id = u.workspace_id and b.route_id = u.route_id and b.provider = u.provider
"""

# A statement of its own, after the rows were locked: it must see what their last holder committed.
_CONNECTIONS = """
select c.workspace_id, c.route_id, c.provider, coalesce(sum(c.n) filter (where c.mailer_id <> $1), 0)::int as others
  from route_connections c join mailers m on m.id = c.mailer_id and m.epoch = c.mailer_epoch and m.expires_at > now()
 group by 1, 2, 3
"""

_LEASE = """
insert into route_connections (workspace_id, route_id, provider, mailer_id, mailer_epoch, n)
select u.workspace_id, u.route_id, u.provider, $1, $2, u.n
  from unnest($3::uuid[], $4::uuid[], $5::text[], $6::int[]) as u (workspace_id, route_id, provider, n)
on conflict (workspace_id, route_id, provider, mailer_id)
   do update set mailer_epoch = excluded.mailer_epoch, n = excluded.n
"""

_LEAVE = "delete from route_connections where mailer_id = $1"
_FORGET = """
delete from route_connections c
 where not exists (select from mailers m where m.id = c.mailer_id and m.epoch = c.mailer_epoch)
"""
_ALL = "select *, extract(epoch from clock_timestamp())::float8 as now from route_budgets"
_OF_ROUTE = """
select b.*, extract(epoch from clock_timestamp())::float8 as now from route_budgets b
 where b.workspace_id = $1 and b.route_id = any($2)
"""

# Workspace, route, provider (or the rest).
Key = tuple[UUID, UUID, str]


@dataclass(frozen=True, slots=True)
class Locked:
    """A budget that this transaction holds. `now`: the database's clock."""

    pace: Pace
    now: float
    mailers: int = 1


def pace_of(row: asyncpg.Record) -> Pace:
    """A row's pace."""
    return Pace(
        row["next_slot"],
        row["ceiling"],
        row["base_rate"] or 0.0,
        row["refused_at"] or 0.0,
        row["paused_until"],
        row["pause_s"],
    )


async def ensure(tx: Connection, keys: Sequence[Key]) -> None:
    """Rows of these budgets exist."""
    await tx.execute(_ENSURE, [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys])


async def known(tx: Connection) -> set[Key]:
    """All budgets."""
    return {(row["workspace_id"], row["route_id"], row["provider"]) for row in await tx.fetch(_KNOWN)}


async def lock(tx: Connection, platform: UUID) -> dict[Key, Locked]:
    """Those of the platform and of workspaces that have something to send, which no other mailer holds."""
    rows = await tx.fetch(_LOCK, platform)
    return {(row["workspace_id"], row["route_id"], row["provider"]): Locked(pace_of(row), row["now"]) for row in rows}


async def lock_one(tx: Connection, key: Key) -> Locked | None:
    """One, waited for."""
    row = await tx.fetchrow(_LOCK_ONE, *key)
    return None if row is None else Locked(pace_of(row), row["now"], row["mailers"])


async def store(tx: Connection, paces: dict[Key, Pace]) -> None:
    """Write budgets that this transaction holds."""
    keys, values = list(paces), list(paces.values())
    await tx.execute(
        _STORE,
        [key[0] for key in keys],
        [key[1] for key in keys],
        [key[2] for key in keys],
        [pace.next_slot for pace in values],
        [pace.ceiling for pace in values],
        [pace.base_rate for pace in values],
        [pace.refused_at for pace in values],
        [pace.paused_until for pace in values],
        [pace.pause_s for pace in values],
    )


async def drop(tx: Connection, keys: Sequence[Key]) -> None:
    """Budgets that this transaction holds and nobody needs any more."""
    await tx.execute(_DROP, [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys])


async def connections(tx: Connection, mailer_id: UUID) -> dict[Key, int]:
    """How many connections the other mailers hold; after `lock`."""
    rows = await tx.fetch(_CONNECTIONS, mailer_id)
    return {(row["workspace_id"], row["route_id"], row["provider"]): row["others"] for row in rows}


async def lease(tx: Connection, mailer_id: UUID, epoch: int, held: dict[Key, int]) -> None:
    """How many connections this mailer holds of budgets that this transaction holds."""
    keys = list(held)
    await tx.execute(
        _LEASE,
        mailer_id,
        epoch,
        [key[0] for key in keys],
        [key[1] for key in keys],
        [key[2] for key in keys],
        list(held.values()),
    )


async def leave(tx: Connection, mailer_id: UUID) -> None:
    """This mailer holds no connection any more."""
    await tx.execute(_LEAVE, mailer_id)


async def forget(tx: Connection) -> None:
    """Connections of mailers that are gone."""
    await tx.execute(_FORGET)


async def everywhere(tx: Connection) -> list[asyncpg.Record]:
    """All budgets, with the database's clock."""
    return await tx.fetch(_ALL)


async def of_routes(tx: Connection, workspace_id: UUID, route_ids: list[UUID]) -> list[asyncpg.Record]:
    """The budgets of some routes of a workspace, with the database's clock."""
    return await tx.fetch(_OF_ROUTE, workspace_id, route_ids)
