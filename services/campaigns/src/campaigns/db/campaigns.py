"""Rows of campaigns: drafts, schedules, and what was compiled."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from common.db.pool import Connection

_SELECT = """
select c.*, p.key as purpose from campaigns c
join purposes p on p.workspace_id = c.workspace_id and p.id = c.purpose_id
"""
_INSERT = """
insert into campaigns (workspace_id, id, name, sender_id, purpose_id, program_id, audience, content, tracking,
  uncertain_policy, send_until)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""
_GET = f"{_SELECT} where c.workspace_id = $1 and c.id = $2"
# The fragments are of this list's grammar: names of columns, and numbers of parameters.
_PAGE = """
select c.workspace_id, c.id, c.name, c.status, c.reason, c.detail, c.sender_id, p.key as purpose, c.purpose_id,
  c.program_id, c.scheduled_at, c.started_at, c.finished_at, c.created_at, c.updated_at, c.revision
from campaigns c join purposes p on p.workspace_id = c.workspace_id and p.id = c.purpose_id
where c.workspace_id = $1 and {where} order by {order} limit {limit}
"""
_UPDATE = """
update campaigns set name = $3, sender_id = $4, purpose_id = $5, program_id = $6, audience = $7, content = $8,
  tracking = $9, uncertain_policy = $10, send_until = $11, revision = revision + 1, updated_at = now()
where workspace_id = $1 and id = $2
"""
_DELETE = "delete from campaigns where workspace_id = $1 and id = $2"
_SCHEDULE = """
update campaigns set status = case when $3::timestamptz is null then 'draft' else 'scheduled' end, scheduled_at = $3,
  reason = null, detail = null, finished_at = null, warnings = $4, revision = revision + 1, updated_at = now()
where workspace_id = $1 and id = $2
"""
_START = """
update campaigns set status = 'running', reason = null, detail = null, started_at = now(), finished_at = null,
  compiled = $3, warnings = $4, wish = 'running', state_revision = 1, running_revision = 1, revision = revision + 1,
  updated_at = now()
where workspace_id = $1 and id = $2
"""
_END_UNSTARTED = """
update campaigns set status = $3, reason = $4, detail = $5, finished_at = now(), revision = revision + 1,
  updated_at = now()
where workspace_id = $1 and id = $2
"""
_CLAIM_DUE = """
select workspace_id, id, scheduled_at, now() as now from campaigns
where status = 'scheduled' and scheduled_at <= now() and id <> all ($1::uuid[])
order by scheduled_at limit 1
for update skip locked
"""


async def insert(tx: Connection, workspace_id: UUID, campaign_id: UUID, columns: tuple[Any, ...]) -> None:
    """A new draft; the columns as `use_cases.campaigns` gives them."""
    await tx.execute(_INSERT, workspace_id, campaign_id, *columns)


async def get(tx: Connection, workspace_id: UUID, campaign_id: UUID, *, lock: bool = False) -> asyncpg.Record | None:
    """One campaign, whole, with its purpose's key."""
    return await tx.fetchrow(_GET + (" for update of c" if lock else ""), workspace_id, campaign_id)


async def page(
    tx: Connection, workspace_id: UUID, where: str, order: str, limit: int, args: Sequence[Any]
) -> list[asyncpg.Record]:
    """A selection of the list's grammar, without content."""
    return await tx.fetch(_PAGE.format(where=where, order=order, limit=limit), workspace_id, *args)


async def update(tx: Connection, workspace_id: UUID, campaign_id: UUID, columns: tuple[Any, ...]) -> None:
    """Store the draft anew."""
    await tx.execute(_UPDATE, workspace_id, campaign_id, *columns)


async def delete(tx: Connection, workspace_id: UUID, campaign_id: UUID) -> None:
    """Remove a draft for good."""
    await tx.execute(_DELETE, workspace_id, campaign_id)


async def schedule(
    tx: Connection, workspace_id: UUID, campaign_id: UUID, at: datetime | None, warnings: list[dict[str, Any]]
) -> None:
    """Set the time, or take it away."""
    await tx.execute(_SCHEDULE, workspace_id, campaign_id, at, warnings)


async def start(
    tx: Connection, workspace_id: UUID, campaign_id: UUID, compiled: dict[str, Any], warnings: list[dict[str, Any]]
) -> None:
    """The campaign runs from now on, at state revision 1."""
    await tx.execute(_START, workspace_id, campaign_id, compiled, warnings)


async def end_unstarted(
    tx: Connection, workspace_id: UUID, campaign_id: UUID, status: str, reason: str | None, detail: str | None
) -> None:
    """Cancelled or failed before it began; nobody outside has heard of it."""
    await tx.execute(_END_UNSTARTED, workspace_id, campaign_id, status, reason, detail)


async def claim_due(tx: Connection, passed_over: Sequence[UUID]) -> asyncpg.Record | None:
    """One scheduled campaign whose time has come, locked, and not one of those; None if there is none."""
    return await tx.fetchrow(_CLAIM_DUE, passed_over)
