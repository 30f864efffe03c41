"""One topic per event type: who owns it, who reads it, how long it is kept, in which lane it travels."""

from dataclasses import dataclass

from common.contracts import audiences, campaigns, delivery, email, leads, money
from common.contracts.base import EventData

PERSONAL_DAYS = 7
OTHER_DAYS = 30


@dataclass(frozen=True, slots=True)
class Topic:
    """`key` names the field whose order matters; `consumers` are the groups that must read it."""

    name: str
    contract: type[EventData]
    key: str
    owners: tuple[str, ...]
    consumers: tuple[str, ...]
    personal: bool = False
    lane: int = 1
    partitions: int = 4
    version: int = 1

    @property
    def type(self) -> str:
        """The CloudEvents type, with the version: `email.sent.v1`."""
        return f"{self.name}.v{self.version}"

    @property
    def retention_days(self) -> int:
        """Personal data leaves the bus within seven days."""
        return PERSONAL_DAYS if self.personal else OTHER_DAYS


_ACCESS = ("contacts.access", "campaigns.access", "delivery.access", "analytics.access")
_FACTS = ("contacts.main", "analytics.ingest")
_SCORED = ("contacts.main", "analytics.ingest", "analytics.scoring")

TOPICS: tuple[Topic, ...] = (
    Topic(
        "lead.created",
        leads.LeadCreatedV1,
        "contact_id",
        ("contacts",),
        ("campaigns.main", "analytics.ingest"),
        personal=True,
    ),
    Topic(
        "lead.updated",
        leads.LeadUpdatedV1,
        "contact_id",
        ("contacts",),
        ("campaigns.main", "analytics.ingest"),
        personal=True,
    ),
    Topic(
        "lead.merged",
        leads.LeadMergedV1,
        "merged_id",
        ("contacts",),
        ("delivery.main", "analytics.scoring"),
    ),
    Topic(
        "lead.erased",
        leads.LeadErasedV1,
        "contact_id",
        ("contacts",),
        ("campaigns.main", "delivery.main", "analytics.ingest", "analytics.scoring"),
    ),
    Topic(
        "erasure.done",
        leads.ErasureDoneV1,
        "contact_id",
        ("campaigns", "delivery", "analytics"),
        ("contacts.main",),
    ),
    Topic(
        "lead.export_requested",
        leads.LeadExportRequestedV1,
        "contact_id",
        ("contacts",),
        ("campaigns.main", "delivery.main", "analytics.ingest"),
    ),
    Topic(
        "lead.exported",
        leads.LeadExportedV1,
        "contact_id",
        ("campaigns", "delivery", "analytics"),
        ("contacts.main",),
        personal=True,
    ),
    Topic(
        "consent.changed",
        leads.ConsentChangedV1,
        "contact_id",
        ("contacts",),
        ("delivery.main", "analytics.ingest"),
    ),
    Topic("suppression.changed", leads.SuppressionChangedV1, "hash", ("contacts",), ("delivery.main",), lane=0),
    Topic("segment.changed", leads.SegmentChangedV1, "segment_id", ("contacts",), ("campaigns.main",)),
    Topic("segment.entered", leads.SegmentEnteredV1, "contact_id", ("contacts",), ("analytics.ingest",)),
    Topic("segment.left", leads.SegmentLeftV1, "contact_id", ("contacts",), ("analytics.ingest",)),
    Topic(
        "contact.activity",
        leads.ContactActivityV1,
        "contact_id",
        ("contacts",),
        ("analytics.scoring",),
        personal=True,
    ),
    Topic("list.changed", leads.ListChangedV1, "list_id", ("contacts",), ("campaigns.main",)),
    Topic("lead.scored", leads.LeadScoredV1, "contact_id", ("analytics",), ("contacts.main",)),
    Topic("conversion.recorded", money.ConversionRecordedV1, "contact_id", ("analytics",), ("contacts.main",)),
    Topic(
        "audience.batch",
        audiences.AudienceBatchV1,
        "campaign_id",
        ("contacts",),
        ("delivery.main",),
        personal=True,
    ),
    Topic(
        "audience.closed",
        audiences.AudienceClosedV1,
        "campaign_id",
        ("contacts",),
        ("campaigns.main", "delivery.main", "analytics.ingest"),
    ),
    Topic("audience.rejected", audiences.AudienceRejectedV1, "campaign_id", ("contacts",), ("campaigns.main",)),
    Topic(
        "workspace.changed",
        campaigns.WorkspaceChangedV1,
        "workspace_id",
        ("campaigns",),
        ("contacts.main", "delivery.main", "analytics.ingest"),
    ),
    Topic("sender.changed", campaigns.SenderChangedV1, "sender_id", ("campaigns",), ("contacts.main", "delivery.main")),
    Topic(
        "access.revoked",
        campaigns.AccessRevokedV1,
        "subject_id",
        ("campaigns",),
        _ACCESS,
        lane=0,
        partitions=1,
    ),
    Topic(
        "campaign.started",
        campaigns.CampaignStartedV1,
        "campaign_id",
        ("campaigns",),
        ("contacts.main", "delivery.main", "analytics.ingest"),
        lane=0,
        partitions=1,
    ),
    Topic(
        "campaign.state",
        campaigns.CampaignStateV1,
        "campaign_id",
        ("campaigns",),
        ("contacts.main", "delivery.main", "analytics.ingest"),
        lane=0,
        partitions=1,
    ),
    Topic(
        "campaign.completed",
        campaigns.CampaignCompletedV1,
        "campaign_id",
        ("campaigns",),
        ("contacts.main", "delivery.main", "analytics.ingest"),
        lane=0,
        partitions=1,
    ),
    Topic(
        "message.requested",
        campaigns.MessageRequestedV1,
        "request_id",
        ("campaigns", "contacts"),
        ("delivery.main",),
        personal=True,
    ),
    Topic("email.sent", email.EmailSentV1, "message_id", ("delivery",), _FACTS),
    Topic("email.deferred", email.EmailDeferredV1, "message_id", ("delivery",), ("analytics.ingest",)),
    Topic("email.failed", email.EmailFailedV1, "message_id", ("delivery",), _FACTS),
    Topic("email.suppressed", email.EmailSuppressedV1, "message_id", ("delivery",), ("analytics.ingest",)),
    Topic("email.uncertain", email.EmailUncertainV1, "message_id", ("delivery",), ("analytics.ingest",)),
    Topic("email.expired", email.EmailExpiredV1, "message_id", ("delivery",), _FACTS),
    Topic("email.opened", email.EmailOpenedV1, "message_id", ("delivery",), _SCORED),
    Topic("email.clicked", email.EmailClickedV1, "message_id", ("delivery",), _SCORED),
    Topic("email.bounced", email.EmailBouncedV1, "message_id", ("delivery",), _FACTS),
    Topic("email.complained", email.EmailComplainedV1, "message_id", ("delivery",), _FACTS),
    Topic("email.delivered", email.EmailDeliveredV1, "message_id", ("delivery",), ("analytics.ingest",)),
    Topic("email.replied", email.EmailRepliedV1, "message_id", ("delivery",), _FACTS),
    Topic(
        "email.reclassified",
        email.EmailReclassifiedV1,
        "message_id",
        ("analytics",),
        ("contacts.main", "analytics.scoring"),
    ),
    Topic("email.unsubscribed", email.EmailUnsubscribedV1, "message_id", ("delivery",), _SCORED),
    Topic(
        "delivery.progressed",
        delivery.DeliveryProgressedV1,
        "campaign_id",
        ("delivery",),
        ("campaigns.main", "analytics.ingest"),
    ),
    Topic("delivery.held", delivery.DeliveryHeldV1, "campaign_id", ("delivery",), ("campaigns.main",)),
    Topic("domain.changed", delivery.DomainChangedV1, "domain_id", ("delivery",), ("campaigns.main",)),
)

BY_NAME = {topic.name: topic for topic in TOPICS}
BY_CONTRACT = {topic.contract: topic for topic in TOPICS}


def owned_by(service: str) -> list[Topic]:
    """The topics that a service writes."""
    return [topic for topic in TOPICS if service in topic.owners]


def read_by(service: str, only: str | None = None) -> list[Topic]:
    """The topics that a service reads: in any of its groups, or in those that `--only` names."""
    words = only.split(",") if only else []
    named = {word.strip().removeprefix(f"{service}.") for word in words}
    groups = {group for topic in TOPICS for group in topic.consumers if group.partition(".")[0] == service}
    wanted = {group for group in groups if not named or group.partition(".")[2] in named}
    return [topic for topic in TOPICS if wanted.intersection(topic.consumers)]
