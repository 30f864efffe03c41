"""A large campaign of one workspace beside small things of another."""

import time

import asyncpg
import pytest
from common.contracts.campaigns import MessageRequestedV1, RequestedRecipient, Sender
from common.db.pool import BY_KEY, Database
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver
from delivery.db import mailers, marks
from delivery.domain.limits import Limit
from delivery.domain.providers import PROVIDERS

from tests.fixtures.sending import MAIN, Campaign, content, eventually, mailing, rows, until

LARGE = 200_000
_FILL = """
insert into messages (workspace_id, id, mailing_id, contact_id, kind, lane, email, address_hash, domain_hash, language,
                      fields, provider, status, next_at)
select workspace_id, gen_random_uuid(), mailing_id, gen_random_uuid(), kind, lane, 'large' || n || '@example.com',
       address_hash, domain_hash, language, fields, case n % 3 when 0 then 'gmail' else 'other' end, 'pending', now()
  from messages cross join generate_series(1, $2::int) n where mailing_id = $1
"""

_BLOCKED = """
insert into blocks (workspace_id, scope, subject, told_blocked, told_reason)
select $1, 'address', sha256(n::text::bytea), true, 'unsubscribed' from generate_series(1, $2::int) n
"""


async def large_campaign(db, workspace_id, n):
    campaign = Campaign(workspace_id, n=1)
    await deliver(db.worker, MAIN, campaign.events())
    async with db.worker.connection() as connection:
        await connection.execute(_FILL, campaign.id, n - 1)
    return campaign


def single(workspace_id, email):
    return Outgoing(
        workspace_id,
        MessageRequestedV1(
            request_id=new_id(),
            kind="single",
            sender=Sender(name="Other", email="news@other.test"),
            content=content(),
            recipients=[RequestedRecipient(email=email, language="en", fields={})],
        ),
    )


@pytest.mark.slow
async def test_single_mail_does_not_wait_for_a_large_campaign_of_another_workspace(
    delivery_db, workspace_id, smtp_server
):
    await large_campaign(delivery_db, workspace_id, LARGE)
    other, asked, arrived = new_id(), {}, {}
    smtp_server.taken = _Arrivals(arrived)
    async with mailing(delivery_db, smtp_server.port, connections=8):
        await eventually(lambda: len(arrived) > 200)
        for n in range(100):
            email = f"single{n}@example.org"
            asked[email] = time.monotonic()
            await deliver(delivery_db.worker, MAIN, [single(other, email)])
        await eventually(lambda: asked.keys() <= arrived.keys(), timeout_s=30)
        assert len(arrived) > 400, "the campaign went on meanwhile"
    waited = sorted(arrived[email] - at for email, at in asked.items())
    assert waited[98] < 2, f"p99 {waited[98]:.2f} s, median {waited[50]:.2f} s"


class _Arrivals(list):
    def __init__(self, times):
        super().__init__()
        self.times = times

    def append(self, one):
        self.times.setdefault(one.recipient, time.monotonic())


@pytest.mark.parametrize("analysed", ["never", "before", "after"])
@pytest.mark.parametrize("n", [6_000, pytest.param(LARGE, marks=pytest.mark.slow)])
async def test_a_claim_reads_no_more_of_a_large_campaign_than_of_a_small_one(delivery_db, workspace_id, n, analysed):
    """Also before PostgreSQL has statistics of the ledger, and whatever number of other people is blocked."""
    owner = await asyncpg.connect(delivery_db.owner_url)
    await large_campaign(delivery_db, workspace_id, 200)
    small = await pages_of_a_claim(delivery_db.worker_url)
    if analysed == "before":
        await owner.execute("analyze messages, mailings, blocks")
    await large_campaign(delivery_db, workspace_id, n)
    async with delivery_db.worker.connection() as connection:
        await connection.execute(_BLOCKED, workspace_id, n // 4)
    if analysed == "after":
        await owner.execute("analyze messages, mailings, blocks")
    await owner.close()
    assert await pages_of_a_claim(delivery_db.worker_url) < small * 2 + 100


async def pages_of_a_claim(url):
    """Pages that a mailer's claim of 21 messages touches."""
    database = await Database.open(url, name="test mailer", planner=BY_KEY)
    async with database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        mailer_id = new_id()
        epoch = await mailers.register(connection, mailer_id, "test")
        quotas = marks.unlimited(PROVIDERS, 21)
        arguments = marks.arguments(mailer_id, epoch, 21, quotas, (), ())
        (plan,) = await connection.fetchval(f"explain (analyze, buffers, format json) {marks.TAKE}", *arguments)
        await transaction.rollback()
    await database.close()
    return plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]


async def test_workspaces_take_turns(delivery_db, workspace_id, smtp_server):
    """Whoever came first, and however much they have."""
    first, second = Campaign(workspace_id, n=300), Campaign(new_id(), n=40)
    second.recipients = [second.person(f"second{i}@example.com") for i in range(40)]
    for one in (first, second):
        await deliver(delivery_db.worker, MAIN, one.events())
    smtp_server.delay_s = 0.005
    async with mailing(delivery_db, smtp_server.port, window=24):
        await until(delivery_db, second.id, sent=40)
        await until(delivery_db, first.id, sent=300)
    places = [n for n, one in enumerate(smtp_server.recipients) if one.startswith("second")]
    assert places[0] <= 24 + 4
    assert places[-1] <= 2 * 40 + 2 * 24, "one by one, not one after the other"


async def test_single_mail_gets_the_next_slot_of_a_limited_provider(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id)
    campaign.recipients = [campaign.person(f"user{i}@gmail.com") for i in range(200)]
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port, limits={"gmail": Limit(per_second=10)}):
        await eventually(lambda: len(smtp_server.taken) >= 5)
        request = single(new_id(), "single@gmail.com")
        await deliver(delivery_db.worker, MAIN, [request])
        before = len(smtp_server.taken)
        await eventually(lambda: "single@gmail.com" in smtp_server.recipients, timeout_s=10)
        assert smtp_server.recipients.index("single@gmail.com") - before <= 15
    assert (await rows(delivery_db, request.data.request_id))[0]["status"] == "sent"
