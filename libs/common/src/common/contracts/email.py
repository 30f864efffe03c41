"""What delivery tells about messages: facts, upserted by their id; they may come before one another."""

from typing import Annotated, Literal

from pydantic import Field

from common.contracts.base import UUID, AwareDatetime, EventData, Hash, Plain, StateData


class EmailData(EventData):
    """What every `email.*` event carries."""

    message_id: UUID
    kind: Literal["campaign", "test", "single"]
    contact_id: UUID | None = None
    campaign_id: UUID | None = None
    purpose_id: UUID | None = None
    program_id: UUID | None = None
    variant_id: str | None = None


class EmailStatusData(EmailData):
    """A status of a message. `revision` counts per message; the higher one stands."""

    attempt: Annotated[int, Field(ge=0)]
    revision: Annotated[int, Field(ge=1)]


class SmtpReply(Plain):
    """The server's answer: code, enhanced status code (RFC 3463), first line of text without addresses."""

    code: int | None = None
    enhanced: str | None = None
    text: str | None = None


class EmailSentV1(EmailStatusData):
    """The next server took responsibility for the message."""

    provider: str
    smtp: SmtpReply = SmtpReply()


class EmailDeferredV1(EmailStatusData):
    """A temporary refusal; the message is tried again at `next_at`."""

    provider: str
    next_at: AwareDatetime
    smtp: SmtpReply = SmtpReply()


class EmailFailedV1(EmailStatusData):
    """A permanent refusal.

    `failure`: bad_mailbox, bad_domain, mailbox_full, policy, content, unsupported_address or other.
    With `block_id` delivery has blocked the address at once.
    """

    provider: str
    failure: str
    smtp: SmtpReply = SmtpReply()
    block_id: UUID | None = None


class EmailSuppressedV1(EmailStatusData):
    """Not sent, because of a block, an erasure or a consent withdrawn since the audience was frozen."""

    reason: str


class EmailUncertainV1(EmailStatusData):
    """Nobody knows whether the message was delivered (RFC 1047); it is not sent again by itself."""

    cause: str


class EmailExpiredV1(EmailStatusData):
    """Not delivered within its time. With `block_id` delivery has blocked the address: its mailbox stays full."""

    block_id: UUID | None = None


class TrackedData(EmailData):
    """What opens and clicks share. `machine`: by the stateless rules, named in `machine_rule`."""

    sent_at: AwareDatetime | None = Field(None, description="when the mail was made, in whole seconds")
    via: str | None = Field(None, description="the mail provider's proxy through which a person's program asked")
    machine: bool = False
    machine_rule: str | None = None


class EmailReclassifiedV1(StateData):
    """A click turned out to be a machine's, or a person's after all. `revision` counts per click."""

    event_id: UUID = Field(description="the email.clicked it is about")
    message_id: UUID
    kind: Literal["campaign", "test", "single"]
    contact_id: UUID | None = None
    campaign_id: UUID | None = None
    machine: bool
    machine_rule: str | None = None


class EmailOpenedV1(TrackedData):
    """The tracking pixel was fetched."""


class EmailClickedV1(TrackedData):
    """A link of the message was fetched; `link` is its number in the campaign's content."""

    link: Annotated[int, Field(ge=0)]
    url: str


class EmailUnsubscribedV1(EmailData):
    """A person left. Delivery has blocked the contact (scope purpose) or address (scope all) already.

    With `address_hash` they left at their mail provider's page, and which message it was about is not known:
    `message_id` is an id of the provider's event then.
    """

    method: Literal["one_click", "page"]
    scope: Literal["purpose", "all"]
    block_id: UUID
    address_hash: Hash | None = None


class ReturnedData(EmailData):
    """What came back of a message, by mail or by its provider's word. `provider`: who keeps the recipient's mailbox.

    The ledger stays as it is: the message was sent.
    """

    provider: str


class EmailBouncedV1(ReturnedData):
    """The message was refused after it had been taken.

    `hard`: there is no such mailbox or domain; anything else is `soft`. With `block_id` delivery has blocked the
    address already.
    """

    bounce: Literal["hard", "soft"]
    reason: str
    smtp: SmtpReply = SmtpReply()
    block_id: UUID | None = None


class EmailComplainedV1(ReturnedData):
    """A person called the message unwanted (RFC 5965). With `block_id` delivery has blocked the address already."""

    reason: str
    block_id: UUID | None = None


class EmailDeliveredV1(ReturnedData):
    """The recipient's server, or the provider that sent it, says that it was delivered."""


class EmailRepliedV1(ReturnedData):
    """A person answered; no automatic answer is told of."""
