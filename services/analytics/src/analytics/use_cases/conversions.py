"""Conversions recorded, corrected, refunded and taken back; each change is told."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

from asyncpg import Record
from common.db.pool import Connection

from analytics import events
from analytics.db import conversions
from analytics.db.conversions import New
from analytics.errors import BadRefund, CampaignUnknown, ConversionDiffers, LeadUnknown

_SAME = ("contact_id", "campaign_id", "amount", "currency", "occurred_at")


def id_of(workspace_id: UUID, external_id: str) -> UUID:
    """The id of a conversion that somebody else gave a name."""
    return uuid5(workspace_id, f"conversion:{external_id}")


async def record(tx: Connection, workspace_id: UUID, told: Sequence[New]) -> int:
    """Store all of them, or nothing; how many were new.

    Raises LeadUnknown, CampaignUnknown, and ConversionDiffers for one that is stored with other content.
    """
    people = {one.contact_id for one in told}
    if missing := people - await conversions.known_people(tx, workspace_id, sorted(people)):
        raise LeadUnknown(contact_id=str(min(missing)))
    campaigns = {one.campaign_id for one in told if one.campaign_id}
    if missing := campaigns - await conversions.known_campaigns(tx, workspace_id, sorted(campaigns)):
        raise CampaignUnknown(campaign_id=str(min(missing)))
    distinct = {one.id: one for one in reversed(told)}
    new = await conversions.add(tx, workspace_id, list(distinct.values()))
    stored = await conversions.by_ids(tx, workspace_id, list(distinct))
    fresh = {row["id"] for row in new}
    for n, one in enumerate(told):
        # What was corrected since may be told again as it was.
        row = stored[one.id]
        first = row if row["revision"] == 1 else None
        if one != distinct[one.id] or (
            one.id not in fresh and first and any(first[name] != getattr(one, name) for name in _SAME)
        ):
            raise ConversionDiffers(
                f"Conversion {one.external_id!r} (number {n + 1} of the call) is recorded with other content",
                id=one.external_id,
                conversion_id=str(one.id),
            )
    await events.conversions_recorded(tx, new)
    return len(new)


async def correct(tx: Connection, before: Record, changes: Mapping[str, Any]) -> Record:
    """Change a locked conversion. Raises CampaignUnknown, and BadRefund if more is given back than was paid."""
    now = {**dict(before), **changes}
    if now["refunded"] > now["amount"]:
        raise BadRefund(amount=str(now["amount"]), refunded=str(now["refunded"]))
    campaign = changes.get("campaign_id")
    if campaign and not await conversions.known_campaigns(tx, before["workspace_id"], [campaign]):
        raise CampaignUnknown(campaign_id=str(campaign))
    if all(before[name] == value for name, value in changes.items()):
        return before
    row = await conversions.change(tx, before, changes)
    await events.conversions_recorded(tx, [row])
    return row
