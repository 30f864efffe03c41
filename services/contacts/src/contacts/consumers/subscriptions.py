"""What contacts consumes, and what it does with it: the whole table."""

from common.consumer.subscription import Consumer, Subscription
from common.contracts import campaigns as said_campaigns
from common.contracts import email, leads, money
from common.web.access import access_consumer

from contacts.consumers import (
    activity,
    campaigns,
    conversions,
    email_unsubscribed,
    erasure_done,
    lead_exported,
    lead_scored,
    mail_blocks,
    sender_changed,
    workspace_changed,
)


def consumers() -> tuple[Consumer, ...]:
    """Every consumer of contacts."""
    main = Consumer(
        "contacts.main",
        (
            Subscription(said_campaigns.WorkspaceChangedV1, workspace_changed.keep_workspaces),
            Subscription(said_campaigns.SenderChangedV1, sender_changed.keep_senders),
            Subscription(said_campaigns.CampaignStartedV1, campaigns.request_audiences),
            Subscription(said_campaigns.CampaignStateV1, campaigns.keep_campaign_states),
            Subscription(said_campaigns.CampaignCompletedV1, campaigns.keep_campaign_ends),
            Subscription(email.EmailSentV1, activity.record_activity, keyed_by_event=True),
            Subscription(email.EmailOpenedV1, activity.record_activity, keyed_by_event=True),
            Subscription(email.EmailClickedV1, activity.record_activity, keyed_by_event=True),
            Subscription(email.EmailReclassifiedV1, activity.reclassify_clicks),
            Subscription(email.EmailRepliedV1, activity.record_activity, keyed_by_event=True),
            Subscription(email.EmailFailedV1, mail_blocks.suppress_blocked),
            Subscription(email.EmailExpiredV1, mail_blocks.suppress_blocked),
            Subscription(email.EmailBouncedV1, mail_blocks.record_and_suppress),
            Subscription(email.EmailComplainedV1, mail_blocks.record_and_suppress),
            Subscription(email.EmailUnsubscribedV1, email_unsubscribed.record_unsubscribes),
            Subscription(leads.LeadScoredV1, lead_scored.show_scores),
            Subscription(money.ConversionRecordedV1, conversions.keep_money),
            Subscription(leads.ErasureDoneV1, erasure_done.tick_off),
            Subscription(leads.LeadExportedV1, lead_exported.collect),
        ),
    )
    return (main, access_consumer("contacts.access"))
