"""Several ways out: shares by weight, failover, and what a route that does not work does to its mail."""

import asyncio

from common.ids import new_id
from common.testing.deliver import deliver

from tests.fixtures.sending import MAIN, Campaign, add_route, eventually, mailing, rows, statuses, until

AUTH = ("PIPELINING", "8BITMIME", "AUTH PLAIN")


async def route_row(db, route_id):
    async with db.worker.connection() as connection:
        return await connection.fetchrow("select * from routes where id = $1", route_id)


async def test_a_workspace_with_routes_uses_them_and_others_the_platforms(
    delivery_db, workspace_id, smtp_server, other_smtp_server
):
    route_id = await add_route(delivery_db, workspace_id, other_smtp_server.port)
    mine, theirs = Campaign(workspace_id, n=30), Campaign(new_id(), n=30)
    theirs.recipients = [theirs.person(f"other{i}@example.com") for i in range(30)]
    await deliver(delivery_db.worker, MAIN, mine.events())
    await deliver(delivery_db.worker, MAIN, theirs.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, mine.id, sent=30)
        await until(delivery_db, theirs.id, sent=30)
    assert sorted(other_smtp_server.recipients) == sorted(one.email for one in mine.recipients)
    assert sorted(smtp_server.recipients) == sorted(one.email for one in theirs.recipients)
    assert {row["route_id"] for row in await rows(delivery_db, mine.id)} == {route_id}
    assert {row["route_id"] for row in await rows(delivery_db, theirs.id)} == {None}


async def test_routes_share_by_weight(delivery_db, workspace_id, smtp_server, other_smtp_server):
    await add_route(delivery_db, workspace_id, smtp_server.port, weight=3)
    await add_route(delivery_db, workspace_id, other_smtp_server.port, weight=1)
    campaign = Campaign(workspace_id, n=800)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, 1):
        await until(delivery_db, campaign.id, sent=800, timeout_s=40)
    assert len(smtp_server.recipients) + len(other_smtp_server.recipients) == 800
    assert 540 <= len(smtp_server.recipients) <= 660


async def test_mail_of_a_route_that_is_down_goes_by_another(delivery_db, workspace_id, smtp_server):
    down = await add_route(delivery_db, workspace_id, 1, weight=100)
    up = await add_route(delivery_db, workspace_id, smtp_server.port)
    campaign = Campaign(workspace_id, n=100)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, 1):
        await until(delivery_db, campaign.id, sent=100)
        await eventually(lambda: failing(delivery_db, down))
    assert {row["route_id"] for row in await rows(delivery_db, campaign.id)} == {up}
    assert len(set(smtp_server.recipients)) == len(smtp_server.recipients) == 100
    assert (await route_row(delivery_db, up))["failing_since"] is None


async def failing(db, route_id):
    return (await route_row(db, route_id))["failing_since"] is not None


async def test_a_server_that_wants_no_more_connections_is_used_by_those_it_has(delivery_db, workspace_id, smtp_server):
    await add_route(delivery_db, workspace_id, smtp_server.port)
    campaign = Campaign(workspace_id, n=400)
    smtp_server.delay_s = 0.02
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, 1) as mailer:
        await eventually(lambda: len(smtp_server.open) == 4 and len(smtp_server.recipients) > 40)
        smtp_server.refuse = True
        refused_from = smtp_server.connections
        next(iter(smtp_server.open)).close()
        await eventually(lambda: smtp_server.connections > refused_from)
        had = len(smtp_server.recipients)
        await eventually(lambda: len(smtp_server.recipients) > had + 10)
        await eventually(lambda: len(mailer.window.items) > 10)
        smtp_server.refuse = False
        # The connection that was cut may have been waiting for its answer after the dot.
        await eventually(lambda: nothing_waits(delivery_db, campaign.id), timeout_s=40)
    uncertain = (await statuses(delivery_db, campaign.id)).get("uncertain", 0)
    assert uncertain <= 1
    assert 400 - uncertain <= len(set(smtp_server.recipients)) == len(smtp_server.recipients)


async def test_a_lower_priority_is_for_when_the_first_does_not_work(
    delivery_db, workspace_id, smtp_server, other_smtp_server
):
    await add_route(delivery_db, workspace_id, smtp_server.port, priority=0)
    await add_route(delivery_db, workspace_id, other_smtp_server.port, priority=1, weight=1000)
    campaign = Campaign(workspace_id, n=300)
    smtp_server.delay_s = 0.02
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, 1):
        await eventually(lambda: len(smtp_server.recipients) > 20)
        assert other_smtp_server.connections == 0
        smtp_server.refuse = True
        for writer in list(smtp_server.open):
            writer.close()
        await eventually(lambda: len(other_smtp_server.recipients) > 0)
        found = await statuses(delivery_db, campaign.id)
        assert "failed" not in found
        smtp_server.refuse = False
        # What was cut off after the dot is uncertain; the rest goes.
        await eventually(lambda: nothing_waits(delivery_db, campaign.id))
    everywhere = smtp_server.recipients + other_smtp_server.recipients
    assert len(set(everywhere)) == len(everywhere)
    found = await statuses(delivery_db, campaign.id)
    assert found["sent"] + found.get("uncertain", 0) == 300


async def nothing_waits(db, campaign_id):
    return set(await statuses(db, campaign_id)) <= {"sent", "uncertain"}


async def test_wrong_credentials_lose_nothing_and_are_told(delivery_db, workspace_id, smtp_server):
    smtp_server.extensions = AUTH
    smtp_server.refuse_auth = True
    route_id = await add_route(delivery_db, workspace_id, smtp_server.port, username="me", password="wrong")
    campaign = Campaign(workspace_id, n=20)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, 1):
        await eventually(lambda: failing(delivery_db, route_id))
        failure = (await route_row(delivery_db, route_id))["failure"]
        assert failure.startswith("535")
        # One may just be trying the route again.
        assert set(await statuses(delivery_db, campaign.id)) <= {"pending", "attempting"}
        assert not any(line.startswith("MAIL") for line in smtp_server.commands)
        smtp_server.refuse_auth = False
        await until(delivery_db, campaign.id, sent=20)
        await eventually(lambda: working(delivery_db, route_id))
    assert len(smtp_server.recipients) == 20


async def working(db, route_id):
    return not await failing(db, route_id)


async def test_a_route_that_does_not_work_holds_up_no_other_workspace(delivery_db, workspace_id, smtp_server):
    """Not even one that answers nothing: until it has shown itself, it gets one message."""
    held = []

    async def say_nothing(_reader, writer):
        held.append(writer)

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    await add_route(delivery_db, workspace_id, silent.sockets[0].getsockname()[1])
    stuck, fine = Campaign(workspace_id, n=100), Campaign(new_id(), n=100)
    await deliver(delivery_db.worker, MAIN, stuck.events())
    await deliver(delivery_db.worker, MAIN, fine.events())
    async with mailing(delivery_db, smtp_server.port, connections=2):
        await until(delivery_db, fine.id, sent=100, timeout_s=10)
        silent.close()
        for writer in held:
            writer.close()
            await writer.wait_closed()
    assert held
    assert await statuses(delivery_db, stuck.id) == {"pending": 100}


async def test_a_disabled_route_is_not_used_within_seconds(delivery_db, workspace_id, smtp_server, other_smtp_server):
    route_id = await add_route(delivery_db, workspace_id, smtp_server.port)
    await add_route(delivery_db, workspace_id, other_smtp_server.port, priority=1)
    campaign = Campaign(workspace_id, n=400)
    smtp_server.delay_s = other_smtp_server.delay_s = 0.05
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, 1):
        await eventually(lambda: len(smtp_server.recipients) > 10)
        async with delivery_db.worker.connection() as connection:
            await connection.execute("update routes set enabled = false where id = $1", route_id)
        await eventually(lambda: other_smtp_server.recipients)
        known = len(smtp_server.recipients)
        await until(delivery_db, campaign.id, sent=400, timeout_s=40)
        assert known <= len(smtp_server.recipients) <= known + 4, "only what was on its way"


async def test_a_password_that_cannot_be_opened_lets_mail_wait(delivery_db, workspace_id, smtp_server):
    """It does not go by the platform's route, which is not this workspace's."""
    route_id = await add_route(delivery_db, workspace_id, smtp_server.port, username="me", password="secret")
    async with delivery_db.worker.connection() as connection:
        await connection.execute("update routes set password = '\\x01' where id = $1", route_id)
    campaign = Campaign(workspace_id, n=5)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await asyncio.sleep(1.5)
    assert await statuses(delivery_db, campaign.id) == {"pending": 5}
    assert smtp_server.connections == 0
