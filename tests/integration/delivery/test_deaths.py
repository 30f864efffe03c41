"""A process that dies between two lines, an answer that is lost, a word that comes late."""

import asyncio
from contextlib import asynccontextmanager

from common.clock import SYSTEM_CLOCK
from common.contracts.audiences import AudienceBatchV1
from common.contracts.email import EmailClickedV1, EmailUncertainV1
from common.contracts.envelope import Received
from common.contracts.leads import LeadErasedV1
from common.db.pool import Database
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver, outbox_events
from delivery.db import mailers, marks
from delivery.db.outcomes import Outcome
from delivery.use_cases.group_commit import GroupCommit
from delivery.use_cases.record_outcomes import record_outcomes
from delivery.use_cases.upkeep import publish_progress, reap_mailers, sweep

from tests.fixtures.sending import MAIN, Campaign, by_topic, mailing, make_mailer, rows, until


class LosesAnswers(Database):
    """Commits, and then the connection breaks before the answer comes."""

    def __init__(self, pool, times):
        super().__init__(pool)
        self.times = times

    @asynccontextmanager
    async def transaction(self, workspace_id=None, *, readonly=False):
        async with super().transaction(workspace_id, readonly=readonly) as tx:
            yield tx
        if self.times:
            self.times -= 1
            raise ConnectionResetError("after the commit")


async def test_marks_whose_commit_was_not_answered_are_found_again(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=30)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    mailer, stop = make_mailer(delivery_db, smtp_server.port), asyncio.Event()
    mailer._db = LosesAnswers(delivery_db.worker.pool, times=1)
    task = asyncio.create_task(mailer.run(stop))
    try:
        await until(delivery_db, campaign.id, sent=30)
    finally:
        stop.set()
        await asyncio.wait_for(task, 30)
    assert len(set(smtp_server.recipients)) == len(smtp_server.recipients) == 30
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from intents") == 0


async def test_a_mailer_that_stops_in_doubt_gives_everything_back(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=5)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    mailer, stop = make_mailer(delivery_db, smtp_server.port), asyncio.Event()
    mailer._db = LosesAnswers(delivery_db.worker.pool, times=1)
    task = asyncio.create_task(mailer.run(stop))
    await until(delivery_db, campaign.id, attempting=5)
    stop.set()
    await asyncio.wait_for(task, 30)
    await reap_mailers(delivery_db.worker)
    assert [row["status"] for row in await rows(delivery_db, campaign.id)] == ["pending"] * 5
    assert smtp_server.recipients == []


async def _marked(db, workspace_id, campaign):
    """A mailer has marked everything, and is not heard of again; its lease has ended."""
    mailer_id = new_id()
    await deliver(db.worker, MAIN, campaign.events())
    async with db.worker.transaction() as tx:
        epoch = await mailers.register(tx, mailer_id, "gone")
        taken = await marks.take(tx, mailer_id, epoch, 64, marks.unlimited(["other"], 64))
    assert len(taken) == len(campaign.recipients)
    return mailer_id, epoch, taken


async def test_a_mailer_gone_since_days_is_reaped(delivery_db, workspace_id):
    campaign = Campaign(workspace_id, n=3)
    await _marked(delivery_db, workspace_id, campaign)
    async with delivery_db.worker.connection() as connection:
        await connection.execute("update mailers set expires_at = now() - interval '3 days'")
    await reap_mailers(delivery_db.worker)
    assert [row["status"] for row in await rows(delivery_db, campaign.id)] == ["uncertain"] * 3
    assert len(by_topic(await outbox_events(delivery_db.worker), EmailUncertainV1)) == 3


async def test_a_late_word_that_it_never_began_brings_a_resting_campaign_back(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=2)
    mailer_id, epoch, taken = await _marked(delivery_db, workspace_id, campaign)
    async with delivery_db.worker.connection() as connection:
        await connection.execute("update mailers set expires_at = now()")
    await reap_mailers(delivery_db.worker)
    await sweep(delivery_db.worker)
    async with delivery_db.worker.connection() as connection:
        assert not await connection.fetchval("select active from mailings")
    late = [Outcome(row["workspace_id"], row["id"], row["attempt"], "pending") for row in taken]
    await record_outcomes(delivery_db.worker, mailer_id, epoch, late)
    for _ in "ab":
        await publish_progress(delivery_db.worker)
        await sweep(delivery_db.worker)
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=2)


async def test_a_campaign_that_nothing_can_be_retried_of_rests(delivery_db, workspace_id):
    """Erased people's messages and those of a cancelled campaign are not retried, so nobody need look again."""
    erased, cancelled = (Campaign(workspace_id, n=1, uncertain_policy="retry_once") for _ in "ab")
    for campaign in (erased, cancelled):
        await _marked(delivery_db, workspace_id, campaign)
    gone = LeadErasedV1(contact_id=erased.recipients[0].contact_id, request_id=new_id(), address_hashes=[])
    await deliver(delivery_db.worker, MAIN, [Outgoing(workspace_id, gone), cancelled.state("cancelled", 2)])
    async with delivery_db.worker.connection() as connection:
        await connection.execute("update mailers set expires_at = now()")
    await reap_mailers(delivery_db.worker)
    await sweep(delivery_db.worker)
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from mailings where active") == 0


async def test_erasure_and_a_batch_at_the_same_moment_leave_no_address(delivery_db, workspace_id):
    subscriptions = {one.contract.__name__: one.handle for one in MAIN.subscriptions}
    campaign = Campaign(workspace_id, n=2)
    await deliver(delivery_db.worker, MAIN, [campaign.started()])

    async def erase(tx, contact_id):
        event = LeadErasedV1(contact_id=contact_id, request_id=new_id(), address_hashes=[])
        await subscriptions["LeadErasedV1"](tx, [_received(workspace_id, event)])

    async def add(tx, recipient):
        event = AudienceBatchV1(campaign_id=campaign.id, n=0, recipients=[recipient])
        await subscriptions["AudienceBatchV1"](tx, [_received(workspace_id, event)])

    async def own(work, argument):
        async with delivery_db.worker.transaction() as tx:
            await work(tx, argument)

    first, second = campaign.recipients
    for early, late in (
        ((add, first), (erase, first.contact_id)),
        ((erase, second.contact_id), (add, second)),
    ):
        async with delivery_db.worker.transaction() as tx:
            await early[0](tx, early[1])
            other = asyncio.create_task(own(*late))
            await asyncio.sleep(0.3)
        await asyncio.wait_for(other, 10)
    found = await rows(delivery_db, campaign.id)
    assert [(row["status"], row["class"], row["email"]) for row in found] == [("suppressed", "erased", None)] * 2


def _received(workspace_id, data):
    return Received(id=new_id(), workspace_id=workspace_id, time=SYSTEM_CLOCK.now(), key="", data=data)


async def test_an_event_that_cannot_be_stored_takes_no_other_with_it(delivery_db, workspace_id):
    def clicked(url):
        return Outgoing(
            workspace_id,
            EmailClickedV1.model_construct(
                message_id=new_id(), kind="campaign", contact_id=None, campaign_id=None, purpose_id=None,
                sent_at=SYSTEM_CLOCK.now(), machine=False, machine_rule=None, link=1, url=url,
            ),
        )  # fmt: skip

    kept = GroupCommit(delivery_db.worker)
    committing = asyncio.create_task(kept.run())
    answers = await asyncio.gather(*(kept.durable(clicked(url)) for url in ("http://a", "http://\ud800", "http://b")))
    assert await kept.durable(clicked("http://c"))
    kept.close()
    await asyncio.wait_for(committing, 5)
    assert len(answers) == 3
    urls = [event.data.url for event in by_topic(await outbox_events(delivery_db.worker), EmailClickedV1)]
    assert sorted(urls) == ["http://a", "http://b", "http://c"]
