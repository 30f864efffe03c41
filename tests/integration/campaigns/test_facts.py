"""What contacts and delivery tell, doubled and in any order, leaves the same campaign."""

from dataclasses import replace
from uuid import UUID

from campaigns.consumers.subscriptions import consumers
from campaigns.db import campaigns as rows
from campaigns.use_cases import workspaces
from common.contracts.audiences import AudienceClosedV1, AudienceRejectedV1
from common.contracts.base import EventData
from common.contracts.delivery import DeliveryHeldV1, DeliveryProgressedV1
from common.db.pool import Database
from common.ids import new_id, purpose_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver, outbox_events
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.fixtures.databases import ServiceDatabase
from tests.fixtures.properties import times

MAIN = consumers()[0]
FOUND: list[tuple[int, ...]] = []


async def started(db: Database, workspace_id: UUID) -> UUID:
    """A started campaign; the row alone, as its start is tested elsewhere."""
    campaign_id = new_id()
    async with db.transaction() as tx:
        await workspaces.create(tx, workspace_id, {"name": "Nowruz"})
        columns = ("n", None, purpose_id(workspace_id, "newsletter"), None, {}, {}, {}, "hold", None)
        await rows.insert(tx, workspace_id, campaign_id, columns)
        await rows.start(tx, workspace_id, campaign_id, {}, [])
    return campaign_id


async def state(db: Database, workspace_id: UUID, campaign_id: UUID) -> dict[str, object]:
    async with db.transaction() as tx:
        row = await rows.get(tx, workspace_id, campaign_id)
    assert row is not None
    return {key: row[key] for key in ("status", "reason", "detail", "totals", "progress", "outcome", "final_revision")}


def closed(campaign_id: UUID) -> AudienceClosedV1:
    return AudienceClosedV1(
        campaign_id=campaign_id, audience=5, excluded={"unsubscribed": 1, "suppressed": 1}, eligible=3, batches=1
    )


def progressed(campaign_id: UUID, revision: int, **counts: object) -> DeliveryProgressedV1:
    return DeliveryProgressedV1.model_validate(
        {"campaign_id": campaign_id, "revision": revision, "eligible": 3, "rows": 3, **counts}
    )


def story(campaign_id: UUID) -> list[EventData]:
    """A whole campaign: closed, held once, sent, final, and one uncertain message sent again."""
    return [
        closed(campaign_id),
        DeliveryHeldV1(campaign_id=campaign_id, reason="policy", state_revision=1),
        progressed(campaign_id, 1, sent=1, open=2, state_revision=1),
        progressed(campaign_id, 2, sent=1, failed={"5.1.1": 1}, uncertain=1, final=True, state_revision=1),
        progressed(campaign_id, 3, sent=1, failed={"5.1.1": 1}, open=1, state_revision=1),
        progressed(campaign_id, 4, sent=2, failed={"5.1.1": 1}, final=True, state_revision=1),
    ]


async def tell(db: Database, workspace_id: UUID, *told: EventData) -> list[Outgoing]:
    events = [Outgoing(workspace_id, data) for data in told]
    for event in events:
        await deliver(db, MAIN, [event])
    return events


async def test_progress_when_final_and_audience_known_then_books_close(
    campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    campaign_id = await started(campaigns_db.worker, workspace_id)
    await tell(campaigns_db.worker, workspace_id, progressed(campaign_id, 2, sent=3, final=True))
    assert (await state(campaigns_db.worker, workspace_id, campaign_id))["status"] == "running"
    await tell(campaigns_db.worker, workspace_id, closed(campaign_id))
    after = await state(campaigns_db.worker, workspace_id, campaign_id)
    assert (after["status"], after["outcome"], after["final_revision"]) == ("completed", "completed", 2)
    [completed] = await outbox_events(campaigns_db.worker, "campaign.completed")
    assert (completed.data.outcome, completed.data.final_revision) == ("completed", 2)


async def test_progress_when_sums_do_not_hold_then_books_stay_open(
    campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    campaign_id = await started(campaigns_db.worker, workspace_id)
    await tell(campaigns_db.worker, workspace_id, closed(campaign_id), progressed(campaign_id, 2, sent=2, final=True))
    assert (await state(campaigns_db.worker, workspace_id, campaign_id))["status"] == "running"
    assert await outbox_events(campaigns_db.worker, "campaign.completed") == []


async def test_resend_after_the_end_updates_balance_and_names_new_revision(
    campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    campaign_id = await started(campaigns_db.worker, workspace_id)
    await tell(campaigns_db.worker, workspace_id, *story(campaign_id))
    after = await state(campaigns_db.worker, workspace_id, campaign_id)
    assert after["status"] == "completed"
    assert after["progress"]["sent"] == 2  # type: ignore[index]
    told = [event.data.final_revision for event in await outbox_events(campaigns_db.worker, "campaign.completed")]
    assert told == [2, 4]


async def test_held_then_paused_with_reason_and_late_double_after_resume_changes_nothing(
    campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    from campaigns.use_cases import campaigns, commands

    db = campaigns_db.worker
    campaign_id = await started(db, workspace_id)
    held = DeliveryHeldV1(campaign_id=campaign_id, reason="5.7.1", state_revision=1)
    await tell(db, workspace_id, held)
    after = await state(db, workspace_id, campaign_id)
    assert (after["status"], after["reason"]) == ("paused", "5.7.1")
    async with db.transaction() as tx:
        await commands.resume(tx, await campaigns.get(tx, workspace_id, campaign_id, lock=True))
    assert (await state(db, workspace_id, campaign_id))["status"] == "running"
    await tell(db, workspace_id, held)
    assert (await state(db, workspace_id, campaign_id))["status"] == "running"
    [resumed] = await outbox_events(db, "campaign.state")
    assert (resumed.data.state, resumed.data.revision) == ("running", 2)


async def test_rejected_audience_then_failed_and_told_once(campaigns_db: ServiceDatabase, workspace_id: UUID) -> None:
    db = campaigns_db.worker
    campaign_id = await started(db, workspace_id)
    rejected = AudienceRejectedV1(campaign_id=campaign_id, reason="segment_not_found", detail="s1")
    events = await tell(db, workspace_id, rejected, rejected)
    await deliver(db, MAIN, events)
    after = await state(db, workspace_id, campaign_id)
    assert (after["status"], after["reason"], after["detail"]) == ("failed", "segment_not_found", "s1")
    [completed] = await outbox_events(db, "campaign.completed")
    assert completed.data.outcome == "failed"


async def test_facts_about_another_workspaces_campaign_change_nothing(
    campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    campaign_id = await started(campaigns_db.worker, workspace_id)
    before = await state(campaigns_db.worker, workspace_id, campaign_id)
    await tell(campaigns_db.worker, new_id(), *story(campaign_id))
    assert await state(campaigns_db.worker, workspace_id, campaign_id) == before


@given(order=st.permutations(range(6)), doubled=st.lists(st.integers(0, 5), max_size=6), size=st.integers(1, 12))
@settings(max_examples=times(40, 1000), deadline=None, phases=[Phase.generate, Phase.shrink])
def orders(order: list[int], doubled: list[int], size: int) -> None:
    FOUND.append((*order, *doubled, -size))


async def test_facts_permuted_doubled_and_cut_into_batches_leave_the_same_state(
    campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    """Through the real decoding, inbox and handlers."""
    db = campaigns_db.worker
    FOUND.clear()
    orders()
    assert len(set(FOUND)) > 20
    for drawn in FOUND:
        *order, size = drawn
        campaign_id = await started(db, workspace_id)
        events = [Outgoing(workspace_id, one) for one in story(campaign_id)]
        again = [replace(event, id=new_id()) for event in events]
        queue = [events[n] for n in order[:6]] + [(events if k % 2 else again)[n] for k, n in enumerate(order[6:])]
        for start in range(0, len(queue), -size):
            await deliver(db, MAIN, queue[start : start - size])
        after = await state(db, workspace_id, campaign_id)
        assert (after["status"], after["final_revision"], after["progress"]["sent"]) == ("completed", 4, 2), drawn  # type: ignore[index]
