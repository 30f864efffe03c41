"""A person asks what delivery keeps of them."""

from common.contracts.addresses import address_hash
from common.contracts.leads import LeadExportedV1, LeadExportRequestedV1, SuppressionChangedV1
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver, outbox_events

from tests.fixtures.sending import MAIN, PEPPER_BYTES, Campaign, by_topic


async def test_a_person_is_told_of_their_mail_and_of_what_keeps_it_back_and_of_nobody_else_s(delivery_db, workspace_id):
    campaign = Campaign(workspace_id, n=3)
    person = campaign.recipients[1]
    hash_ = address_hash(PEPPER_BYTES, workspace_id, person.email)
    block = SuppressionChangedV1(
        suppression_id=new_id(), scope="address", hash=hash_, reason="complaint", active=True, revision=1
    )
    await deliver(delivery_db.worker, MAIN, [*campaign.events(), Outgoing(workspace_id, block)])
    asked = LeadExportRequestedV1(contact_id=person.contact_id, request_id=new_id(), address_hashes=[hash_])
    elsewhere = LeadExportRequestedV1(contact_id=person.contact_id, request_id=new_id(), address_hashes=[hash_])
    await deliver(delivery_db.worker, MAIN, [Outgoing(workspace_id, asked), Outgoing(new_id(), elsewhere)])
    told = [event.data for event in by_topic(await outbox_events(delivery_db.worker), LeadExportedV1)]
    mine, foreign = sorted(told, key=lambda one: one.request_id != asked.request_id)
    (message,) = mine.tables["messages"]
    assert (message["email"], message["status"], message["campaign_id"]) == (person.email, "pending", str(campaign.id))
    assert mine.tables["blocks"] == [{"reason": "complaint"}]
    assert foreign.tables == {}
