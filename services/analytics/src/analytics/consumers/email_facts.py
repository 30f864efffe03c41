"""email.*: store the fact, count what is new."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from common.contracts.email import EmailBouncedV1, EmailClickedV1, EmailFailedV1, EmailStatusData, TrackedData
from common.contracts.envelope import Received
from common.db.pool import Connection

from analytics.db import bounces, facts, statuses, touches

NO_VARIANT = ""


def store_status(status: str) -> Callable[[Connection, Sequence[Received[Any]]], Awaitable[None]]:
    """A handler that stores a status event and lets the highest revision of each message stand."""

    async def store(tx: Connection, events: Sequence[Received[EmailStatusData]]) -> None:
        await facts.insert_new(tx, f"email.{status}", events)
        await statuses.apply(
            tx,
            [
                statuses.Status(
                    event.workspace_id,
                    event.data.message_id,
                    event.data.campaign_id,
                    event.data.variant_id or NO_VARIANT,
                    event.data.revision,
                    status,
                    event.data.failure if isinstance(event.data, EmailFailedV1) else "",
                    event.time,
                )
                for event in events
                if event.data.kind == "campaign" and event.data.campaign_id is not None
            ],
        )

    return store


def count_touch(kind: str) -> Callable[[Connection, Sequence[Received[Any]]], Awaitable[None]]:
    """A handler that stores an open, complaint or the like and counts it once. Test and single mail is not counted."""

    async def count(tx: Connection, events: Sequence[Received[Any]]) -> None:
        new = await facts.insert_new(tx, f"email.{kind}", events)
        counted: list[touches.Touch] = []
        for event in events:
            data = event.data
            if event.id not in new or data.kind != "campaign" or data.campaign_id is None:
                continue
            new.discard(event.id)
            clicked = data if isinstance(data, EmailClickedV1) else None
            counted.append(
                touches.Touch(
                    event.workspace_id,
                    data.campaign_id,
                    data.message_id,
                    data.variant_id or NO_VARIANT,
                    kind,
                    clicked.link if clicked else touches.ANY_LINK,
                    clicked.url if clicked else None,
                    isinstance(data, TrackedData) and data.machine,
                )
            )
        await touches.add(tx, counted)

    return count


async def store_bounces(tx: Connection, events: Sequence[Received[EmailBouncedV1]]) -> None:
    """Store bounces, and let one verdict of each campaign message stand."""
    await facts.insert_new(tx, "email.bounced", events)
    await bounces.put(
        tx,
        [
            bounces.Bounce(
                event.workspace_id,
                event.data.message_id,
                event.data.campaign_id,
                event.data.bounce,
                event.data.reason,
                event.time,
                event.id,
            )
            for event in events
            if event.data.kind == "campaign" and event.data.campaign_id is not None
        ],
    )
