"""What analytics consumes: the whole table."""

from common.consumer.subscription import Consumer, Subscription
from common.contracts import audiences, campaigns, delivery, email, leads
from common.web.access import access_consumer

from analytics.consumers import segment_moves
from analytics.consumers.email_facts import count_touch, store_bounces, store_clicks, store_deferrals, store_status
from analytics.consumers.lead_erased import forget_facts, forget_scores
from analytics.consumers.personal_data import tell_person
from analytics.consumers.scored_facts import follow_merges, note_activity, note_for_scoring, score_anew
from analytics.db import drift, projections

OPEN_SETTLE_S = 0.0


def ingest() -> Consumer:
    """Facts and reports."""
    return Consumer(
        "analytics.ingest",
        (
            Subscription(campaigns.WorkspaceChangedV1, projections.upsert_workspaces),
            Subscription(leads.LeadCreatedV1, projections.upsert_leads),
            Subscription(leads.LeadUpdatedV1, projections.upsert_leads),
            Subscription(leads.LeadErasedV1, forget_facts),
            Subscription(leads.LeadExportRequestedV1, tell_person),
            Subscription(leads.ConsentChangedV1, projections.upsert_consents),
            Subscription(leads.SegmentEnteredV1, segment_moves.keep_moves(inside=True)),
            Subscription(leads.SegmentLeftV1, segment_moves.keep_moves(inside=False)),
            Subscription(campaigns.CampaignStartedV1, projections.begin_campaigns),
            Subscription(campaigns.CampaignStateV1, projections.set_campaign_states),
            Subscription(campaigns.CampaignCompletedV1, projections.complete_campaigns),
            Subscription(delivery.DeliveryProgressedV1, drift.keep_told),
            Subscription(audiences.AudienceClosedV1, projections.close_audiences),
            Subscription(email.EmailSentV1, store_status("sent"), keyed_by_event=True),
            Subscription(email.EmailDeferredV1, store_deferrals, keyed_by_event=True),
            Subscription(email.EmailFailedV1, store_status("failed"), keyed_by_event=True),
            Subscription(email.EmailSuppressedV1, store_status("suppressed"), keyed_by_event=True),
            Subscription(email.EmailUncertainV1, store_status("uncertain"), keyed_by_event=True),
            Subscription(email.EmailExpiredV1, store_status("expired"), keyed_by_event=True),
            Subscription(email.EmailBouncedV1, store_bounces, keyed_by_event=True),
            Subscription(email.EmailComplainedV1, count_touch("complained"), keyed_by_event=True),
            Subscription(email.EmailDeliveredV1, count_touch("delivered"), keyed_by_event=True),
            Subscription(email.EmailRepliedV1, count_touch("replied"), keyed_by_event=True),
            Subscription(email.EmailOpenedV1, count_touch("opened"), keyed_by_event=True),
            Subscription(email.EmailClickedV1, store_clicks, keyed_by_event=True),
            Subscription(email.EmailUnsubscribedV1, count_touch("unsubscribed"), keyed_by_event=True),
        ),
    )


def scoring(click_settle_s: float) -> Consumer:
    """Lead scores: a consumer group of its own, so that it scales by itself."""
    return Consumer(
        "analytics.scoring",
        (
            Subscription(leads.LeadErasedV1, forget_scores),
            Subscription(leads.LeadMergedV1, follow_merges),
            Subscription(email.EmailOpenedV1, note_for_scoring("email.opened", OPEN_SETTLE_S), keyed_by_event=True),
            Subscription(email.EmailClickedV1, note_for_scoring("email.clicked", click_settle_s), keyed_by_event=True),
            Subscription(
                email.EmailUnsubscribedV1, note_for_scoring("email.unsubscribed", OPEN_SETTLE_S), keyed_by_event=True
            ),
            Subscription(email.EmailReclassifiedV1, score_anew),
            Subscription(leads.ContactActivityV1, note_activity, keyed_by_event=True),
        ),
    )


def consumers(click_settle_s: float = 3.0) -> tuple[Consumer, ...]:
    """Every consumer of analytics."""
    return (ingest(), scoring(click_settle_s), access_consumer("analytics.access"))
