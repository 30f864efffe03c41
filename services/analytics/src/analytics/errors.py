"""What can go wrong in analytics, as callers see it."""

from common.errors import Invalid, NotFound


class CampaignUnknown(NotFound):
    """There is no campaign with this id in this workspace, or it has not begun."""

    code = "campaign_not_found"


class LeadUnknown(NotFound):
    """There is no contact with this id in this workspace."""

    code = "lead_not_found"


class BadPeriod(Invalid):
    """This time cannot be reported on."""

    code = "bad_period"
