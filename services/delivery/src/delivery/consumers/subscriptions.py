"""What delivery consumes."""

from common.consumer.subscription import Consumer, Subscription
from common.contracts.audiences import AudienceBatchV1, AudienceClosedV1
from common.contracts.campaigns import (
    CampaignCompletedV1,
    CampaignStartedV1,
    CampaignStateV1,
    MessageRequestedV1,
    SenderChangedV1,
    WorkspaceChangedV1,
)
from common.contracts.leads import (
    ConsentChangedV1,
    LeadErasedV1,
    LeadExportRequestedV1,
    LeadMergedV1,
    SuppressionChangedV1,
)
from common.web.access import access_consumer

from delivery.consumers.audiences import AddRecipients
from delivery.consumers.blocks import block_suppressed, block_unsubscribed
from delivery.consumers.campaigns import apply_states, close_audiences, note_completed, start_campaigns
from delivery.consumers.erasure import erase_people
from delivery.consumers.merges import spare_merged
from delivery.consumers.personal_data import tell_person
from delivery.consumers.projections import keep_senders, keep_workspaces
from delivery.consumers.requests import AddRequested


def consumers(pepper: bytes) -> tuple[Consumer, ...]:
    """The groups. The pepper keys the address hashes that blocks are matched by."""
    return (
        Consumer(
            "delivery.main",
            (
                Subscription(CampaignStartedV1, start_campaigns),
                Subscription(CampaignStateV1, apply_states),
                Subscription(AudienceBatchV1, AddRecipients(pepper)),
                Subscription(AudienceClosedV1, close_audiences),
                Subscription(CampaignCompletedV1, note_completed),
                Subscription(MessageRequestedV1, AddRequested(pepper)),
                Subscription(ConsentChangedV1, block_unsubscribed),
                Subscription(SuppressionChangedV1, block_suppressed),
                Subscription(LeadErasedV1, erase_people),
                Subscription(LeadMergedV1, spare_merged),
                Subscription(LeadExportRequestedV1, tell_person),
                Subscription(WorkspaceChangedV1, keep_workspaces),
                Subscription(SenderChangedV1, keep_senders),
            ),
        ),
        access_consumer("delivery.access"),
    )
