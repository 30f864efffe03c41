"""Registered, attended, missed: of what is told, only what changes somebody's status becomes activity."""

from collections.abc import Sequence
from uuid import UUID, uuid5

from common.db.pool import Connection

from contacts.db import occasions
from contacts.db.outside_events import Happened
from contacts.domain.attendance import PREFIX, follows


async def changes(tx: Connection, workspace_id: UUID, told: Sequence[Happened]) -> list[Happened]:
    """What of this changes a status; all the rest is left alone."""
    attendance = [one for one in told if one.type.startswith(PREFIX)]
    if not attendance:
        return list(told)
    found = [one for one in told if not one.type.startswith(PREFIX)]
    ids = sorted({_occasion(one) for one in attendance})
    await occasions.lock(tx, workspace_id, ids)
    standings = await occasions.standings(tx, workspace_id, ids, sorted({one.contact_id for one in attendance}))
    withdrawn, late = [], set()
    for one in attendance:
        key = (_occasion(one), one.contact_id)
        before, after = standings.get(key), one.type.removeprefix(PREFIX)
        if not follows(before, after):
            continue
        standings[key] = after
        if before == "missed":
            withdrawn.append(key)
        if after == "registered":
            late.add(key[0])
        # By person and occasion, so that it is one fact whichever of their names they were called by.
        event_id = uuid5(workspace_id, f"{one.type} {key[0]} {key[1]}")
        properties = {**one.properties, "before": before} if before else one.properties
        found.append(one._replace(event_id=event_id, properties=properties))
    if withdrawn:
        await occasions.withdraw_missed(tx, workspace_id, withdrawn)
    if late:
        await occasions.reopen(tx, workspace_id, sorted(late))
    return found


def _occasion(one: Happened) -> UUID:
    return UUID(one.properties["occasion_id"])
