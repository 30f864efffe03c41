"""Ids that contacts owns: waited for a little, as their event may be on its way."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from common.consumer.runner import HEARD_S
from common.db.pool import Connection

from campaigns.db import projections
from campaigns.domain.drafts import Audience
from campaigns.errors import AudienceSourceNotFound, ContactNotFound, ProjectionBehind

CONSUMER = "campaigns.main"
WAIT_S = 3.0
EVERY_S = 0.15
# At its last sign of life the consumer had heard from the bus within HEARD_S. What it did not know after WAIT_S does
# not exist only if it heard from the bus since the waiting began.
SILENT_S = WAIT_S - HEARD_S


async def require_sources(tx: Connection, workspace_id: UUID, audience: Audience, wait_s: float = WAIT_S) -> None:
    """Every segment and list is this workspace's. Raises AudienceSourceNotFound, ProjectionBehind."""
    segments = dict.fromkeys(audience.segment_ids + audience.exclude_segment_ids)
    wanted = [("segment", one) for one in segments] + [("list", one) for one in audience.list_ids]
    deadline = time.monotonic() + wait_s
    while wanted:
        wanted = await projections.missing_sources(tx, workspace_id, wanted)
        if wanted and time.monotonic() >= deadline:
            await refuse_if_behind(tx, wait_s)
            raise AudienceSourceNotFound(
                "The audience names what is not in this workspace: " + ", ".join(f"{k} {i}" for k, i in wanted),
                mend="Take them out of the audience.",
                missing=_params(wanted),
            )
        if wanted:
            await asyncio.sleep(EVERY_S)


async def require_lead(tx: Connection, workspace_id: UUID, contact_id: UUID, wait_s: float = WAIT_S) -> dict[str, Any]:
    """What is known of a contact. Raises ContactNotFound (for an erased one too), ProjectionBehind."""
    deadline = time.monotonic() + wait_s
    while True:
        row = await projections.lead(tx, workspace_id, contact_id)
        if row is not None and not row["erased"]:
            lead: dict[str, Any] = row["data"]
            return lead
        if row is not None or time.monotonic() >= deadline:
            if row is None:
                await refuse_if_behind(tx, wait_s)
            raise ContactNotFound(contact_id=str(contact_id))
        await asyncio.sleep(EVERY_S)


async def refuse_if_behind(tx: Connection, wait_s: float = WAIT_S) -> None:
    """Raises ProjectionBehind while what is not here may still come."""
    lag = await projections.lag_s(tx, CONSUMER, SILENT_S, wait_s)
    if lag is not None:
        raise ProjectionBehind(
            f"What other services told is about {lag:.0f} s behind, so it cannot be said whether this exists",
            mend="Try again after the time in Retry-After.",
            retry_after_s=max(1, min(60, round(lag))),
        )


def _params(wanted: Sequence[tuple[str, UUID]]) -> list[dict[str, str]]:
    return [{"kind": kind, "id": str(one)} for kind, one in wanted]
