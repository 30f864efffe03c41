"""What analytics counted of a closed campaign is held beside what the ledger came to."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from analytics.consumers.subscriptions import ingest
from analytics.db.drift import drift
from common.contracts import email
from common.contracts.delivery import DeliveryProgressedV1
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing import deliver, deliver_shuffled

AT_ONCE = timedelta(0)


def outcomes(workspace_id: UUID, campaign_id: UUID, sent: int, failed: int) -> list[Outgoing]:
    def about() -> dict[str, Any]:
        return {
            "message_id": new_id(), "kind": "campaign", "contact_id": new_id(), "campaign_id": campaign_id,
            "purpose_id": UUID(int=1), "variant_id": "fa", "attempt": 1, "revision": 2, "provider": "gmail",
        }  # fmt: skip

    ok = email.SmtpReply(code=250, enhanced="2.0.0", text="queued")
    no = email.SmtpReply(code=550, enhanced="5.1.1", text="no such user")
    events: list[Any] = [email.EmailSentV1(**about(), smtp=ok) for _ in range(sent)]
    events += [email.EmailFailedV1(**about(), failure="bad_mailbox", smtp=no) for _ in range(failed)]
    return [Outgoing(workspace_id, event) for event in events]


def told(workspace_id: UUID, campaign_id: UUID, revision: int, **counts: Any) -> Outgoing:
    rows = counts.get("sent", 0) + sum(counts.get("failed", {}).values())
    data = DeliveryProgressedV1(
        campaign_id=campaign_id, revision=revision, eligible=rows, rows=rows, final=True, **counts
    )
    return Outgoing(workspace_id, data)


async def measured(database: Any) -> int:
    async with database.worker.connection() as connection:
        return await drift(connection, AT_ONCE)


async def test_a_campaign_whose_events_all_came_does_not_drift(analytics_db, workspace_id):
    campaign = uuid4()
    early = told(workspace_id, campaign, 4, sent=1)
    events = [early, *outcomes(workspace_id, campaign, 3, 1), told(workspace_id, campaign, 5, sent=3, failed={"x": 1})]
    await deliver_shuffled(analytics_db.worker, ingest(), events, seed=3)
    assert await measured(analytics_db) == 0


@pytest.mark.parametrize(("sent", "failed", "off"), [(2, 1, 1), (4, 1, 1), (3, 0, 1), (4, 0, 2)])
async def test_a_lost_or_doubled_event_is_seen(analytics_db, workspace_id, sent, failed, off):
    campaign = uuid4()
    await deliver(analytics_db.worker, ingest(), outcomes(workspace_id, campaign, sent, failed))
    assert await measured(analytics_db) == 0, "nobody said yet what the ledger came to"
    await deliver(analytics_db.worker, ingest(), [told(workspace_id, campaign, 5, sent=3, failed={"x": 1})])
    assert await measured(analytics_db) == off


async def test_what_has_just_closed_is_given_time(analytics_db, workspace_id):
    await deliver(analytics_db.worker, ingest(), [told(workspace_id, uuid4(), 5, sent=3)])
    async with analytics_db.worker.connection() as connection:
        assert await drift(connection) == 0
