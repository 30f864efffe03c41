"""Suppressing and lifting; contacts is the authority, delivery follows."""

from datetime import datetime
from uuid import UUID

import asyncpg
from common.db.pool import Connection, Database
from common.ids import new_id

from contacts import events
from contacts.db import suppressions
from contacts.db.suppressions import Suppression
from contacts.domain.addresses import Addresses, NotAnAddress
from contacts.errors import InvalidAddress, InvalidField, SuppressionNotFound


def read_target(addresses: Addresses, email: str | None, domain: str | None) -> tuple[str, bytes]:
    """Scope and keyed hash of one address or one domain. Raises InvalidAddress, InvalidField."""
    if (email is None) == (domain is None):
        raise InvalidField("exactly one of email and domain is needed", mend="Send one of the two")
    try:
        if email is not None:
            return "address", addresses.read(email).hash
        return "domain", addresses.read_domain(domain or "")
    except NotAnAddress as error:
        raise InvalidAddress(str(error), where="/email" if email is not None else "/domain") from error


async def suppress(
    tx: Connection,
    workspace_id: UUID,
    scope: str,
    hash_: bytes,
    reason: str,
    actor: str,
    *,
    expires_at: datetime | None = None,
) -> asyncpg.Record:
    """Suppress an address or domain and tell delivery. Repeating it renews reason and time."""
    wanted = Suppression(workspace_id, new_id(), scope, hash_, reason, actor=actor, expires_at=expires_at)
    rows = await suppressions.put(tx, [wanted])
    await events.publish(tx, [events.suppression_changed(row) for row in rows])
    return rows[0]


async def lift(tx: Connection, workspace_id: UUID, suppression_id: UUID, actor: str) -> None:
    """Lift a suppression and tell delivery; lifting it twice changes nothing. Raises SuppressionNotFound."""
    if await suppressions.get(tx, workspace_id, suppression_id) is None:
        raise SuppressionNotFound(suppression_id=str(suppression_id))
    row = await suppressions.lift(tx, workspace_id, suppression_id, actor)
    if row is not None:
        await events.publish(tx, [events.suppression_changed(row)])


async def lift_expired(db: Database) -> None:
    """The periodic job: suppressions whose time is over."""
    while True:
        async with db.transaction() as tx:
            rows = await suppressions.expire(tx)
            await events.publish(tx, [events.suppression_changed(row) for row in rows])
        if not rows:
            return
