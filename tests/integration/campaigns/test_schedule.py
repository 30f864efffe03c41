"""Schedules: claimed when due, by one of many, and never long after."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from campaigns.db import projections
from campaigns.use_cases.due import start_due
from common.ids import new_id
from common.testing.deliver import outbox_events

from tests.fixtures.databases import ServiceDatabase
from tests.integration.campaigns.scene import draft, problem, segment


def later(**delta: float) -> str:
    return (datetime.now(UTC) + timedelta(**delta)).isoformat()


@pytest.fixture
async def scheduled(client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID) -> str:
    """The URL of a campaign that is due in an hour."""
    made = await draft(client, audience={"segment_ids": [str(await segment(campaigns_db.worker, workspace_id))]})
    url = f"/v1/campaigns/{made['id']}"
    answer = await client.post(f"{url}/schedule", json={"at": later(hours=1)})
    assert (answer.status_code, answer.json()["status"]) == (200, "scheduled"), answer.text
    return url


async def due_since(database: ServiceDatabase, seconds: float) -> None:
    async with database.worker.transaction() as tx:
        await tx.execute("update campaigns set scheduled_at = now() - $1 * interval '1 s'", seconds)


async def started(database: ServiceDatabase) -> int:
    return len(await outbox_events(database.worker, "campaign.started"))


async def test_scheduled_when_due_then_started_once_by_several_jobs(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, scheduled: str
) -> None:
    await start_due(campaigns_db.worker, 3600)
    assert await started(campaigns_db) == 0
    await due_since(campaigns_db, 5)
    await asyncio.gather(*(start_due(campaigns_db.worker, 3600) for _ in range(4)))
    assert await started(campaigns_db) == 1
    after = (await client.get(scheduled)).json()
    assert (after["status"], after["reason"]) == ("running", None)


async def test_scheduled_found_too_late_then_failed_and_may_be_started_by_hand(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, scheduled: str
) -> None:
    await due_since(campaigns_db, 3700)
    await start_due(campaigns_db.worker, 3600)
    assert await started(campaigns_db) == 0
    after = (await client.get(scheduled)).json()
    assert (after["status"], after["reason"]) == ("failed", "too_late")
    by_hand = (await client.post(f"{scheduled}/start", json={})).json()
    assert (by_hand["status"], by_hand["reason"], by_hand["finished_at"]) == ("running", None, None)
    assert await started(campaigns_db) == 1


async def test_scheduled_that_cannot_start_any_more_then_failed_with_the_reason_and_others_start(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID, scheduled: str
) -> None:
    sound = await draft(client, audience={"segment_ids": [str(await segment(campaigns_db.worker, workspace_id))]})
    await client.post(f"/v1/campaigns/{sound['id']}/schedule", json={"at": later(hours=1)})
    async with campaigns_db.worker.transaction() as tx:
        broken = UUID(scheduled.rpartition("/")[2])
        await tx.execute("update campaigns set sender_id = null where id = $1", broken)
    await due_since(campaigns_db, 1)
    await start_due(campaigns_db.worker, 3600)
    after = (await client.get(scheduled)).json()
    assert (after["status"], after["reason"]) == ("failed", "campaign_incomplete")
    assert "sender" in after["detail"]
    assert (await client.get(f"/v1/campaigns/{sound['id']}")).json()["status"] == "running"


async def test_scheduled_that_cannot_be_decided_now_stands_in_nobodys_way_and_is_tried_again(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID, scheduled: str, impatient: None
) -> None:
    other = await draft(client, audience={"segment_ids": [str(await segment(campaigns_db.worker, workspace_id))]})
    await client.post(f"/v1/campaigns/{other['id']}/schedule", json={"at": later(hours=1)})
    waiting = UUID(scheduled.rpartition("/")[2])
    async with campaigns_db.worker.transaction() as tx:
        await projections.alive(tx, "campaigns.main")
        await tx.execute("update projection_progress set alive_at = now() - interval '1 min'")
        kept = await tx.fetchval("select audience from campaigns where id = $1", waiting)
        await tx.execute("update campaigns set audience = $2 where id = $1", waiting, {"list_ids": [str(new_id())]})
    await due_since(campaigns_db, 1)
    await start_due(campaigns_db.worker, 3600)
    assert (await client.get(scheduled)).json()["status"] == "scheduled"
    assert (await client.get(f"/v1/campaigns/{other['id']}")).json()["status"] == "running"
    async with campaigns_db.worker.transaction() as tx:
        await tx.execute("update campaigns set audience = $2 where id = $1", waiting, kept)
    await start_due(campaigns_db.worker, 3600)
    assert (await client.get(scheduled)).json()["status"] == "running"


async def test_schedule_can_be_moved_taken_away_and_cancelled(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, scheduled: str
) -> None:
    problem(await client.patch(scheduled, json={"name": "x"}), 409, "not_editable")
    moved = later(hours=2)
    answer = await client.post(f"{scheduled}/schedule", json={"at": moved})
    assert datetime.fromisoformat(answer.json()["scheduled_at"]) == datetime.fromisoformat(moved)
    answer = await client.post(f"{scheduled}/schedule", json={"at": None})
    assert (answer.json()["status"], answer.json()["scheduled_at"]) == ("draft", None)
    assert (await client.patch(scheduled, json={"name": "x"})).status_code == 200
    await client.post(f"{scheduled}/schedule", json={"at": later(hours=1)})
    assert (await client.post(f"{scheduled}/cancel", json={})).json()["status"] == "cancelled"
    await due_since(campaigns_db, 5)
    await start_due(campaigns_db.worker, 3600)
    assert await started(campaigns_db) == 0
    assert await outbox_events(campaigns_db.worker, "campaign.state") == []


@pytest.mark.parametrize("at", ["2020-01-01T00:00:00Z", "2150-01-01T00:00:00Z"])
async def test_schedule_for_an_impossible_time_then_422(client: httpx.AsyncClient, scheduled: str, at: str) -> None:
    problem(await client.post(f"{scheduled}/schedule", json={"at": at}), 422, "invalid_schedule")
    problem(await client.post(f"{scheduled}/schedule", json={"at": "2030-01-01T00:00:00"}), 422, "invalid")
    problem(await client.post(f"{scheduled}/schedule", json={"at": "2999-01-01T00:00:00Z"}), 422, "invalid")
    problem(await client.post(f"{scheduled}/schedule", json={}), 422, "invalid")
    assert (await client.get(scheduled)).json()["status"] == "scheduled"


async def test_start_after_send_until_then_422(
    client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID
) -> None:
    audience = {"segment_ids": [str(await segment(campaigns_db.worker, workspace_id))]}
    made = await draft(client, audience=audience, send_until=later(hours=1))
    url = f"/v1/campaigns/{made['id']}"
    problem(await client.post(f"{url}/schedule", json={"at": later(hours=2)}), 422, "invalid_schedule")
    assert (await client.post(f"{url}/start", json={})).status_code == 200
