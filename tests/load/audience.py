"""Freezing and publishing an audience, from campaign.started to audience.closed in the outbox."""

import asyncio
import time
from uuid import UUID

from common.contracts.campaigns import AudienceRule, CampaignStartedV1, Sender
from common.db.pool import Database
from common.ids import new_id, purpose_id
from common.jobs import run_jobs
from common.outbox.writer import Outgoing
from common.testing import deliver
from contacts.consumers.subscriptions import consumers
from contacts.use_cases.audiences import FREEZE_AUDIENCE

from tests.load.crowds import fill
from tests.load.figures import Figure
from tests.load.server import database

CONTACTS = 200_000


async def run() -> list[Figure]:
    """One campaign to everybody; the floor is nothing but the INSERT of as many members."""
    workspace_id, campaign_id = new_id(), new_id()
    async with database("contacts") as contacts:
        db = contacts.worker
        await fill(db, workspace_id, CONTACTS)
        async with db.transaction(workspace_id) as tx:
            segment_id = new_id()
            await tx.execute(
                "insert into segments (workspace_id, id, name, rule) values ($1, $2, 'all', $3)",
                workspace_id, segment_id, {"field": "attributes.age", "op": "gte", "value": 18},
            )  # fmt: skip
            await tx.execute("analyze contacts; analyze contact_value; analyze consents")
        floor = await bare_insert(db, workspace_id)
        started = CampaignStartedV1(
            campaign_id=campaign_id, name="bench", purpose_id=purpose_id(workspace_id, "newsletter"),
            sender=Sender(name="B", email="b@example.com"), audience=AudienceRule(segment_ids=[segment_id]),
            fields=["first_name", "attributes.city"], content={},
        )  # fmt: skip
        await deliver(db, consumers()[0], [Outgoing(workspace_id, started)])
        began = time.perf_counter()
        published = await until_closed(db, campaign_id)
        took = time.perf_counter() - began
    return [Figure("audience", published / took, "recipients/s", published, round(took, 3), floor)]


async def bare_insert(db: Database, workspace_id: UUID) -> float:
    """The members' rows, decided by nobody."""
    began = time.perf_counter()
    async with db.transaction(workspace_id) as tx:
        await tx.execute(
            "insert into audience_members (workspace_id, campaign_id, contact_id, seq, decision)"
            " select workspace_id, $2, id, row_number() over (order by id), 'eligible' from contacts"
            " where workspace_id = $1",
            workspace_id, new_id(),
        )  # fmt: skip
    return CONTACTS / (time.perf_counter() - began)


async def until_closed(db: Database, campaign_id: UUID) -> int:
    """Run the jobs process until the audience is closed."""
    stop = asyncio.Event()
    jobs = asyncio.create_task(run_jobs(db, [FREEZE_AUDIENCE], [], stop, service="contacts"))
    try:
        while True:
            await asyncio.sleep(0.05)
            async with db.connection() as connection:
                row = await connection.fetchrow("select * from campaigns where campaign_id = $1", campaign_id)
            if row["status"] == "closed":
                published: int = row["published"]
                return published
    finally:
        stop.set()
        await jobs
