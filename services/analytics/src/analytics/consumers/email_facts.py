"""email.*: store the fact, count what is new."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from common.contracts.email import (
    EmailBouncedV1,
    EmailClickedV1,
    EmailData,
    EmailDeferredV1,
    EmailFailedV1,
    EmailStatusData,
    TrackedData,
)
from common.contracts.envelope import Received
from common.db.pool import Connection

from analytics.db import bounces, clicks, deferrals, facts, statuses, touches
from analytics.use_cases.judging import RULES, judge_clicks

NO_VARIANT = ""


def store_status(status: str) -> Callable[[Connection, Sequence[Received[Any]]], Awaitable[None]]:
    """A handler that stores a status event and lets the highest revision of each message stand."""

    async def store(tx: Connection, events: Sequence[Received[EmailStatusData]]) -> None:
        await facts.insert_new(tx, f"email.{status}", events)
        stood = [(event.workspace_id, event.data.message_id) for event in events]
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
                    getattr(event.data, "provider", None),
                )
                for event in events
                if event.data.kind == "campaign" and event.data.campaign_id is not None
            ],
        )
        # A click may be told before the sending it came too soon after.
        if clicked := await clicks.clicked(tx, stood):
            await clicks.lock(tx, clicked)
            await judge_clicks(tx, clicked)

    return store


async def store_deferrals(tx: Connection, events: Sequence[Received[EmailDeferredV1]]) -> None:
    """Store that messages were put off, each time."""
    await store_status("deferred")(tx, events)
    await deferrals.add(
        tx,
        [
            (event.workspace_id, event.id, event.data.message_id, event.data.provider, event.time)
            for event in events
            if _counts(event.data)
        ],
    )


async def store_clicks(tx: Connection, events: Sequence[Received[EmailClickedV1]]) -> None:
    """Store clicks, count each once, and judge all clicks of their messages anew."""
    new = await facts.insert_new(tx, "email.clicked", events)
    fresh = list({event.id: event for event in events if event.id in new}.values())
    if not fresh:
        return
    keys = sorted({(event.workspace_id, event.data.message_id) for event in fresh})
    await clicks.lock(tx, keys)
    await clicks.add(
        tx,
        [
            clicks.NewClick(
                event.workspace_id,
                event.data.message_id,
                event.id,
                event.time,
                event.data.sent_at,
                event.data.link,
                event.data.kind,
                event.data.contact_id,
                event.data.campaign_id,
                event.data.variant_id or NO_VARIANT,
                event.data.machine_rule or "machine" if event.data.machine else None,
            )
            for event in fresh
        ],
        RULES.revision,
    )
    await touches.add(tx, [_touch("clicked", event) for event in fresh if _counts(event.data)])
    await judge_clicks(tx, keys)


def _counts(data: EmailData) -> bool:
    return data.kind == "campaign" and data.campaign_id is not None


def _touch(kind: str, event: Received[Any]) -> touches.Touch:
    data = event.data
    clicked = data if isinstance(data, EmailClickedV1) else None
    return touches.Touch(
        event.workspace_id,
        data.campaign_id,
        data.message_id,
        data.variant_id or NO_VARIANT,
        kind,
        clicked.link if clicked else touches.ANY_LINK,
        (clicked.url or None) if clicked else None,
        isinstance(data, TrackedData) and data.machine,
    )


def count_touch(kind: str) -> Callable[[Connection, Sequence[Received[Any]]], Awaitable[None]]:
    """A handler that stores an open, complaint or the like and counts it once. Test and single mail is not counted."""

    async def count(tx: Connection, events: Sequence[Received[Any]]) -> None:
        new = await facts.insert_new(tx, f"email.{kind}", events)
        counted = {event.id: event for event in events if event.id in new and _counts(event.data)}
        await touches.add(tx, [_touch(kind, event) for event in counted.values()])

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
