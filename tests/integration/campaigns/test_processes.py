"""The processes of campaigns, on a real bus: what contacts tells comes in, what campaigns tells goes out."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from campaigns import jobs, relay, worker
from campaigns.main import create_app
from campaigns.settings import Settings
from common.bus import open_producer, open_reader
from common.contracts.leads import SegmentChangedV1
from common.errors import Misconfigured
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import as_record

from tests.fixtures.access import TestKeys
from tests.fixtures.databases import ServiceDatabase
from tests.fixtures.http import HttpClient
from tests.integration.campaigns.scene import draft, workspace


@asynccontextmanager
async def processes(settings: Settings) -> AsyncIterator[None]:
    """Worker, relay and jobs in this loop; stopped, they drain by themselves."""
    stop = asyncio.Event()
    running = [asyncio.create_task(one.run(settings, stop)) for one in (worker, relay, jobs)]
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(15):
            await asyncio.gather(*running)


async def test_scheduled_campaign_starts_by_itself_and_its_events_reach_the_bus(
    campaigns_db: ServiceDatabase,
    bus_db: ServiceDatabase,
    keys: TestKeys,
    workspace_id: UUID,
    service_env: Callable[..., dict[str, str]],
    http_client: HttpClient,
) -> None:
    service_env("campaigns", campaigns_db, BARID_TOKEN_SIGNING_KEY=keys.private, BUS_DATABASE_URL=bus_db.worker_url)
    settings = Settings()
    made = await workspace(campaigns_db.worker, keys, workspace_id)
    async with processes(settings), http_client(create_app(settings), made.token) as client:
        segment_id = new_id()
        told = SegmentChangedV1(segment_id=segment_id, name="Tehran", revision=1)
        async with open_producer(settings) as producer:
            await producer.publish([as_record(Outgoing(workspace_id, told))])
        # At once: the request itself waits for what is on its way.
        campaign = await draft(client, audience={"segment_ids": [str(segment_id)]})
        # In the future still when a busy machine comes to judge it: the request may wait for what is on its way.
        at = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
        answer = await client.post(f"/v1/campaigns/{campaign['id']}/schedule", json={"at": at})
        assert answer.status_code == 200, answer.text
        await until_running(client, campaign["id"])
        topics = ["campaign.started", "campaign.state", "workspace.changed", "sender.changed"]
        found: list[tuple[str, str]] = []
        async with open_reader(settings, "witness", topics) as reader:
            deadline = time.monotonic() + 15
            reader.seek(dict.fromkeys(await reader.assignment(), 0))
            while len(found) < 4 and time.monotonic() < deadline:
                found += [(one.record.topic, one.record.key) for one in await reader.poll(100, 1.0)]
        assert sorted(found) == sorted(
            [
                ("workspace.changed", str(workspace_id)),
                ("sender.changed", campaign["sender_id"]),
                ("campaign.started", campaign["id"]),
                ("campaign.state", campaign["id"]),
            ]
        )
        async with campaigns_db.worker.connection() as connection:
            alive = await connection.fetchrow("select * from projection_progress where name = 'campaigns.main'")
        assert alive is not None
        assert alive["alive_at"] is not None


async def until_running(client: httpx.AsyncClient, campaign_id: str) -> None:
    deadline = time.monotonic() + 20
    while (found := (await client.get(f"/v1/campaigns/{campaign_id}")).json())["status"] != "running":
        assert found["status"] == "scheduled", found
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.2)


async def test_worker_told_to_run_an_unknown_consumer_then_says_which_there_are(
    campaigns_db: ServiceDatabase, service_env: Callable[..., dict[str, str]]
) -> None:
    service_env("campaigns", campaigns_db)
    with pytest.raises(Misconfigured, match=r"campaigns\.main"):
        await worker.run(Settings(), asyncio.Event(), only="scoring")


async def test_api_serves_an_openapi_document_with_every_route(
    campaigns_db: ServiceDatabase, service_env: Callable[..., dict[str, str]], http_client: HttpClient
) -> None:
    service_env("campaigns", campaigns_db)
    async with http_client(create_app(Settings())) as client:
        document = (await client.get("/v1/openapi.json")).json()
        assert (await client.get("/readyz")).status_code == 200
    operations = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    assert {
        "create_campaign", "list_campaigns", "get_campaign", "update_campaign", "delete_campaign", "start_campaign",
        "schedule_campaign", "pause_campaign", "resume_campaign", "cancel_campaign", "test_campaign",
        "preview_campaign", "get_campaign_balance", "create_sender", "create_workspace", "create_token",
        "revoke_token", "create_member", "create_purpose", "get_token_keys",
    } <= operations  # fmt: skip
