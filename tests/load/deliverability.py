"""GET /v1/reports/deliverability over a month in which 200,000 messages ended, through the whole application.

The figures are 95th percentiles in ms: of the usual 30 days to now, and of a time that begins and ends within hours in
which much was sent, whose messages outside are read one by one.
"""

import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
from analytics.consumers.subscriptions import ingest
from analytics.jobs import count_late
from analytics.main import create_app
from analytics.settings import Settings
from common.contracts.email import EmailBouncedV1, EmailComplainedV1, EmailDeferredV1, EmailOpenedV1, EmailSentV1
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing import deliver
from common.web.tokens import new_signing_key, sign

from tests.load.figures import Figure
from tests.load.server import database

MESSAGES = 200_000
CAMPAIGNS = 10  # each of them ended within an hour
STEP = 5000
RUNS = 100
PROVIDERS = ("gmail", "microsoft", "yahoo", "apple", "other")


async def run() -> list[Figure]:
    """The report, after ingest has taken everything in."""
    now = datetime.now(UTC)
    workspace_id = new_id()
    private, public = new_signing_key()
    token = sign(private, workspace_id=workspace_id, subject_id=new_id(), role="viewer", ttl_s=3600)
    async with database("analytics") as analytics:
        for n in range(CAMPAIGNS):
            events = campaign_events(workspace_id, now - timedelta(days=3 * n, hours=1), MESSAGES // CAMPAIGNS, n)
            for start in range(0, len(events), STEP):
                await deliver(analytics.worker, ingest(), events[start : start + STEP])
        await count_late(analytics.worker)
        owner = await asyncpg.connect(analytics.owner_url)
        await owner.execute("vacuum analyze", timeout=600)
        await owner.close()
        app = create_app(Settings(api_database_url=analytics.api_url, token_keys=public))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app),
                base_url="http://bench",
                headers={"Authorization": f"Bearer {token}"},
            ) as client,
        ):
            usual = [await timed(client, {}, MESSAGES) for _ in range(RUNS)]
            edges = {
                "from": (now - timedelta(days=27, minutes=45)).isoformat(),
                "to": (now - timedelta(minutes=45)).isoformat(),
            }
            within = [await timed(client, edges, MESSAGES // 2) for _ in range(RUNS)]
    return [figure("deliverability", usual), figure("deliverability_within_hours", within)]


def campaign_events(workspace_id: Any, at: datetime, messages: int, seed: int) -> list[Outgoing]:
    """A tenth was put off first, 40 % opened, 3 % came back, 0.1 % complained; sent within half an hour."""
    chance = random.Random(seed)
    campaign, found = new_id(), []
    for n in range(messages):
        about = {"message_id": new_id(), "kind": "campaign", "contact_id": new_id(), "campaign_id": campaign}
        provider = {"provider": chance.choice(PROVIDERS)}
        sent = at + timedelta(minutes=30 * n / messages)
        if chance.random() < 0.1:
            put_off = EmailDeferredV1(**about, **provider, attempt=1, revision=2, next_at=sent)
            found.append(Outgoing(workspace_id, put_off, time=sent - timedelta(minutes=5)))
        found.append(Outgoing(workspace_id, EmailSentV1(**about, **provider, attempt=1, revision=3), time=sent))
        if chance.random() < 0.4:
            found.append(Outgoing(workspace_id, EmailOpenedV1(**about)))
        if chance.random() < 0.03:
            bounced = EmailBouncedV1(**about, **provider, bounce="hard", reason="bad_mailbox")
            found.append(Outgoing(workspace_id, bounced))
        if chance.random() < 0.001:
            found.append(Outgoing(workspace_id, EmailComplainedV1(**about, **provider, reason="abuse")))
    return found


async def timed(client: httpx.AsyncClient, params: dict[str, str], least: int) -> float:
    """Seconds of one report. Raises AssertionError if it tells of fewer messages than it must."""
    started = time.perf_counter()
    answer = await client.get("/v1/reports/deliverability", params=params)
    took = time.perf_counter() - started
    answer.raise_for_status()
    if sum(one["sent"] for one in answer.json()["providers"]) < least:
        raise AssertionError(f"messages are missing: {answer.text}")
    return took


def figure(name: str, times: list[float]) -> Figure:
    """The 95th percentile."""
    return Figure(name, sorted(times)[int(len(times) * 0.95)] * 1000, "ms p95", len(times), round(sum(times), 3))
