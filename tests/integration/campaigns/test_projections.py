"""What contacts tells, doubled and in any order; and what an erasure leaves."""

from itertools import permutations
from uuid import UUID

from campaigns.db import projections
from common.contracts.leads import LeadErasedV1, LeadUpdatedV1, ListChangedV1, SegmentChangedV1
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver, outbox_events

from tests.fixtures.databases import ServiceDatabase
from tests.integration.campaigns.scene import MAIN, lead


async def test_leads_in_any_order_and_one_batch_or_many_then_the_latest_stands(
    campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    for order in permutations(range(3)):
        for together in (True, False):
            contact_id = new_id()
            told = [
                Outgoing(workspace_id, lead(contact_id, first_name="one")),
                Outgoing(workspace_id, lead(contact_id, first_name="two", revision=2)),
                Outgoing(
                    workspace_id,
                    LeadUpdatedV1.model_validate(
                        {**lead(contact_id).model_dump(), "revision": 3, "first_name": "three"}
                    ),
                ),
            ]
            queue = [told[n] for n in order] * 2
            for batch in [queue] if together else [[one] for one in queue]:
                await deliver(campaigns_db.worker, MAIN, batch)
            async with campaigns_db.worker.transaction() as tx:
                row = await projections.lead(tx, workspace_id, contact_id)
            assert row is not None
            assert row["data"]["first_name"] == "three"


async def test_erased_lead_in_any_order_then_nothing_is_left_and_each_request_is_answered(
    campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    for order in permutations(range(3)):
        contact_id, request_id = new_id(), new_id()
        told = [
            Outgoing(workspace_id, lead(contact_id, first_name="Leila")),
            Outgoing(workspace_id, LeadErasedV1(contact_id=contact_id, request_id=request_id, address_hashes=[])),
            Outgoing(workspace_id, lead(contact_id, first_name="Leila", revision=9)),
        ]
        for one in [told[n] for n in order] * 2:
            await deliver(campaigns_db.worker, MAIN, [one])
        async with campaigns_db.worker.transaction() as tx:
            row = await projections.lead(tx, workspace_id, contact_id)
            whole = await tx.fetchval("select count(*) from leads where leads::text like '%Leila%'")
        assert row is not None
        assert (row["erased"], row["data"], whole) == (True, None, 0)
        [done] = [
            e for e in await outbox_events(campaigns_db.worker, "erasure.done") if e.data.request_id == request_id
        ]
        assert (done.data.service, done.data.contact_id, done.workspace_id) == ("campaigns", contact_id, workspace_id)


async def test_segments_and_lists_in_any_order_then_deleted_stays_deleted(
    campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    for order in permutations(range(3)):
        one_id = new_id()
        revisions = [(1, "a", False), (2, "b", False), (3, "b", True)]
        queue = [revisions[n] for n in order] * 2
        for revision, name, deleted in queue:
            for data in (
                SegmentChangedV1(segment_id=one_id, name=name, deleted=deleted, revision=revision),
                ListChangedV1(list_id=one_id, name=name, deleted=deleted, revision=revision),
            ):
                await deliver(campaigns_db.worker, MAIN, [Outgoing(workspace_id, data)])
        async with campaigns_db.worker.transaction() as tx:
            rows = await tx.fetch("select kind, name, deleted, revision from audience_sources where id = $1", one_id)
        assert sorted(map(tuple, rows)) == [("list", "b", True, 3), ("segment", "b", True, 3)]


async def test_api_role_sees_its_own_workspace_alone(campaigns_db: ServiceDatabase, workspace_id: UUID) -> None:
    contact_id = new_id()
    await deliver(campaigns_db.worker, MAIN, [Outgoing(workspace_id, lead(contact_id))])
    async with campaigns_db.api.transaction(workspace_id) as tx:
        assert await tx.fetchval("select count(*) from leads") == 1
    async with campaigns_db.api.transaction(new_id()) as tx:
        assert await tx.fetchval("select count(*) from leads") == 0
        assert await projections.lead(tx, workspace_id, contact_id) is None
