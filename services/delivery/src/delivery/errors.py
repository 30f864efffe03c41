"""What can go wrong with a caller's request to delivery."""

from common.errors import Conflict, NotFound


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
