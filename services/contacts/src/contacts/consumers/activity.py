"""What delivery tells about mails of contacts: sent, opened, clicked, come back. Segment rules count them."""

from collections.abc import Sequence

from common.contracts.email import (
    EmailBouncedV1,
    EmailClickedV1,
    EmailComplainedV1,
    EmailOpenedV1,
    EmailReclassifiedV1,
    EmailRepliedV1,
    EmailSentV1,
)
from common.contracts.envelope import Received
from common.contracts.topics import BY_CONTRACT
from common.db.pool import Connection

from contacts.db import activity

Mailed = EmailSentV1 | EmailOpenedV1 | EmailClickedV1 | EmailBouncedV1 | EmailComplainedV1 | EmailRepliedV1


async def record_activity(tx: Connection, events: Sequence[Received[Mailed]]) -> None:
    """Keep the facts about contacts; test mail and mail to strangers is not about any."""
    known = [(event, event.data.contact_id) for event in events if event.data.contact_id and event.data.kind != "test"]
    if not known:
        return
    if isinstance(known[0][0].data, EmailClickedV1):
        await activity.lock(tx, [event.id for event, _ in known])
    await activity.add(
        tx,
        BY_CONTRACT[type(known[0][0].data)].name,
        [event.workspace_id for event, _ in known],
        [event.id for event, _ in known],
        [contact_id for _, contact_id in known],
        [event.time for event, _ in known],
        [event.data.campaign_id for event, _ in known],
        [event.data.message_id for event, _ in known],
        [getattr(event.data, "machine", False) for event, _ in known],
    )


async def reclassify_clicks(tx: Connection, events: Sequence[Received[EmailReclassifiedV1]]) -> None:
    """Analytics found out who clicked; the highest revision stands."""
    await activity.lock(tx, [event.data.event_id for event in events])
    await activity.reclassify(
        tx,
        [event.workspace_id for event in events],
        [event.data.event_id for event in events],
        [event.data.machine for event in events],
        [event.data.revision for event in events],
    )
