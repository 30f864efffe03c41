"""Forgetting a person: two consumers share the database, and the second one to finish says so."""

from collections.abc import Sequence
from typing import Literal

from common.contracts.envelope import Received
from common.contracts.leads import LeadErasedV1
from common.db.pool import Connection

from analytics import events
from analytics.db import conversions, facts, projections, scores, tombstones


async def forget(tx: Connection, part: Literal["ingest", "scoring"], erased: Sequence[Received[LeadErasedV1]]) -> None:
    """Delete what this consumer keeps of the people, and leave the tombstone."""
    keys = [(event.workspace_id, event.data.contact_id, event.data.request_id) for event in erased]
    buried = await tombstones.bury(tx, part, keys)
    workspaces, contacts = [key[0] for key in keys], [key[1] for key in keys]
    if part == "ingest":
        await projections.forget(tx, workspaces, contacts)
        await facts.forget(tx, workspaces, contacts)
        await conversions.forget(tx, workspaces, contacts)
    else:
        await scores.forget(tx, workspaces, contacts)
    await events.erasures_done(tx, [row for row in buried if row["both_done"]])
