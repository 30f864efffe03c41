"""Warm-up plans: how many messages a sending domain may send on each day on which it sends."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import asyncpg
from common.db.pool import Connection

from delivery.domain.warmup import Plan

_ANY = "select exists (select from warmups)"
_ACTIVE = "workspace_id in (select workspace_id from mailings where active)"
_DOMAINS = f"select workspace_id, domain from warmups where {_ACTIVE}"  # noqa: S608 - a constant
_TODAY = "(coalesce($1, now()) at time zone 'UTC')::date as today"
_LOCK = f"""
select w.*, {_TODAY} from warmups w where {_ACTIVE} order by w.workspace_id, w.domain for update of w skip locked
"""  # noqa: S608 - constants
_ALL = f"select w.*, {_TODAY} from warmups w"  # noqa: S608 - a constant
_STORE = """
update warmups w set day = u.day, number = u.number, used = u.used
  from unnest($1::uuid[], $2::text[], $3::date[], $4::int[], $5::int[]) as u (workspace_id, domain, day, number, used)
 where w.workspace_id = u.workspace_id and w.domain = u.domain
"""
_GET = f"select *, {_TODAY} from warmups where workspace_id = $2 and domain = $3"  # noqa: S608 - a constant
_PUT = """
insert into warmups as w (workspace_id, domain, daily, day) values ($1, $2, $3, (now() at time zone 'UTC')::date)
on conflict (workspace_id, domain) do update
   set daily = excluded.daily, revision = w.revision + 1, updated_at = now()
returning *, (now() at time zone 'UTC')::date as today
"""
_DELETE = "delete from warmups where workspace_id = $1 and domain = $2"

# Workspace and domain.
Key = tuple[UUID, str]


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans that this transaction holds, as they are today, and all domains that have one."""

    held: dict[Key, Plan]
    domains: list[Key]


def plan_of(row: asyncpg.Record) -> Plan:
    """A row's plan as it is today."""
    today: date = row["today"]
    return Plan(row["daily"], row["number"], row["day"], row["used"]).on(today)


async def any_at_all(tx: Connection) -> bool:
    """Whether any domain has a plan."""
    return bool(await tx.fetchval(_ANY))


async def full(tx: Connection) -> int:
    """How many domains have no room left today."""
    return sum(plan_of(row).left == 0 for row in await tx.fetch(_ALL, None))


async def lock(tx: Connection, at: datetime | None = None) -> Plans:
    """Plans of workspaces that have something to send, which no other mailer holds; before mailings are locked.

    The day is in UTC by the database's clock, unless `at` says what time it is.
    """
    domains = [(row["workspace_id"], row["domain"]) for row in await tx.fetch(_DOMAINS)]
    rows = await tx.fetch(_LOCK, at)
    return Plans({(row["workspace_id"], row["domain"]): plan_of(row) for row in rows}, domains)


async def store(tx: Connection, plans: dict[Key, Plan]) -> None:
    """Write how far plans that this transaction holds are."""
    keys, values = list(plans), list(plans.values())
    await tx.execute(
        _STORE,
        [key[0] for key in keys],
        [key[1] for key in keys],
        [plan.day for plan in values],
        [plan.number for plan in values],
        [plan.used for plan in values],
    )


async def get(tx: Connection, workspace_id: UUID, domain: str, *, lock: bool = False) -> asyncpg.Record | None:
    """One plan."""
    return await tx.fetchrow(_GET + (" for update" if lock else ""), None, workspace_id, domain)


async def put(tx: Connection, workspace_id: UUID, domain: str, daily: list[int]) -> asyncpg.Record:
    """Begin a plan, or give the one under way other caps: it goes on from the day it is at."""
    (row,) = await tx.fetch(_PUT, workspace_id, domain, daily)
    return row


async def delete(tx: Connection, workspace_id: UUID, domain: str) -> None:
    """There is no plan for the domain any more."""
    await tx.execute(_DELETE, workspace_id, domain)
