"""A mailer process is killed in the middle of its window; PostgreSQL goes away in the middle of a campaign."""

import asyncio
import os
import signal
import sys

import asyncpg
import pytest
from common.contracts.email import EmailUncertainV1
from common.testing.deliver import deliver, outbox_events
from delivery.use_cases.upkeep import publish_progress, reap_mailers

from tests.fixtures.sending import MAIN, Campaign, by_topic, eventually, mailing, make_mailer, rows, statuses, until

WINDOW = 16


async def start_mailer(service_env, delivery_db, port, **more):
    environment = os.environ | service_env(
        "delivery", delivery_db, BARID_SMTP_URL=f"smtp://127.0.0.1:{port}", BARID_SEND_WINDOW=str(WINDOW), **more
    )
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "delivery", "mailer", env=environment)


async def lease_ends(delivery_db):
    """As if 30 seconds had gone by; the process is dead."""
    async with delivery_db.worker.connection() as connection:
        await connection.execute("update mailers set expires_at = now() - interval '1 second'")


@pytest.mark.parametrize("after", [3, 40, 90])
async def test_kill_9_costs_at_most_the_window_and_nobody_gets_two(
    delivery_db, workspace_id, smtp_server, service_env, after
):
    campaign = Campaign(workspace_id, n=150)
    smtp_server.delay_s = 0.02
    await deliver(delivery_db.worker, MAIN, campaign.events())
    process = await start_mailer(service_env, delivery_db, smtp_server.port)
    try:
        await eventually(lambda: len(smtp_server.taken) >= after)
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    await asyncio.sleep(0.2)
    await reap_mailers(delivery_db.worker)
    assert "uncertain" not in await statuses(delivery_db, campaign.id), "its lease has not ended"
    await lease_ends(delivery_db)
    await reap_mailers(delivery_db.worker)
    found = await rows(delivery_db, campaign.id)
    uncertain = {row["email"] for row in found if row["status"] == "uncertain"}
    assert 0 < len(uncertain) <= WINDOW
    assert {row["status"] for row in found} <= {"sent", "uncertain", "pending"}
    told = {event.data.message_id for event in by_topic(await outbox_events(delivery_db.worker), EmailUncertainV1)}
    assert told == {row["id"] for row in found if row["status"] == "uncertain"}
    smtp_server.delay_s = 0
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=150 - len(uncertain), uncertain=len(uncertain))
    everybody = {one.email for one in campaign.recipients}
    assert len(smtp_server.recipients) == len(set(smtp_server.recipients)), "an address got two"
    assert everybody - set(smtp_server.recipients) <= uncertain, "somebody is missing and not listed"


async def test_sigterm_leaves_nothing_behind(delivery_db, workspace_id, smtp_server, service_env):
    campaign = Campaign(workspace_id, n=150)
    smtp_server.delay_s = 0.02
    await deliver(delivery_db.worker, MAIN, campaign.events())
    process = await start_mailer(service_env, delivery_db, smtp_server.port)
    try:
        await eventually(lambda: len(smtp_server.taken) >= 20)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        if process.returncode is None:
            process.kill()
    counts = await statuses(delivery_db, campaign.id)
    assert counts == {"sent": len(smtp_server.taken), "pending": 150 - len(smtp_server.taken)}
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from intents") == 0
        assert await connection.fetchval("select count(*) from mailers") == 0


@pytest.mark.parametrize(("grace_s", "status"), [("1", 1), ("30", 0)])
async def test_an_answer_after_the_dot_is_waited_for_as_long_as_the_grace(
    delivery_db, workspace_id, smtp_server, service_env, grace_s, status
):
    campaign = Campaign(workspace_id, n=1)
    smtp_server.hang["user0@example.com"] = "after_dot"
    await deliver(delivery_db.worker, MAIN, campaign.events())
    process = await start_mailer(service_env, delivery_db, smtp_server.port, BARID_GRACE_S=grace_s)
    try:
        await eventually(lambda: len(smtp_server.taken) == 1)
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(2)
        smtp_server.released.set()
        assert await asyncio.wait_for(process.wait(), 20) == status
    finally:
        if process.returncode is None:
            process.kill()
    if status:
        await lease_ends(delivery_db)
        await reap_mailers(delivery_db.worker)
    assert await statuses(delivery_db, campaign.id) == ({"uncertain": 1} if status else {"sent": 1})


@pytest.mark.parametrize("extensions", [("PIPELINING",), ("8BITMIME",)])
async def test_what_has_no_body_yet_is_given_back_when_a_mailer_ends(
    delivery_db, workspace_id, smtp_server, extensions
):
    """Else the end could take all the waits of a dialogue, one after the other, beside the one after the dot."""
    smtp_server.extensions = extensions
    campaign = Campaign(workspace_id, n=1)
    smtp_server.hang["user0@example.com"] = "rcpt"
    await deliver(delivery_db.worker, MAIN, campaign.events())
    mailer, stop = make_mailer(delivery_db, smtp_server.port), asyncio.Event()
    task = asyncio.create_task(mailer.run(stop))
    await eventually(lambda: any(line.startswith("RCPT") for line in smtp_server.commands))
    stop.set()
    await eventually(lambda: all(one._done.is_set() for one in mailer._transmitters))
    smtp_server.released.set()
    await asyncio.wait_for(task, 20)
    assert await statuses(delivery_db, campaign.id) == {"pending": 1}
    assert smtp_server.taken == smtp_server.emptied == []
    assert ("DATA" in smtp_server.commands) == ("PIPELINING" in extensions)


async def test_a_stopped_process_that_wakes_up_begins_nothing(delivery_db, workspace_id, smtp_server, monkeypatch):
    """Its lease ended while it slept; the reaper has judged. What it was about to send it must not send."""
    from delivery.use_cases import lease

    campaign = Campaign(workspace_id, n=40)
    smtp_server.delay_s = 0.1
    await deliver(delivery_db.worker, MAIN, campaign.events())
    monkeypatch.setattr(lease, "RENEW_EVERY_S", 1000.0)
    async with mailing(delivery_db, smtp_server.port, window=8) as mailer:
        await eventually(lambda: len(smtp_server.taken) >= 4)
        await lease_ends(delivery_db)
        await reap_mailers(delivery_db.worker)
        mailer.lease._renewed -= 60  # as a monotonic clock shows it after the sleep
        begun = len(smtp_server.taken)
        await asyncio.sleep(0.3)
        judged = {row["id"] for row in await rows(delivery_db, campaign.id) if row["status"] == "uncertain"}
        assert len(smtp_server.taken) - begun <= 4, "only bodies that were on their way"
        await until(delivery_db, campaign.id, sent=40 - len(judged), uncertain=len(judged))
    assert len(smtp_server.recipients) == len(set(smtp_server.recipients))


async def test_a_late_outcome_resolves_an_uncertain_message(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=1)
    smtp_server.hang["user0@example.com"] = "after_dot"
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await eventually(lambda: len(smtp_server.taken) == 1)
        await lease_ends(delivery_db)
        await reap_mailers(delivery_db.worker)
        assert await statuses(delivery_db, campaign.id) == {"uncertain": 1}
        smtp_server.released.set()
        await until(delivery_db, campaign.id, sent=1)


async def test_outcomes_wait_in_memory_while_postgresql_is_away(
    delivery_db, workspace_id, smtp_server, postgres_url, monkeypatch
):
    campaign = Campaign(workspace_id, n=60)
    smtp_server.delay_s = 0.05
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with delivery_db.worker.connection() as connection:
        name = await connection.fetchval("select current_database()")
    admin = await asyncpg.connect(postgres_url)
    mailer, stop = make_mailer(delivery_db, smtp_server.port, window=WINDOW), asyncio.Event()
    task = asyncio.create_task(mailer.run(stop))
    try:
        await eventually(lambda: len(smtp_server.taken) >= 10)
        await admin.execute(f'alter database "{name}" connection limit 0')
        kill = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1"
        for _ in range(3):
            await admin.fetch(kill, name)
            await asyncio.sleep(0.5)
        at_rest = len(smtp_server.taken)
        await asyncio.sleep(1)
        assert len(smtp_server.taken) == at_rest <= 10 + 3 * WINDOW, "no more than the window goes on"
        await admin.execute(f'alter database "{name}" connection limit -1')
        await until(delivery_db, campaign.id, sent=60)
    finally:
        await admin.execute(f'alter database "{name}" connection limit -1')
        await admin.close()
        stop.set()
        await asyncio.wait_for(task, 30)
    assert sorted(smtp_server.recipients) == sorted(one.email for one in campaign.recipients)
    await publish_progress(delivery_db.worker)


async def test_two_mailers_share_the_work(delivery_db, workspace_id, smtp_server):
    campaigns = [Campaign(workspace_id, n=60) for _ in range(2)]
    for campaign in campaigns:
        await deliver(delivery_db.worker, MAIN, campaign.events())
    async with (
        mailing(delivery_db, smtp_server.port, name="one", window=12),
        mailing(delivery_db, smtp_server.port, name="two", window=12),
    ):
        for campaign in campaigns:
            await until(delivery_db, campaign.id, sent=60)
    assert len(smtp_server.recipients) == 120
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(distinct mailer_id) from messages") == 2


async def test_a_mark_of_unknown_fate_is_given_back(delivery_db, workspace_id, smtp_server):
    """The commit of a mark succeeded, but the answer was lost: the mailer never got those messages."""
    from delivery.db import marks

    campaign = Campaign(workspace_id, n=10)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    mailer = make_mailer(delivery_db, smtp_server.port)
    assert await mailer.lease.renew()
    async with delivery_db.worker.transaction() as tx:
        lost = await marks.take(tx, mailer.lease.mailer_id, mailer.lease.epoch, 4, marks.unlimited(["other"], 64))
    async with delivery_db.worker.transaction() as tx:
        got = await marks.take(tx, mailer.lease.mailer_id, mailer.lease.epoch, 3, marks.unlimited(["other"], 64))
    known = [row["id"] for row in got]
    async with delivery_db.worker.transaction() as tx:
        await marks.give_back_unknown(tx, mailer.lease.mailer_id, mailer.lease.epoch, known)
    found = {row["id"]: row["status"] for row in await rows(delivery_db, campaign.id)}
    assert {found[row["id"]] for row in lost} == {"pending"}
    assert {found[message_id] for message_id in known} == {"attempting"}
    async with delivery_db.worker.connection() as connection:
        assert sorted(await connection.fetchval("select array_agg(x) from intents, unnest(ids) x")) == sorted(known)
