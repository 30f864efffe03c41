"""A person who was two contacts gets one mail of a campaign that had frozen both."""

from common.contracts.email import EmailSuppressedV1
from common.contracts.leads import LeadMergedV1
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver, outbox_events

from tests.fixtures.sending import MAIN, Campaign, by_topic, mailing, statuses, until


def merged(workspace_id, gone, kept, *, active=True, revision=1):
    data = LeadMergedV1(merged_id=gone.contact_id, contact_id=kept.contact_id, active=active, revision=revision)
    return Outgoing(workspace_id, data)


async def test_what_waits_for_the_merged_contact_is_left_out_and_told(delivery_db, workspace_id, smtp_server):
    campaign = Campaign(workspace_id, n=3)
    kept, gone, other = campaign.recipients
    await deliver(delivery_db.worker, MAIN, campaign.events())
    event = merged(workspace_id, gone, kept)
    await deliver(delivery_db.worker, MAIN, [event, event])
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, campaign.id, sent=2, suppressed=1)
    assert sorted(smtp_server.recipients) == sorted([kept.email, other.email])
    (told,) = by_topic(await outbox_events(delivery_db.worker), EmailSuppressedV1)
    assert (told.data.contact_id, told.data.reason) == (gone.contact_id, "merged")


async def test_who_is_in_the_campaign_once_gets_it_and_what_was_sent_stays(delivery_db, workspace_id, smtp_server):
    first, second = Campaign(workspace_id, n=1), Campaign(workspace_id, n=1)
    await deliver(delivery_db.worker, MAIN, [*first.events(), *second.events()])
    (gone,), (kept,) = first.recipients, second.recipients
    await deliver(delivery_db.worker, MAIN, [merged(workspace_id, gone, kept)])
    async with mailing(delivery_db, smtp_server.port):
        await until(delivery_db, first.id, sent=1)
        await until(delivery_db, second.id, sent=1)
    await deliver(delivery_db.worker, MAIN, [merged(workspace_id, gone, kept, active=False, revision=2)])
    assert await statuses(delivery_db, first.id) == {"sent": 1}
