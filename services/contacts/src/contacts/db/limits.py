"""How often something may come without a login, counted in the database so that every process counts together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from common.db.pool import Connection

_USE = """
insert into public_limits as l (workspace_id, kind, subject, began, used)
select $1, kind, subject, now(), 1 from unnest($2::text[], $3::bytea[]) n (kind, subject) order by kind, subject
on conflict (workspace_id, kind, subject) do update
   set began = case when l.began <= now() - ($4::jsonb ->> l.kind)::interval then now() else l.began end,
       used = case when l.began <= now() - ($4::jsonb ->> l.kind)::interval then 1 else l.used + 1 end
returning kind, used
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many of a subject in a window."""

    kind: str
    subject: bytes
    most: int
    window: timedelta


async def used_up(tx: Connection, workspace_id: UUID, limits: Sequence[Limit]) -> str | None:
    """Count one more for each subject; the kind of the first limit that is exceeded by it, in the given order."""
    rows = await tx.fetch(
        _USE,
        workspace_id,
        [one.kind for one in limits],
        [one.subject for one in limits],
        {one.kind: f"{one.window.total_seconds()} seconds" for one in limits},
    )
    used = {row["kind"]: row["used"] for row in rows}
    return next((one.kind for one in limits if used[one.kind] > one.most), None)


async def forget(tx: Connection) -> None:
    """Forget windows that are over."""
    await tx.execute("delete from public_limits where began < now() - interval '2 days'")
