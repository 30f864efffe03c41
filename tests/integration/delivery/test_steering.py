"""Pause, resume, cancel, unsubscribe, erase, hold; and what is told of it."""

import asyncio

from common.contracts.addresses import address_hash
from common.contracts.delivery import DeliveryHeldV1, DeliveryProgressedV1
from common.contracts.email import EmailSuppressedV1
from common.contracts.leads import ConsentChangedV1, LeadErasedV1, SuppressionChangedV1
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver, outbox_events
from delivery.use_cases.upkeep import publish_progress, reap_mailers, sweep

from tests.fixtures.sending import MAIN, PEPPER_BYTES, Campaign, by_topic, eventually, mailing, rows, statuses, until


async def progressed(db):
    return [event.data for event in by_topic(await outbox_events(db.worker), DeliveryProgressedV1)]


async def publish(db):
    """Once more than the once-a-second rule lets through. What a mailer is writing at the moment is left for later."""
    told = []
    while not told:
        async with db.worker.connection() as connection:
            await connection.execute("update progress set published_at = null")
        await publish_progress(db.worker)
        told = await progressed(db)
    return told[-1]


async def test_pause_stops_and_is_confirmed_only_when_nothing_is_marked(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=120)
    smtp_server.delay_s = 0.05
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port, window=16):
        await eventually(lambda: len(smtp_server.taken) >= 10)
        await deliver(delivery_db.worker, MAIN, [campaign.state("paused", 2)])
        at_pause = len(smtp_server.taken)
        told = await publish(delivery_db)
        async with delivery_db.worker.connection() as connection:
            marked = await connection.fetchval("select coalesce(sum(cardinality(ids)), 0) from intents")
        assert told.state_revision == 2 or marked > 0 or told.open < 120

        async def confirmed_at_2():
            return (await publish(delivery_db)).state_revision == 2

        await eventually(confirmed_at_2)
        confirmed = len(smtp_server.taken)
        assert confirmed - at_pause <= 16
        await asyncio.sleep(0.5)
        assert len(smtp_server.taken) == confirmed, "nothing after the confirmation"
        await deliver(delivery_db.worker, MAIN, [campaign.state("running", 3)])
        await until(delivery_db, campaign.id, sent=120)
    assert len(set(smtp_server.recipients)) == len(smtp_server.recipients) == 120


async def test_cancel_closes_the_books(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=80)
    first, second = campaign.batches(size=40)
    smtp_server.delay_s = 0.05
    await deliver(delivery_db.worker, MAIN, [campaign.started(), first, campaign.state("running", 1)])
    async with mailing(delivery_db, smtp_server.port, window=8):
        await eventually(lambda: len(smtp_server.taken) >= 5)
        await deliver(delivery_db.worker, MAIN, [campaign.state("cancelled", 2)])
        await sweep(delivery_db.worker)
    await sweep(delivery_db.worker)
    await deliver(delivery_db.worker, MAIN, [second, campaign.closed()])
    sent = len(smtp_server.taken)
    assert await statuses(delivery_db, campaign.id) == {"sent": sent, "cancelled": 80 - sent}
    told = await publish(delivery_db)
    assert (told.final, told.open, told.sent, told.cancelled, told.state_revision) == (True, 0, sent, 80 - sent, 2)


async def test_the_final_word_and_one_after_it(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=4)
    smtp_server.drop["user2@example.com"] = "after_dot"
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=3, uncertain=1)
    told = await publish(delivery_db)
    assert (told.final, told.sent, told.uncertain, told.eligible, told.rows) == (True, 3, 1, 4, 4)
    from delivery.use_cases.uncertain import resolve_uncertain

    (row,) = [row for row in await rows(delivery_db, campaign.id) if row["status"] == "uncertain"]
    async with delivery_db.api.transaction(workspace_id) as tx:
        await resolve_uncertain(tx, workspace_id, row["id"], delivered=True)
    later = await publish(delivery_db)
    assert (later.final, later.sent, later.uncertain) == (True, 4, 0)
    assert later.revision > told.revision


async def test_an_empty_campaign_is_final_too(delivery_db, workspace_id):
    campaign = Campaign(workspace_id, n=0)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    told = await publish(delivery_db)
    assert (told.final, told.rows, told.state_revision) == (True, 0, 1)


async def test_progress_is_told_once_and_not_again_without_a_change(delivery_db, workspace_id):
    campaign = Campaign(workspace_id, n=3)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    await publish(delivery_db)
    before = len(await progressed(delivery_db))
    await publish(delivery_db)
    assert len(await progressed(delivery_db)) == before


async def test_counters_that_drifted_are_mended_before_the_final_word(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=3)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=3)
    async with delivery_db.worker.connection() as connection:
        await connection.execute(
            """insert into message_counts select workspace_id, id, 'failed', 'other', 1 from mailings"""
        )
        await connection.execute("update message_counts set n = 2 where status = 'sent'")
    told = await publish(delivery_db)
    assert (told.final, told.sent, told.failed) == (True, 3, {})


async def test_blocks_are_looked_at_by_the_mark(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=4)
    campaign.recipients.append(campaign.person("x@blocked.test"))
    contact = campaign.recipients[0].contact_id

    def suppress(scope, text):
        return Outgoing(
            workspace_id,
            SuppressionChangedV1(
                suppression_id=new_id(),
                scope=scope,
                hash=address_hash(PEPPER_BYTES, workspace_id, text),
                reason="complaint",
                active=True,
                revision=1,
            ),
        )

    await deliver(
        delivery_db.worker,
        MAIN,
        [
            *campaign.events(),
            Outgoing(
                workspace_id,
                ConsentChangedV1(contact_id=contact, purpose_id=campaign.purpose_id, status="unsubscribed", revision=1),
            ),
            suppress("address", "user1@example.com"),
            suppress("domain", "blocked.test"),
        ],
    )
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=2, suppressed=3)
    assert sorted(smtp_server.recipients) == ["user2@example.com", "user3@example.com"]
    told = by_topic(await outbox_events(delivery_db.worker), EmailSuppressedV1)
    assert sorted(event.data.reason for event in told) == ["complaint", "complaint", "unsubscribed"]


async def test_erasure_in_mid_dialogue_keeps_the_outcome_and_no_address(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=1)
    contact = campaign.recipients[0].contact_id
    smtp_server.delay_s = 0.5
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, attempting=1)
        await asyncio.sleep(0.1)
        event = Outgoing(workspace_id, LeadErasedV1(contact_id=contact, request_id=new_id(), address_hashes=[]))
        await deliver(delivery_db.worker, MAIN, [event])
        assert (await rows(delivery_db, campaign.id))[0]["email"] is None
        await until(delivery_db, campaign.id, sent=1)
    (row,) = await rows(delivery_db, campaign.id)
    assert (row["email"], row["fields"], row["smtp_code"]) == (None, None, 250)


async def test_an_erased_person_whose_attempt_was_refused_is_not_tried_again(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=1)
    contact = campaign.recipients[0].contact_id
    smtp_server.delay_s = 0.5
    smtp_server.replies["user0@example.com"] = {"body": "451 4.3.0 later"}
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, attempting=1)
        event = Outgoing(workspace_id, LeadErasedV1(contact_id=contact, request_id=new_id(), address_hashes=[]))
        await deliver(delivery_db.worker, MAIN, [event])
        await until(delivery_db, campaign.id, suppressed=1)


async def test_policy_refusals_hold_the_campaign_and_suppress_nobody(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=60)
    for one in campaign.recipients:
        smtp_server.replies[one.email] = {"rcpt": "550 5.7.515 access denied"}
    await deliver(delivery_db.worker, MAIN, campaign.events())

    async def held():
        return bool(by_topic(await outbox_events(delivery_db.worker), DeliveryHeldV1))

    async with mailing(delivery_db, smtp_server.port, window=8):
        await eventually(held)
        await asyncio.sleep(0.5)
    counts = await statuses(delivery_db, campaign.id)
    assert counts["pending"] > 30
    assert counts["failed"] < 30
    (told,) = by_topic(await outbox_events(delivery_db.worker), DeliveryHeldV1)
    assert (told.data.reason, told.data.state_revision) == ("policy", 1)
    async with delivery_db.worker.connection() as connection:
        assert await connection.fetchval("select count(*) from blocks") == 0
    smtp_server.replies.clear()
    await deliver(delivery_db.worker, MAIN, [campaign.state("paused", 2), campaign.state("running", 3)])
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=counts["pending"], failed=counts["failed"])


async def test_retry_once_sends_an_uncertain_message_once_more(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=1, uncertain_policy="retry_once")
    smtp_server.drop["user0@example.com"] = "after_dot"
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, uncertain=1)
        assert (await publish(delivery_db)).final is False, "it will be tried again"
        await sweep(delivery_db.worker)
        await asyncio.sleep(0.5)
        await until(delivery_db, campaign.id, uncertain=1)
        await sweep(delivery_db.worker)
    assert len(smtp_server.taken) == 2
    ids = {line for one in smtp_server.taken for line in one.body.split(b"\r\n") if line.startswith(b"Message-ID")}
    assert len(ids) == 1
    assert (await publish(delivery_db)).final is True


async def test_time_is_up(delivery_db, workspace_id, smtp_server):
    from datetime import UTC, datetime, timedelta

    late = Campaign(workspace_id, n=2, send_until=datetime.now(UTC) - timedelta(minutes=1))
    refused = Campaign(workspace_id, n=1)
    paused = Campaign(workspace_id, n=1)
    smtp_server.replies["user0@example.com"] = {"rcpt": "451 4.3.0 later"}
    await deliver(delivery_db.worker, MAIN, [*late.events(), *refused.events(), *paused.events()])
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, refused.id, deferred=1)
        await until(delivery_db, paused.id, deferred=1)
    await deliver(delivery_db.worker, MAIN, [paused.state("paused", 2)])
    async with delivery_db.worker.connection() as connection:
        await connection.execute("update messages set first_4xx_at = first_4xx_at - interval '73 hours'")
        await connection.execute("update mailings set paused_at = now() - interval '73 hours' where state = 'paused'")
    await sweep(delivery_db.worker)
    await reap_mailers(delivery_db.worker)
    assert await statuses(delivery_db, late.id) == {"expired": 2}
    assert await statuses(delivery_db, refused.id) == {"expired": 1}
    assert await statuses(delivery_db, paused.id) == {"deferred": 1}
