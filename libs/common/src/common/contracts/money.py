"""What analytics tells about money."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from common.contracts.base import UUID, AwareDatetime, StateData

Amount = Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=4)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217")]


class ConversionRecordedV1(StateData):
    """A contact bought something, or did what is worth money; or that was corrected, refunded or taken back.

    The revision counts per conversion. The contact is the one that was named: who has been merged since is another.
    """

    conversion_id: UUID
    contact_id: UUID
    campaign_id: UUID | None = None
    amount: Amount
    refunded: Amount = Field(Decimal(0), description="how much of the amount was given back")
    currency: Currency
    occurred_at: AwareDatetime
    voided: bool = Field(False, description="it never was one")
