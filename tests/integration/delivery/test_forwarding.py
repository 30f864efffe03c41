"""Answers go on as other mail of their workspace does: over its routes, within their limits, to nobody it must not."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from common.ids import new_id
from delivery import inbound
from delivery.db import blocks, forwards
from delivery.domain.addressed import addressed
from delivery.settings import Settings

from tests.fixtures.sending import PEPPER_BYTES, add_route, eventually

ANSWER = b"From: ann@example.com\r\nSubject: Re: Hi\r\n\r\nblue?\r\n"


@pytest.fixture
def running(delivery_db, service_env, monkeypatch, smtp_server):
    """The process; the platform's route leads to `smtp_server`."""
    service_env("delivery", delivery_db)
    monkeypatch.setenv("BARID_SMTP_URL", f"smtp://127.0.0.1:{smtp_server.port}")
    monkeypatch.setenv("BARID_ROUTE_NETWORKS", "127.0.0.0/8")

    @asynccontextmanager
    async def run():
        stop = asyncio.Event()
        task = asyncio.create_task(inbound.run(Settings(), stop))
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(task, 30)

    return run


async def wait_to_go(db, workspace_id, *recipients):
    async with db.worker.transaction() as tx:
        await forwards.add(tx, [(workspace_id, new_id(), one, ANSWER) for one in recipients])


async def gone(db):
    async with db.worker.connection() as connection:
        return not await connection.fetchval("select count(*) from forwards")


async def test_over_the_workspaces_own_routes_and_the_platforms_for_those_without(
    delivery_db, workspace_id, running, smtp_server, other_smtp_server
):
    await add_route(delivery_db, workspace_id, other_smtp_server.port)
    await wait_to_go(delivery_db, workspace_id, "help@shop.test")
    await wait_to_go(delivery_db, new_id(), "help@other.test")
    async with running():
        await eventually(lambda: gone(delivery_db))
    assert other_smtp_server.recipients == ["help@shop.test"]
    assert smtp_server.recipients == ["help@other.test"]


async def test_by_the_next_priority_when_the_first_does_not_answer_and_by_no_one_elses(
    delivery_db, workspace_id, running, smtp_server, other_smtp_server
):
    await add_route(delivery_db, workspace_id, 1)
    spare = await add_route(delivery_db, workspace_id, other_smtp_server.port, priority=1, enabled=False)
    await wait_to_go(delivery_db, workspace_id, "help@shop.test")

    async def known_to_fail():
        async with delivery_db.worker.connection() as connection:
            return await connection.fetchval("select count(*) from routes where failing_since is not null")

    async def again():
        async with delivery_db.worker.connection() as connection:
            await connection.execute("update forwards set next_at = now()")

    async with running():
        await again()
        await asyncio.sleep(2)
        assert smtp_server.recipients == []
        async with delivery_db.worker.connection() as connection:
            await connection.execute("update routes set enabled = true where id = $1", spare)
        await again()
        await eventually(lambda: gone(delivery_db))
        await wait_to_go(delivery_db, workspace_id, "help@shop.test")
        await eventually(known_to_fail)
        await eventually(lambda: gone(delivery_db))
    assert other_smtp_server.recipients == ["help@shop.test"] * 2
    assert smtp_server.recipients == []


@pytest.mark.parametrize("scope", ["address", "domain"])
async def test_not_to_an_address_that_the_workspace_must_not_write_to(
    delivery_db, workspace_id, running, smtp_server, scope
):
    at = addressed(PEPPER_BYTES, workspace_id, "help@shop.test")
    async with delivery_db.worker.transaction() as tx:
        subject = at.address_hash if scope == "address" else at.domain_hash
        await blocks.block_all(tx, [(workspace_id, scope, subject)], [new_id()], "bad_mailbox")
    await wait_to_go(delivery_db, workspace_id, "Help@shop.test", "help@example.com")
    await wait_to_go(delivery_db, new_id(), "help@shop.test")
    async with running():
        await eventually(lambda: gone(delivery_db))
    assert sorted(smtp_server.recipients) == ["help@example.com", "help@shop.test"], "another workspace may"
    async with delivery_db.worker.connection() as connection:
        aside = await connection.fetch("select workspace_id, why, envelope from set_aside")
    assert [tuple(one) for one in aside] == [(workspace_id, "not_forwarded", ["Help@shop.test"])]


async def test_no_faster_than_the_route_may(delivery_db, workspace_id, running, other_smtp_server):
    await add_route(delivery_db, workspace_id, other_smtp_server.port, limits={"*": {"per_second": 2}})
    await wait_to_go(delivery_db, workspace_id, *(f"help{n}@shop.test" for n in range(5)))
    started = time.monotonic()
    async with running():
        await eventually(lambda: gone(delivery_db))
    assert time.monotonic() - started >= 2.0, "five messages in slots half a second apart"
    assert len(other_smtp_server.recipients) == 5


async def test_with_no_more_messages_on_a_connection_than_the_route_may(
    delivery_db, workspace_id, running, other_smtp_server
):
    await add_route(delivery_db, workspace_id, other_smtp_server.port, limits={"*": {"messages_per_connection": 2}})
    await wait_to_go(delivery_db, workspace_id, *(f"help{n}@shop.test" for n in range(5)))
    async with running():
        await eventually(lambda: gone(delivery_db))
    assert (len(other_smtp_server.recipients), other_smtp_server.connections) == (5, 3)


async def test_not_while_mailers_have_all_connections_and_then_with_one_of_its_own(
    delivery_db, workspace_id, running, other_smtp_server
):
    route_id = await add_route(delivery_db, workspace_id, other_smtp_server.port, limits={"*": {"connections": 1}})
    mailer = new_id()
    async with delivery_db.worker.connection() as connection:
        await connection.execute(
            "insert into mailers (id, name, epoch, expires_at) values ($1, 'x', 1, now() + interval '1 minute')", mailer
        )
        await connection.execute(
            "insert into route_budgets (workspace_id, route_id, provider) values ($1, $2, '*')", workspace_id, route_id
        )
        await connection.execute(
            "insert into route_connections (workspace_id, route_id, provider, mailer_id, mailer_epoch, n)"
            " values ($1, $2, '*', $3, 1, 1)",
            workspace_id,
            route_id,
            mailer,
        )
    await wait_to_go(delivery_db, workspace_id, "help@shop.test")
    other_smtp_server.hang["help@shop.test"] = "rcpt"

    async def held():
        async with delivery_db.worker.connection() as connection:
            found = await connection.fetch("select mailer_id from route_connections where n > 0")
            return [one["mailer_id"] for one in found]

    async with running():
        await asyncio.sleep(2.5)
        assert other_smtp_server.connections == 0
        async with delivery_db.worker.connection() as connection:
            await connection.execute("delete from route_connections")
        await eventually(lambda: other_smtp_server.connections == 1)
        (own,) = await held()
        assert own != mailer
        other_smtp_server.released.set()
        await eventually(lambda: gone(delivery_db))
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from mailers where name like 'inbound%'") == 0
