"""What can go wrong in analytics, as callers see it."""

from common.errors import Conflict, Invalid, NotFound


class CampaignUnknown(NotFound):
    """There is no campaign with this id in this workspace, or it has not begun."""

    code = "campaign_not_found"


class LeadUnknown(NotFound):
    """There is no contact with this id in this workspace."""

    code = "lead_not_found"


class BadPeriod(Invalid):
    """This time cannot be reported on."""

    code = "bad_period"


class ConversionUnknown(NotFound):
    """There is no conversion with this id in this workspace, or its contact was erased."""

    code = "conversion_not_found"


class ConversionDiffers(Conflict):
    """A conversion with this id is recorded with other content."""

    code = "conversion_differs"
    remedy = "Correct it with PATCH /v1/conversions/{conversion_id}, or give this one an id of its own"


class BadRefund(Invalid):
    """More is given back than was paid."""

    code = "bad_refund"
