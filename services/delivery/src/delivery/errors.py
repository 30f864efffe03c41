"""What can go wrong with a caller's request to delivery."""

from common.errors import Conflict, Invalid, NotFound, TooLarge


class MessageNotFound(NotFound):
    """There is no such message."""

    code = "message_not_found"


class NotUncertain(Conflict):
    """Only an uncertain message can be sent again or resolved."""

    code = "not_uncertain"


class CampaignCancelled(Conflict):
    """The campaign is cancelled; nothing of it is sent any more."""

    code = "campaign_cancelled"


class AddressErased(Conflict):
    """The person is erased; there is no address to send to."""

    code = "address_erased"


class CampaignNotFound(NotFound):
    """There is no such campaign in this workspace, or it has not been started."""

    code = "campaign_not_found"


class BounceTooLarge(TooLarge):
    """The mail is larger than a bounce can be."""

    code = "bounce_too_large"
    remedy = "Send the report with the headers of the returned mail only, or with less of it"


class BounceTooManyParts(Invalid):
    """The mail has more parts than a bounce can have."""

    code = "bounce_too_many_parts"
    remedy = "Send the mail that came back as it came, not a collection of them"
