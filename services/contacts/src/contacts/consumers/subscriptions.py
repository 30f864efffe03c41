"""What contacts consumes, and what it does with it."""

from common.consumer.subscription import Consumer, Subscription
from common.contracts import campaigns as said_campaigns
from common.contracts import email
from common.web.access import access_consumer

from contacts.consumers import activity, campaigns


def consumers() -> tuple[Consumer, ...]:
    """Every consumer of contacts."""
    main = Consumer(
        "contacts.main",
        (
            Subscription(said_campaigns.CampaignStartedV1, campaigns.request_audiences),
            Subscription(said_campaigns.CampaignStateV1, campaigns.keep_campaign_states),
            Subscription(said_campaigns.CampaignCompletedV1, campaigns.keep_campaign_ends),
            Subscription(email.EmailSentV1, activity.record_activity, keyed_by_event=True),
            Subscription(email.EmailOpenedV1, activity.record_activity, keyed_by_event=True),
            Subscription(email.EmailClickedV1, activity.record_activity, keyed_by_event=True),
        ),
    )
    return (main, access_consumer("contacts.access"))
