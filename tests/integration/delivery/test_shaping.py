"""Limits that two mailers keep together, and what a provider's wish for less does to them and to others."""

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from common.ids import new_id
from common.testing.deliver import deliver
from delivery.domain.limits import Limit
from delivery.domain.pacing import LATE_S
from delivery.use_cases.composing import Composer

from tests.fixtures.sending import MAIN, Campaign, add_route, eventually, mailing, rows, statuses, until


def at_provider(workspace_id, n, domain="gmail.com"):
    campaign = Campaign(workspace_id)
    campaign.recipients = [campaign.person(f"user{i}@{domain}") for i in range(n)]
    return campaign


@asynccontextmanager
async def two_mailers(db, port, **options):
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(mailing(db, port, name=name, **options)) for name in ("one", "two")]


class Watch:
    """When messages came to a server, and over how many connections at once."""

    def __init__(self, server):
        self.server, self.came, self.most = server, [], 0
        server.taken = _Noting(self.came)

    async def connections(self):
        while True:
            self.most = max(self.most, len(self.server.open))
            await asyncio.sleep(0.002)

    def times(self, domain):
        """When mail to a domain came."""
        return [at for at, recipient in self.came if recipient.endswith(f"@{domain}")]


def most_within(seconds, times):
    """The most of them in any span of so many seconds."""
    return max(sum(first <= at < first + seconds for at in times) for first in times)


class _Noting(list):
    def __init__(self, came):
        super().__init__()
        self.came = came

    def append(self, one):
        self.came.append((time.monotonic(), one.recipient))
        super().append(one)


@pytest.fixture
def begun(monkeypatch):
    """When mailers began to send a message, and to whom."""
    times, compose = [], Composer.compose

    async def noted(self, row, **options):
        times.append((time.monotonic(), row["email"]))
        return await compose(self, row, **options)

    monkeypatch.setattr(Composer, "compose", noted)
    return times


@pytest.mark.parametrize("of_route", ["platform", "workspace"])
async def test_two_mailers_keep_a_rate_together(delivery_db, workspace_id, smtp_server, begun, of_route):
    rate, n = 20, 240
    limits = {"gmail": {"per_second": rate}}
    campaign, free = at_provider(workspace_id, n), at_provider(workspace_id, 100, "example.com")
    for one in (campaign, free):
        await deliver(delivery_db.worker, MAIN, one.events())
    if of_route == "workspace":
        await add_route(delivery_db, workspace_id, smtp_server.port, limits=limits)
    watch = Watch(smtp_server)
    started = time.monotonic()
    async with two_mailers(delivery_db, smtp_server.port, limits={"gmail": Limit(per_second=rate)}):
        await until(delivery_db, free.id, sent=100, timeout_s=n / rate * 0.9)
        await until(delivery_db, campaign.id, sent=n, timeout_s=40)
    took = time.monotonic() - started
    assert most_within(10, watch.times("gmail.com")) <= rate * 10 * 1.05
    times = [at for at, email in begun if email.endswith("@gmail.com")]
    for seconds in (1, 2, 4, 10):
        # Those of the span's slots, and those that are as late as a slot allows.
        assert most_within(seconds, times) <= rate * (seconds + LATE_S) + 1
    assert (n - 1) / rate <= took <= n / rate * 1.5 + 2, "as fast as it may, and no faster"
    found = await rows(delivery_db, campaign.id)
    assert len({row["mailer_id"] for row in found}) == 2, "both had a part"
    assert max(row["attempt"] for row in found) <= 2, "slots are met, not missed and tried again"


async def test_two_mailers_keep_a_number_of_connections_together(delivery_db, workspace_id, smtp_server):
    smtp_server.delay_s = 0.02
    campaign = at_provider(workspace_id, 200)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    watch = Watch(smtp_server)
    watching = asyncio.create_task(watch.connections())
    limits = {"gmail": Limit(connections=3)}
    async with two_mailers(delivery_db, smtp_server.port, limits=limits, connections=8):
        await until(delivery_db, campaign.id, sent=200, timeout_s=30)
    watching.cancel()
    assert 2 <= watch.most <= 3
    assert smtp_server.connections <= 12, "they are used again"
    assert max(row["attempt"] for row in await rows(delivery_db, campaign.id)) == 1


async def test_a_route_that_is_changed_keeps_its_number_of_connections(delivery_db, workspace_id, smtp_server):
    smtp_server.delay_s = 0.02
    limits = {"*": {"connections": 2}}
    route_id = await add_route(delivery_db, workspace_id, smtp_server.port, limits=limits)
    campaign = at_provider(workspace_id, 200)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    watch = Watch(smtp_server)
    watching = asyncio.create_task(watch.connections())
    async with mailing(delivery_db, 1, connections=8):
        await eventually(lambda: len(smtp_server.taken) > 40)
        async with delivery_db.worker.connection() as connection:
            await connection.execute("update routes set revision = revision + 1 where id = $1", route_id)
        await until(delivery_db, campaign.id, sent=200, timeout_s=30)
    watching.cancel()
    assert watch.most == 2
    assert smtp_server.connections >= 4, "the change was seen"


async def test_a_limit_on_connections_of_one_provider_holds_up_no_other(delivery_db, workspace_id, smtp_server):
    smtp_server.delay_s = 0.05
    slow, fast = at_provider(workspace_id, 60), at_provider(workspace_id, 200, "example.com")
    for one in (slow, fast):
        await deliver(delivery_db.worker, MAIN, one.events())
    async with mailing(delivery_db, smtp_server.port, limits={"gmail": Limit(connections=1)}, connections=8):
        await until(delivery_db, fast.id, sent=200, timeout_s=10)
        assert (await statuses(delivery_db, slow.id)).get("sent", 0) < 60
        await until(delivery_db, slow.id, sent=60, timeout_s=20)


async def test_messages_per_connection_are_kept(delivery_db, workspace_id, smtp_server):
    campaign = at_provider(workspace_id, 50)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port, limits={"gmail": Limit(messages_per_connection=5)}):
        await until(delivery_db, campaign.id, sent=50)
    assert smtp_server.connections >= 10


async def test_connections_of_a_mailer_that_is_gone_are_free_again(delivery_db, workspace_id, smtp_server):
    campaign = at_provider(workspace_id, 10)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    limits = {"gmail": Limit(connections=1)}
    gone = new_id()
    nobody = "00000000-0000-0000-0000-000000000000"
    async with delivery_db.worker.connection() as connection:
        await connection.execute(
            "insert into mailers (id, name, epoch, expires_at) values ($1, 'gone', 1, now() + interval '2 seconds')",
            gone,
        )
        await connection.execute("insert into route_connections values ($1, $1, 'gmail', $2, 1, 1)", nobody, gone)
    async with mailing(delivery_db, smtp_server.port, limits=limits):
        await asyncio.sleep(0.8)
        assert smtp_server.connections == 0
        await until(delivery_db, campaign.id, sent=10)


async def test_a_provider_that_asks_for_less_is_left_alone_by_all_and_others_are_not(
    delivery_db, workspace_id, smtp_server
):
    slow, fast = at_provider(workspace_id, 400), at_provider(workspace_id, 400, "example.com")
    smtp_server.delay_s = 0.01
    for one in (slow, fast):
        await deliver(delivery_db.worker, MAIN, one.events())
    watch = Watch(smtp_server)
    async with two_mailers(delivery_db, smtp_server.port, connections=2) as mailers:
        await eventually(lambda: len(smtp_server.taken) > 40)
        for one in slow.recipients:
            smtp_server.replies[one.email] = {"rcpt": "421 4.7.28 too much mail from you"}
        await eventually(lambda: budget(delivery_db))
        asked = time.monotonic()
        await eventually(lambda: all(map(leaves_gmail_alone, mailers)))
        await asyncio.sleep(0.3)  # a claim may have been under way
        await eventually(lambda: all(map(leaves_gmail_alone, mailers)))
        for one in slow.recipients:
            smtp_server.replies.pop(one.email)
        alone, before = time.monotonic(), len(watch.times("gmail.com"))
        pause_ends = alone + await pause_left(delivery_db)
        assert pause_ends - alone > 1, "they knew long before its end"
        await until(delivery_db, fast.id, sent=400, timeout_s=20)
        await asyncio.sleep(pause_ends - time.monotonic())
        came = watch.times("gmail.com")[before:]
        assert [at for at in came if at < pause_ends] == [], "nothing goes to it while it is paused"
        assert any(asked < at < pause_ends for at in watch.times("example.com"))
        budgeted = await budget(delivery_db)
        assert budgeted["pause_s"] == 5.0, "one burst is one refusal"
        assert budgeted["base_rate"] == pytest.approx(budgeted["ceiling"] / 2)
        await eventually(lambda: more_than(delivery_db, slow.id, before), timeout_s=20)
    found = await statuses(delivery_db, slow.id)
    assert set(found) <= {"sent", "pending", "deferred"}
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from blocks") == 0


async def test_amazons_throttle_which_has_no_code_of_it_slows_and_fails_nobody(delivery_db, workspace_id, smtp_server):
    campaign = at_provider(workspace_id, 20)
    for one in campaign.recipients:
        smtp_server.replies[one.email] = {"body": "454 Throttling failure: Maximum sending rate exceeded."}
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port, connections=1):
        await eventually(lambda: budget(delivery_db))
    assert set(await statuses(delivery_db, campaign.id)) <= {"pending", "deferred"}


async def budget(db):
    async with db.worker.connection() as connection:
        return await connection.fetchrow("select * from route_budgets where ceiling is not null")


async def pause_left(db):
    async with db.worker.connection() as connection:
        return await connection.fetchval(
            "select paused_until - extract(epoch from clock_timestamp())::float8 from route_budgets"
        )


def leaves_gmail_alone(mailer):
    """Whether it knows of the pause, and has nothing left that it marked before."""
    known = any(provider == "gmail" for _, _, provider in mailer.ways.budgets)
    return known and not any(item.provider == "gmail" for item in mailer.window.items.values())


async def more_than(db, campaign_id, n):
    return (await statuses(db, campaign_id)).get("sent", 0) > n


async def test_a_budget_that_nobody_needs_any_more_goes(delivery_db, workspace_id, smtp_server):
    nobody = "00000000-0000-0000-0000-000000000000"
    async with delivery_db.worker.connection() as connection:
        await connection.execute(
            """
            insert into route_budgets (workspace_id, route_id, provider, ceiling, base_rate, refused_at, paused_until)
            values ($1, $1, 'gmail', 100, 50, 1, 1)
            """,
            nobody,
        )
    campaign = at_provider(workspace_id, 20)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=20)
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from route_budgets") == 0


async def test_one_domain_that_greylists_does_not_slow_all_the_others(delivery_db, workspace_id, smtp_server):
    """Domains that are nobody's in particular share a name, and nothing else."""
    campaign = at_provider(workspace_id, 200, "example.com")
    for one in campaign.recipients[:2]:
        smtp_server.replies[one.email] = {"rcpt": "451 4.7.1 come back later"}
        smtp_server.times[one.email] = 1
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=200, timeout_s=4)
    assert await budget(delivery_db) is None
