"""Revoked access: a table that each service's `access` subscription fills and its API processes reload every second."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import structlog

from common.consumer.subscription import Consumer, Subscription
from common.contracts.campaigns import AccessRevokedV1
from common.contracts.envelope import Received
from common.db.pool import TRANSIENT, Connection, Database
from common.errors import Unauthorized
from common.web.tokens import Principal

RELOAD_S = 1.0

_STORE = """
insert into revoked_access (workspace_id, subject_kind, subject_id, not_before)
select workspace_id, subject_kind, subject_id, max(not_before)
from unnest($1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[])
     as new (workspace_id, subject_kind, subject_id, not_before)
group by workspace_id, subject_kind, subject_id
on conflict (workspace_id, subject_kind, subject_id) do update set not_before = excluded.not_before
where excluded.not_before > revoked_access.not_before
"""

_LOAD = "select workspace_id, subject_kind, subject_id, extract(epoch from not_before)::float8 from revoked_access"

_log = structlog.get_logger("barid.access")


async def _store(tx: Connection, events: Sequence[Received[AccessRevokedV1]]) -> None:
    await tx.execute(
        _STORE,
        [event.workspace_id for event in events],
        [event.data.subject_kind for event in events],
        [event.data.subject_id for event in events],
        [event.data.not_before for event in events],
    )


def access_consumer(name: str) -> Consumer:
    """The consumer group `<service>.access`, which every service runs."""
    return Consumer(name, (Subscription(AccessRevokedV1, _store),))


class Revocations:
    """This process's copy of the table."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._not_before: dict[tuple[UUID, str, UUID], float] | None = None

    async def reload(self) -> None:
        """Read the table again."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_LOAD)
        self._not_before = {(row[0], row[1], row[2]): row[3] for row in rows}

    async def check(self, principal: Principal) -> None:
        """Raises Unauthorized if the token, or its member, was revoked after it was issued."""
        if self._not_before is None:
            await self.reload()
        revoked = self._not_before or {}
        if not revoked:
            return
        for kind, subject in (("token", principal.token_id), ("member", principal.subject_id)):
            if principal.issued_at < revoked.get((principal.workspace_id, kind, subject), 0.0):
                raise Unauthorized("The token was revoked", mend="Get a new token")

    async def keep_fresh(self) -> None:
        """Reload every second, for ever. While the database is away the last copy stands."""
        while True:
            try:
                await self.reload()
            except TRANSIENT as error:
                _log.warning("revoked access not reloaded", error=type(error).__name__)
            await asyncio.sleep(RELOAD_S)
