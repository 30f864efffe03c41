"""A campaign that meets too many dead mailboxes or complaints is held, whether it hears of them at once or later."""

import asyncio

import pytest
from common.contracts.delivery import DeliveryHeldV1
from common.testing.deliver import deliver, outbox_events
from delivery.domain.bounces import Judgement
from delivery.domain.return_path import Claim
from delivery.domain.returns import Returned, returned_id
from delivery.use_cases.record_outcomes import hold_refused
from delivery.use_cases.returns import take_returns
from delivery.use_cases.upkeep import publish_progress

from tests.fixtures.sending import MAIN, Campaign, by_topic, eventually, mailing, statuses

HARD, COMPLAINT = ("hard", "bad_mailbox"), ("complaint", "abuse")


async def sending(db, campaign, sent):
    """The campaign under way: so many sent, the rest waiting."""
    await deliver(db.worker, MAIN, campaign.events())
    async with db.worker.connection() as connection:
        ids = await connection.fetch(
            """update messages set status = 'sent', attempt = 1, sent_at = now() where (workspace_id, id) in (
                 select workspace_id, id from messages where mailing_id = $1 and status = 'pending' order by email, id
                  limit $2) returning id""",
            campaign.id,
            sent,
        )
    return [row["id"] for row in ids]


async def come_back(db, campaign, ids, what, times=""):
    kind, reason = what
    await take_returns(
        db.worker,
        [
            Returned(
                returned_id(f"{one} {kind} {times}"),
                "test",
                (Judgement("", kind, "", "", reason),),
                (Claim(one, campaign.workspace_id.bytes[-6:], "path"),),
            )
            for one in ids
        ],
        campaign.workspace_id,
    )


async def held(db):
    return [event.data for event in by_topic(await outbox_events(db.worker), DeliveryHeldV1)]


@pytest.mark.parametrize(
    ("what", "sent", "most", "reason"),
    [(HARD, 200, 9, "hard_bounces"), (HARD, 400, 19, "hard_bounces"), (COMPLAINT, 1000, 2, "complaints")],
    ids=["5 % of 200", "5 % of 400", "0.3 % of 1,000"],
)
async def test_one_more_than_the_most_allowed_holds(delivery_db, workspace_id, what, sent, most, reason):
    campaign = Campaign(workspace_id, n=sent + 5)
    ids = await sending(delivery_db, campaign, sent)
    await come_back(delivery_db, campaign, ids[:most], what)
    await come_back(delivery_db, campaign, ids[:most], what, times="a second report of each")
    assert await held(delivery_db) == []
    await come_back(delivery_db, campaign, ids[most : most + 1], what)
    (told,) = await held(delivery_db)
    assert (told.campaign_id, told.reason, told.state_revision) == (campaign.id, reason, 1)


async def test_under_two_hundred_nothing_is_held(delivery_db, workspace_id):
    campaign = Campaign(workspace_id, n=205)
    ids = await sending(delivery_db, campaign, 199)
    await come_back(delivery_db, campaign, ids[:50], HARD)
    await come_back(delivery_db, campaign, ids[50:60], COMPLAINT)
    assert await held(delivery_db) == []


async def test_after_a_resume_the_same_bounces_do_not_hold_it_again(delivery_db, workspace_id):
    campaign = Campaign(workspace_id, n=600)
    ids = await sending(delivery_db, campaign, 200)
    await come_back(delivery_db, campaign, ids[:10], HARD)
    assert len(await held(delivery_db)) == 1
    await deliver(delivery_db.worker, MAIN, [campaign.state("paused", 2), campaign.state("running", 3)])
    await come_back(delivery_db, campaign, ids[10:30], HARD)  # of mail that was sent before it was held
    more = await sending(delivery_db, campaign, 200)
    await come_back(delivery_db, campaign, more[:9], HARD)
    await publish_progress(delivery_db.worker)
    assert len(await held(delivery_db)) == 1
    await come_back(delivery_db, campaign, more[9:10], HARD)
    assert [told.state_revision for told in await held(delivery_db)] == [1, 3]


async def test_what_was_missed_is_found_by_whoever_publishes_progress(delivery_db, workspace_id, monkeypatch):
    campaign = Campaign(workspace_id, n=205)
    ids = await sending(delivery_db, campaign, 200)

    async def killed(*_):
        """The process ends after its commit."""

    with monkeypatch.context() as patch:
        patch.setattr("delivery.use_cases.returns.hold_refused", killed)
        await come_back(delivery_db, campaign, ids[:10], HARD)
    assert await held(delivery_db) == []
    await publish_progress(delivery_db.worker)
    assert len(await held(delivery_db)) == 1


async def test_a_campaign_with_nothing_left_to_send_is_not_held(delivery_db, workspace_id):
    from delivery.use_cases.upkeep import sweep

    campaign = Campaign(workspace_id, n=200)
    ids = await sending(delivery_db, campaign, 200)
    await sweep(delivery_db.worker)
    await come_back(delivery_db, campaign, ids[:50], HARD)
    assert await held(delivery_db) == []


async def test_refusals_in_the_dialogue_hold_too(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=400)
    for one in campaign.recipients[::10]:
        smtp_server.replies[one.email] = {"rcpt": "550 5.1.1 no such user"}
    await deliver(delivery_db.worker, MAIN, campaign.events())

    async def is_held():
        return bool(await held(delivery_db))

    async with mailing(delivery_db, smtp_server.port, window=16):
        await eventually(is_held)
        await asyncio.sleep(0.5)
    (told,) = await held(delivery_db)
    assert told.reason == "hard_bounces"
    counts = await statuses(delivery_db, campaign.id)
    assert counts["sent"] + counts["failed"] < 300
    assert counts["pending"] > 100
    await hold_refused(delivery_db.worker, {(workspace_id, campaign.id)})
    assert len(await held(delivery_db)) == 1


async def refuse(db, campaign, n):
    """So many messages under way are refused for policy."""
    async with db.worker.connection() as connection:
        await connection.execute(
            """update messages set status = 'failed', class = 'policy', attempt = 1 where (workspace_id, id) in (
                 select workspace_id, id from messages where mailing_id = $1 and status = 'pending' limit $2)""",
            campaign.id,
            n,
        )
    await hold_refused(db.worker, {(campaign.workspace_id, campaign.id)})


async def test_what_was_under_way_when_it_was_held_does_not_hold_it_again(delivery_db, workspace_id):
    campaign = Campaign(workspace_id, n=100)
    await deliver(delivery_db.worker, MAIN, campaign.events())
    await refuse(delivery_db, campaign, 6)
    assert len(await held(delivery_db)) == 1
    await refuse(delivery_db, campaign, 40)
    await deliver(delivery_db.worker, MAIN, [campaign.state("paused", 2), campaign.state("running", 3)])
    await refuse(delivery_db, campaign, 1)
    assert len(await held(delivery_db)) == 1
    await refuse(delivery_db, campaign, 5)
    assert len(await held(delivery_db)) == 2
