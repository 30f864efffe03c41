"""Campaigns as contacts hears of them, a crowd of people, and a job that may die anywhere."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from common.contracts import campaigns
from common.ids import purpose_id
from common.jobs import JobContext, lease
from common.outbox.writer import Outgoing
from common.testing import outbox_events
from contacts.consumers.subscriptions import consumers
from contacts.use_cases import audiences as use_cases

from tests.integration.contacts.people import (
    Someone,
    store,
    suppress,
)

MAIN = consumers()[0]
EVERYBODY = {"all": []}


def started(workspace_id, campaign_id, *, segments=(), lists=(), without=(), fields=(), purpose="newsletter"):
    return Outgoing(
        workspace_id,
        campaigns.CampaignStartedV1(
            campaign_id=campaign_id,
            name="پاییز",
            purpose_id=purpose_id(workspace_id, purpose),
            sender=campaigns.Sender(name="B", email="b@x.example"),
            audience=campaigns.AudienceRule(
                segment_ids=list(segments), list_ids=list(lists), exclude_segment_ids=list(without)
            ),
            fields=list(fields),
            content={},
        ),
    )


def stated(workspace_id, campaign_id, state, revision):
    return Outgoing(workspace_id, campaigns.CampaignStateV1(campaign_id=campaign_id, state=state, revision=revision))


def completed(workspace_id, campaign_id, at=None):
    data = campaigns.CampaignCompletedV1(campaign_id=campaign_id, outcome="completed", final_revision=3)
    return Outgoing(workspace_id, data, time=at or datetime.now(UTC))


class Killed(Exception):
    """The process is gone."""


class Dying:
    """A database whose user dies before statement n, counted over everything it does; or just after a commit."""

    def __init__(self, db, die_at):
        self.db, self.left = db, die_at

    def tick(self):
        self.left -= 1
        if self.left == 0:
            raise Killed

    @asynccontextmanager
    async def transaction(self, workspace_id=None, *, readonly=False):
        async with self.db.transaction(workspace_id, readonly=readonly) as tx:
            yield DyingConnection(tx, self)
            self.tick()
        self.tick()


class DyingConnection:
    def __init__(self, tx, owner):
        self.tx, self.owner = tx, owner

    def __getattr__(self, name):
        method = getattr(self.tx, name)

        async def call(*args, **kwargs):
            self.owner.tick()
            return await method(*args, **kwargs)

        return call


async def attempt(db, die_at=0):
    """Claim the job as another process would and run it; False if there is none."""
    async with db.connection() as connection:
        await connection.execute("update jobs set lease_until = null")
    row = await lease.claim(db, [("freeze_audience", 60.0)])
    if row is None:
        return False
    context = JobContext(
        Dying(db, die_at), row["id"], row["workspace_id"], row["args"], row["checkpoint"], row["cancel"],
        row["attempt"], row["lease_epoch"], 60.0,
    )  # fmt: skip
    await use_cases.FREEZE_AUDIENCE.run(context)
    async with db.transaction() as tx:
        assert await lease.finish(tx, context, "completed")
    return True


async def published(db):
    """Batches by number, and the closing totals. Asserts that nothing was published twice."""
    batches = {}
    for event in await outbox_events(db, "audience.batch"):
        assert event.data.n not in batches
        batches[event.data.n] = event.data.recipients
    closed = [event.data for event in await outbox_events(db, "audience.closed")]
    assert len(closed) <= 1
    return [batches[n] for n in range(len(batches))], closed[0] if closed else None


async def crowd(db, workspace_id):
    """One contact for each decision."""
    people = {
        "eligible": Someone("a@example.com"),
        "also": Someone("علي@شرکت.example"),
        "excluded_segment": Someone("b@example.com", tags=["no"]),
        "excluded_before_suppressed": Someone("c@example.com", tags=["no"]),
        "suppressed": Someone("d@example.com"),
        "suppressed_domain": Someone("e@blocked.example"),
        "suppressed_and_unsubscribed": Someone("f@example.com", "unsubscribed"),
        "lifted": Someone("g@example.com"),
        "expired": Someone("h@example.com"),
        "unsubscribed": Someone("i@example.com", "unsubscribed"),
        "unconfirmed": Someone("j@example.com", "pending"),
        "no_consent": Someone("k@example.com", None),
        "none": Someone("l@example.com", "none"),
    }
    await store(db, workspace_id, list(people.values()))
    for name in ("c", "d", "f"):
        await suppress(db, workspace_id, "address", f"{name}@example.com")
    await suppress(db, workspace_id, "domain", "blocked.example")
    await suppress(db, workspace_id, "address", "g@example.com", active=False)
    await suppress(db, workspace_id, "address", "h@example.com", expires_at=datetime.now(UTC) - timedelta(days=1))
    return people
