"""Pause, resume, cancel, and what delivery answers."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from common.contracts.audiences import AudienceClosedV1
from common.contracts.delivery import DeliveryProgressedV1
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver, outbox_events

from tests.fixtures.databases import ServiceDatabase
from tests.integration.campaigns.scene import MAIN, draft, problem, segment


class Running:
    """A started campaign, its commands, and delivery's answers."""

    def __init__(
        self, client: httpx.AsyncClient, database: ServiceDatabase, workspace_id: UUID, campaign: UUID
    ) -> None:
        self.client, self.db, self.workspace_id, self.campaign = client, database.worker, workspace_id, campaign
        self.revision = 0

    async def do(self, verb: str) -> httpx.Response:
        return await self.client.post(f"/v1/campaigns/{self.campaign}/{verb}", json={})

    async def status(self) -> str:
        found: str = (await self.client.get(f"/v1/campaigns/{self.campaign}")).json()["status"]
        return found

    async def balance(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.get(f"/v1/campaigns/{self.campaign}/balance")).json()
        return found

    async def progressed(self, **counts: Any) -> None:
        self.revision += 1
        told = DeliveryProgressedV1.model_validate(
            {"campaign_id": self.campaign, "revision": self.revision, "eligible": 4, "rows": 4, **counts}
        )
        await deliver(self.db, MAIN, [Outgoing(self.workspace_id, told)])

    async def closed(self, **more: Any) -> None:
        told = AudienceClosedV1.model_validate(
            {
                "campaign_id": self.campaign,
                "audience": 6,
                "excluded": {"erased": 2},
                "eligible": 4,
                "batches": 1,
                **more,
            }
        )
        await deliver(self.db, MAIN, [Outgoing(self.workspace_id, told)])

    async def states(self) -> list[tuple[str, int]]:
        return [(e.data.state, e.data.revision) for e in await outbox_events(self.db, "campaign.state")]


@pytest.fixture
async def running(client: httpx.AsyncClient, campaigns_db: ServiceDatabase, workspace_id: UUID) -> Running:
    made = await draft(client, audience={"segment_ids": [str(await segment(campaigns_db.worker, workspace_id))]})
    campaign = Running(client, campaigns_db, workspace_id, UUID(made["id"]))
    assert (await campaign.do("start")).status_code == 200
    return campaign


async def test_pause_is_pausing_until_delivery_confirms_this_pause(running: Running) -> None:
    answer = await running.do("pause")
    assert (answer.status_code, answer.json()["status"]) == (200, "pausing")
    await running.progressed(sent=1, open=3, state_revision=1)
    assert await running.status() == "pausing"
    assert (await running.do("pause")).json()["status"] == "pausing"
    await running.progressed(sent=2, open=2, state_revision=2)
    assert await running.status() == "paused"
    assert (await running.do("resume")).json()["status"] == "running"
    assert (await running.do("resume")).json()["status"] == "running"
    assert await running.states() == [("running", 1), ("paused", 2), ("running", 3)]


async def test_second_pause_after_resume_needs_its_own_confirmation(running: Running) -> None:
    await running.do("pause")
    await running.progressed(open=4, state_revision=2)
    await running.do("resume")
    assert (await running.do("pause")).json()["status"] == "pausing"
    await running.progressed(open=4, state_revision=4)
    assert await running.status() == "paused"


async def test_cancel_then_cancelled_and_books_close_as_cancelled(running: Running) -> None:
    await running.progressed(sent=1, open=3, state_revision=1)
    assert (await running.do("cancel")).json()["status"] == "cancelled"
    assert (await running.do("cancel")).status_code == 200
    problem(await running.do("pause"), 409, "campaign_finished")
    problem(await running.do("resume"), 409, "campaign_finished")
    assert await running.states() == [("running", 1), ("cancelled", 2)]
    await running.progressed(sent=1, cancelled=3, state_revision=2, final=True)
    assert await outbox_events(running.db, "campaign.completed") == []
    await running.closed()
    [completed] = await outbox_events(running.db, "campaign.completed")
    assert (completed.data.outcome, completed.data.final_revision) == ("cancelled", 2)
    assert (await running.balance())["balanced"] is True


async def test_completed_campaign_takes_no_command(running: Running) -> None:
    await running.closed()
    await running.progressed(sent=4, final=True, state_revision=1)
    assert await running.status() == "completed"
    for verb in ("pause", "resume", "cancel"):
        found = problem(await running.do(verb), 409, "campaign_finished")
        assert found["params"]["status"] == "completed"
    assert await running.states() == [("running", 1)]


async def test_commands_before_the_start_are_refused(client: httpx.AsyncClient) -> None:
    made = await draft(client)
    for verb in ("pause", "resume", "cancel"):
        problem(await client.post(f"/v1/campaigns/{made['id']}/{verb}", json={}), 409, "not_running")


async def test_balance_holds_at_every_moment(running: Running) -> None:
    assert (await running.balance())["audience"] is None
    assert (await running.balance())["balanced"] is False
    await running.closed()
    found = await running.balance()
    assert (found["audience"], found["excluded"], found["eligible"], found["open"]) == (6, {"erased": 2}, 4, 4)
    await running.progressed(rows=2, sent=1, open=1, deferred=1, eligible=None)
    found = await running.balance()
    assert (found["sent"], found["open"], found["deferred"], found["balanced"]) == (1, 3, 1, False)
    await running.progressed(sent=1, failed={"5.1.1": 1}, suppressed=1, expired=1, final=True)
    found = await running.balance()
    assert found == {
        "audience": 6,
        "excluded": {"erased": 2},
        "eligible": 4,
        "sent": 1,
        "failed": {"5.1.1": 1},
        "suppressed": 1,
        "uncertain": 0,
        "expired": 1,
        "cancelled": 0,
        "open": 0,
        "deferred": 0,
        "balanced": True,
    }
    assert (await running.client.get(f"/v1/campaigns/{running.campaign}")).json()["balance"] == found


async def test_empty_audience_then_books_close(running: Running) -> None:
    await running.closed(audience=2, eligible=0)
    await running.progressed(rows=0, eligible=0, final=True)
    assert await running.status() == "completed"
    assert (await running.balance())["balanced"] is True


async def test_pause_with_an_idempotency_key_is_told_once(running: Running) -> None:
    headers = {"Idempotency-Key": "one"}
    for _ in range(2):
        answer = await running.client.post(f"/v1/campaigns/{running.campaign}/pause", json={}, headers=headers)
        assert answer.json()["status"] == "pausing"
    assert await running.states() == [("running", 1), ("paused", 2)]


async def test_progress_stream_tells_the_books_and_ends_with_them(running: Running) -> None:
    url = f"/v1/campaigns/{running.campaign}/progress"
    ticket = (await running.client.post(f"{url}-ticket", json={})).json()["ticket"]
    await running.closed()
    await running.progressed(sent=4, final=True, state_revision=1)
    answer = await running.client.get(url, params={"ticket": ticket}, headers={"Authorization": ""})
    assert answer.headers["content-type"].startswith("text/event-stream")
    [data] = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    told = orjson.loads(data)
    assert (told["status"], told["balance"]["sent"], told["balance"]["balanced"]) == ("completed", 4, True)
    [seen] = [line.removeprefix("id: ") for line in answer.text.splitlines() if line.startswith("id: ")]
    again = await running.client.get(url, headers={"Last-Event-ID": seen})
    assert "data:" not in again.text
    problem(
        await running.client.get(url, params={"ticket": ticket[:-2]}, headers={"Authorization": ""}),
        401,
        "unauthorized",
    )
    problem(await running.client.get(f"/v1/campaigns/{new_id()}/progress"), 404, "campaign_not_found")


async def test_progress_stream_follows_a_campaign_until_the_end(running: Running) -> None:
    following = asyncio.create_task(running.client.get(f"/v1/campaigns/{running.campaign}/progress"))
    await asyncio.sleep(0.3)
    await running.closed()
    await asyncio.sleep(0.8)
    await running.progressed(sent=4, final=True, state_revision=1)
    answer = await asyncio.wait_for(following, 10)
    told = [orjson.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [one["balance"]["audience"] for one in told] == [None, 6, 6]
    assert [one["status"] for one in told] == ["running", "running", "completed"]
