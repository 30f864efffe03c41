"""Human opens, clicks and unsubscribes count for the contact's score, once settled; and what it did elsewhere."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from common.contracts.email import EmailReclassifiedV1, TrackedData
from common.contracts.envelope import Received
from common.contracts.leads import ContactActivityV1, LeadMergedV1
from common.db.pool import Connection

from analytics.db import scores


def note_for_scoring(type_: str, settle_s: float) -> Callable[[Connection, Sequence[Received[Any]]], Awaitable[None]]:
    """A handler that stores a human's event; the contact is scored `settle_s` seconds later.

    The wait leaves time to find out that a click was a machine's after all.
    """

    async def note(tx: Connection, events: Sequence[Received[Any]]) -> None:
        due_at = datetime.now(UTC) + timedelta(seconds=settle_s)
        human = [
            event
            for event in events
            if event.data.contact_id is not None and not (isinstance(event.data, TrackedData) and event.data.machine)
        ]
        if human:
            await scores.add_events(
                tx,
                [(event.workspace_id, event.data.contact_id, event.id) for event in human],
                [type_] * len(human),
                [event.time for event in human],
                [due_at] * len(human),
            )

    return note


async def note_activity(tx: Connection, events: Sequence[Received[ContactActivityV1]]) -> None:
    """What contacts did elsewhere; the rules say whether it counts."""
    await scores.add_events(
        tx,
        [(event.workspace_id, event.data.contact_id, event.id) for event in events],
        [event.data.type for event in events],
        [event.data.occurred_at for event in events],
        [datetime.now(UTC)] * len(events),
    )


async def score_anew(tx: Connection, events: Sequence[Received[EmailReclassifiedV1]]) -> None:
    """A click turned out to be a machine's, or a person's after all; which, the clicks themselves say."""
    people = sorted(
        {(event.workspace_id, event.data.contact_id) for event in events if event.data.contact_id is not None}
    )
    if people:
        await scores.note_due(tx, people)


async def follow_merges(tx: Connection, events: Sequence[Received[LeadMergedV1]]) -> None:
    """What a merged contact did counts for the one it became, until the merge is taken back."""
    await scores.merge(
        tx,
        [event.workspace_id for event in events],
        [event.data.merged_id for event in events],
        [event.data.contact_id for event in events],
        [event.data.active for event in events],
        [event.data.revision for event in events],
    )
