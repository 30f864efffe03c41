"""While an attribute's index is being filled, and when it is taken away, segments count right all the same."""

import asyncio
from datetime import UTC, datetime

import pytest
from common.jobs import JobContext, lease
from contacts.db import attributes, segments
from contacts.use_cases import attributes as use_cases
from contacts.use_cases.audiences import _asked_for
from contacts.use_cases.segments import preview

from tests.integration.contacts.people import Someone, define, store

RULE = {"field": "attributes.city", "op": "eq", "value": "تهران"}


async def count(db, workspace_id):
    async with db.transaction(workspace_id) as tx:
        found, _ = await preview(tx, workspace_id, RULE, datetime.now(UTC))
    return found


async def set_indexed(db, workspace_id, wanted):
    async with db.transaction(workspace_id) as tx:
        row = await use_cases.lock_attribute(tx, workspace_id, "city")
        await use_cases.change_attribute(tx, workspace_id, row, {"indexed": wanted})


async def claimed(db):
    row = await lease.claim(db, [(use_cases.INDEX_JOB, 60.0)])
    return JobContext(db, row["id"], row["workspace_id"], row["args"], {}, False, 1, row["lease_epoch"], 60.0)


async def side_rows(db):
    async with db.connection() as connection:
        return await connection.fetchval("select count(*) from contact_value where attribute = 'city'")


@pytest.mark.asyncio
async def test_counts_hold_before_while_and_after_the_index_is_filled(contacts_db, workspace_id, monkeypatch):
    db = contacts_db.worker
    monkeypatch.setattr(use_cases, "_PART", 3)
    await define(db, workspace_id, "city", "text")
    await store(db, workspace_id, [Someone(f"p{n}@example.com", attributes={"city": "تهران"}) for n in range(7)])
    assert await count(db, workspace_id) == 7
    await set_indexed(db, workspace_id, True)
    first = await claimed(db)
    assert (await count(db, workspace_id), await side_rows(db)) == (7, 0)

    # Taken away and wanted again: the first job must not call the second one's index whole.
    await set_indexed(db, workspace_id, False)
    await set_indexed(db, workspace_id, True)
    await use_cases.run_index_job(first)
    assert (await count(db, workspace_id), await side_rows(db)) == (7, 0)
    await use_cases.run_index_job(await claimed(db))
    assert (await count(db, workspace_id), await side_rows(db)) == (7, 7)
    async with db.transaction() as tx:
        assert (await segments.attributes(tx, workspace_id))["city"].indexed


@pytest.mark.asyncio
async def test_an_index_is_not_taken_away_while_an_audience_is_frozen(contacts_db, workspace_id):
    db = contacts_db.worker
    await define(db, workspace_id, "city", "text", indexed=True)
    async with db.transaction(workspace_id) as tx:
        campaign = {
            "workspace_id": workspace_id,
            "rule": {"segment_ids": [], "list_ids": [], "exclude_segment_ids": []},
        }
        await _asked_for(tx, campaign)
        change = asyncio.create_task(set_indexed(db, workspace_id, False))
        await asyncio.wait([change], timeout=0.3)
        assert not change.done()
    await change
    async with db.transaction() as tx:
        assert not (await attributes.locked(tx, workspace_id, "city"))["indexed"]
