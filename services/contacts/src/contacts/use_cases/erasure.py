"""Erasing people: here at once, elsewhere by event; the request says who has and who has not."""

from datetime import UTC, datetime
from uuid import UUID

import asyncpg
from common.db.pool import Connection
from common.ids import new_id

from contacts import events
from contacts.db import contacts, merges, privacy
from contacts.errors import ContactNotFound

SERVICES = ("contacts", "campaigns", "delivery", "analytics")


async def request_erasure(tx: Connection, workspace_id: UUID, contact_id: UUID, requested_by: str) -> asyncpg.Record:
    """Erase a person here and tell every service. Contacts that were merged into theirs go too, each by a request of
    its own. Raises ContactNotFound.
    """
    if await contacts.get_locked(tx, workspace_id, contact_id) is None:
        raise ContactNotFound(contact_id=str(contact_id))
    for alias in await merges.aliases(tx, workspace_id, contact_id):
        await _erase(tx, workspace_id, alias["alias_id"], requested_by)
    return await _erase(tx, workspace_id, contact_id, requested_by)


async def _erase(tx: Connection, workspace_id: UUID, contact_id: UUID, requested_by: str) -> asyncpg.Record:
    request_id = new_id()
    row = await privacy.insert(tx, workspace_id, request_id, "erase", contact_id, requested_by)
    assert row is not None  # noqa: S101
    hashes = await privacy.erase(tx, workspace_id, [contact_id], request_id)
    now = datetime.now(UTC)
    await privacy.done(tx, [workspace_id], [request_id], ["contacts"], [now], len(SERVICES))
    await events.publish(tx, [events.lead_erased(workspace_id, contact_id, request_id, hashes)])
    return row
