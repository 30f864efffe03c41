"""What campaigns consumes."""

from common.consumer.subscription import Consumer, Subscription
from common.contracts.audiences import AudienceClosedV1, AudienceRejectedV1
from common.contracts.delivery import DeliveryHeldV1, DeliveryProgressedV1, DomainChangedV1
from common.contracts.leads import (
    LeadCreatedV1,
    LeadErasedV1,
    LeadExportRequestedV1,
    LeadUpdatedV1,
    ListChangedV1,
    SegmentChangedV1,
)
from common.web.access import access_consumer

from campaigns.consumers import campaign_facts, contacts, domains, personal_data
from campaigns.db import projections


def consumers() -> tuple[Consumer, ...]:
    """The consumer groups of campaigns."""
    return (
        Consumer(
            contacts.CONSUMER,
            (
                Subscription(LeadCreatedV1, contacts.keep_leads),
                Subscription(LeadUpdatedV1, contacts.keep_leads),
                Subscription(LeadErasedV1, contacts.erase),
                Subscription(LeadExportRequestedV1, personal_data.tell_person),
                Subscription(SegmentChangedV1, contacts.keep_segments),
                Subscription(ListChangedV1, contacts.keep_lists),
                Subscription(AudienceClosedV1, campaign_facts.keep_totals),
                Subscription(AudienceRejectedV1, campaign_facts.fail),
                Subscription(DeliveryProgressedV1, campaign_facts.keep_progress),
                Subscription(DeliveryHeldV1, campaign_facts.hold),
                Subscription(DomainChangedV1, domains.keep_domains),
            ),
            alive=projections.alive,
        ),
        access_consumer("campaigns.access"),
    )
