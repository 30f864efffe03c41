"""Looking for contacts that may be one person; a person decides."""

from uuid import UUID

from common.db.pool import Connection, Database

from contacts.db import contacts, duplicates
from contacts.errors import CannotMerge, ContactNotFound


async def find_everywhere(db: Database) -> None:
    """The periodic job: every workspace, one after the other."""
    async with db.transaction() as tx:
        found = await duplicates.workspaces(tx)
    for workspace_id in found:
        async with db.transaction(workspace_id) as tx:
            await duplicates.find(tx, workspace_id)


async def call_different(tx: Connection, workspace_id: UUID, one: UUID, other: UUID, actor: str) -> None:
    """They are two people. Raises ContactNotFound, CannotMerge."""
    if one == other:
        raise CannotMerge("This is one contact, not two", mend="Name two contacts")
    for contact_id in (one, other):
        if await contacts.get(tx, workspace_id, contact_id) is None:
            raise ContactNotFound(contact_id=str(contact_id))
    await duplicates.different(tx, workspace_id, one, other, actor)
