"""Every event doubled and permuted leaves the same ledger."""

import random

import pytest
from common.contracts.addresses import address_hash
from common.contracts.campaigns import CampaignCompletedV1, MessageRequestedV1, RequestedRecipient, Sender
from common.contracts.leads import ConsentChangedV1, ErasureDoneV1, LeadErasedV1, SuppressionChangedV1
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver, outbox_events
from delivery.use_cases.upkeep import sweep

from tests.fixtures.databases import service_database
from tests.fixtures.sending import MAIN, PEPPER_BYTES, Campaign, by_topic, content

DUMPS = (
    """select mailing_id, contact_id, email, status, class, attempt, fields::text, provider from messages
       order by mailing_id, contact_id, email""",
    """select id, kind, state, state_revision, started, audience, eligible, outcome, final_revision, content::text
       from mailings order by id""",
    """select mailing_id, status, class, n from message_counts where n <> 0 order by 1, 2, 3""",
    """select scope, subject, told_revision, told_blocked, told_reason, own_id from blocks order by 1, 2""",
    "select kind, id from tombstones order by 1, 2",
)


def story(workspace_id):
    """A campaign that is paused, resumed and cancelled; people who leave, come back and are erased; a test mail."""
    campaign = Campaign(workspace_id, n=6)
    gone = campaign.person(None, gone=True)
    campaign.recipients.append(gone)
    first, second, third = (one.contact_id for one in campaign.recipients[:3])
    hash_ = address_hash(PEPPER_BYTES, workspace_id, "user4@example.com")
    suppression = {"suppression_id": new_id(), "scope": "address", "hash": hash_, "reason": "complaint"}

    def say(data):
        return Outgoing(workspace_id, data)

    def consent(contact_id, status, revision):
        return say(
            ConsentChangedV1(contact_id=contact_id, purpose_id=campaign.purpose_id, status=status, revision=revision)
        )

    return [
        *campaign.events(),
        *campaign.batches(size=3),
        campaign.state("paused", 2),
        campaign.state("running", 3),
        campaign.state("cancelled", 4),
        say(CampaignCompletedV1(campaign_id=campaign.id, outcome="cancelled", final_revision=9)),
        consent(first, "subscribed", 1),
        consent(first, "unsubscribed", 2),
        consent(second, "unsubscribed", 1),
        consent(second, "subscribed", 2),
        say(SuppressionChangedV1(**suppression, active=True, revision=1)),
        say(SuppressionChangedV1(**suppression, active=False, revision=2)),
        say(SuppressionChangedV1(**suppression, active=True, revision=3)),
        say(LeadErasedV1(contact_id=third, request_id=new_id(), address_hashes=[])),
        say(
            MessageRequestedV1(
                request_id=new_id(),
                kind="test",
                sender=Sender(name="S", email="s@shop.test"),
                content=content(),
                recipients=[RequestedRecipient(email="me@example.com")],
                campaign_id=campaign.id,
            )
        ),
    ]


async def dump(db):
    async with db.worker.connection() as connection:
        return [[tuple(row) for row in await connection.fetch(query)] for query in DUMPS]


async def settled(db):
    await sweep(db.worker)
    return await dump(db)


@pytest.mark.parametrize("seed", range(6))
async def test_doubled_and_permuted(postgres, workspace_id, seed):
    events = story(workspace_id)
    chance = random.Random(seed)
    async with service_database(postgres, "delivery") as straight:
        for event in events:
            await deliver(straight.worker, MAIN, [event])
        wanted = await settled(straight)
    doubled = [*events, *events]
    chance.shuffle(doubled)
    async with service_database(postgres, "delivery") as shuffled:
        at = 0
        while at < len(doubled):
            step = chance.randint(1, 8)
            await deliver(shuffled.worker, MAIN, doubled[at : at + step])
            at += step
        assert await settled(shuffled) == wanted
        done = by_topic(await outbox_events(shuffled.worker), ErasureDoneV1)
        assert len(done) == 1


async def test_an_erased_person_cannot_come_back_by_a_late_batch(delivery_db, workspace_id):
    campaign = Campaign(workspace_id, n=2)
    erased = campaign.recipients[0].contact_id
    event = Outgoing(workspace_id, LeadErasedV1(contact_id=erased, request_id=new_id(), address_hashes=[]))
    await deliver(delivery_db.worker, MAIN, [event])
    await deliver(delivery_db.worker, MAIN, campaign.events())
    async with delivery_db.worker.connection() as connection:
        row = await connection.fetchrow("select * from messages where contact_id = $1", erased)
        text = await connection.fetchval(
            "select string_agg(m::text, ' ') from messages m where contact_id = $1", erased
        )
    assert (row["status"], row["class"], row["email"], row["fields"], row["address_hash"]) == (
        "suppressed", "erased", None, None, None,
    )  # fmt: skip
    assert "user0@" not in text


async def test_a_block_of_ours_stands_until_an_event_names_it(delivery_db, workspace_id):
    from delivery.db import blocks
    from delivery.db.blocks import consent_subject

    contact, purpose, block_id = new_id(), new_id(), new_id()
    subject = consent_subject(contact, purpose)

    async def standing():
        async with delivery_db.worker.connection() as connection:
            row = await connection.fetchrow("select * from blocks")
        return row["told_blocked"] or row["own_id"] is not None

    def consent(status, revision, caused_by=None):
        return Outgoing(
            workspace_id,
            ConsentChangedV1(
                contact_id=contact, purpose_id=purpose, status=status, revision=revision, caused_by=caused_by
            ),
        )

    async with delivery_db.worker.transaction() as tx:
        key = (workspace_id, "consent", subject)
        await blocks.block_all(tx, [key], [block_id], "unsubscribed")
        assert await blocks.block_all(tx, [key], [new_id()], "unsubscribed") == {key: block_id}
    await deliver(delivery_db.worker, MAIN, [consent("subscribed", 1)])
    assert await standing(), "an event that does not know of the block does not lift it"
    answer, back = consent("unsubscribed", 2, block_id), consent("subscribed", 3)
    await deliver(delivery_db.worker, MAIN, [back])
    assert await standing()
    await deliver(delivery_db.worker, MAIN, [answer])
    assert not await standing(), "answered at 2, subscribed again at 3"
