"""/v1/conversions: what contacts bought, or did that is worth money."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from asyncpg import Record
from common.contracts.money import Amount, Currency
from common.errors import PreconditionFailed
from common.web.etags import IfMatch, require_match, set_etag
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import Body, Query, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from analytics.db import conversions
from analytics.errors import BadRefund, CampaignUnknown, ConversionDiffers, ConversionUnknown, LeadUnknown
from analytics.use_cases.conversions import correct, id_of, record

router = service_router("/conversions", "conversions")

MOST = 1000
_CLOCKS_DIFFER = timedelta(minutes=5)


def _past(value: datetime) -> datetime:
    if not 2000 <= value.year <= 2200:
        raise ValueError("must lie between the years 2000 and 2200")
    if value > datetime.now(UTC) + _CLOCKS_DIFFER:
        raise ValueError("a conversion is told after it occurred")
    return value


Past = Annotated[AwareDatetime, AfterValidator(_past)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class ConversionIn(BaseModel):
    """A conversion. `id` is the sender's, like the number of an order: told twice it is stored once."""

    model_config = ConfigDict(extra="forbid")

    id: Name
    contact_id: UUID
    campaign_id: UUID | None = None
    amount: Amount
    currency: Currency
    occurred_at: Past


class ConversionPatch(BaseModel):
    """What was wrong, or how much was given back. Omitted is not changed."""

    model_config = ConfigDict(extra="forbid")

    amount: Amount | None = None
    refunded: Amount | None = None
    currency: Currency | None = None
    occurred_at: Past | None = None
    campaign_id: UUID | None = None

    @model_validator(mode="after")
    def _only_the_campaign_can_be_taken_away(self) -> "ConversionPatch":
        if empty := [name for name in self.model_fields_set - {"campaign_id"} if getattr(self, name) is None]:
            raise ValueError(f"{', '.join(sorted(empty))} cannot be null: leave it out")
        return self


class ConversionsTaken(BaseModel):
    """How many conversions were new, and how many were there already."""

    stored: int
    duplicates: int


class ConversionOut(BaseModel):
    """A conversion as it stands. `contact_id` and `external_id` are null once the contact was erased."""

    id: UUID
    external_id: str | None
    contact_id: UUID | None
    campaign_id: UUID | None
    amount: Decimal
    refunded: Decimal
    currency: str
    occurred_at: datetime
    voided: bool
    revision: int
    recorded_at: datetime


Conversions = Annotated[list[ConversionIn], Body(min_length=1, max_length=MOST)]


@router.post(
    "",
    dependencies=[allow("conversions:write")],
    responses=problems(LeadUnknown, CampaignUnknown, ConversionDiffers),
)
async def create_conversions(body: Conversions, tx: Tx, caller: Caller) -> ConversionsTaken:
    """Record conversions: all of the call is stored, or nothing. A contact made just now may not be known yet."""
    told = [
        conversions.New(
            id_of(caller.workspace_id, one.id), one.id, one.contact_id, one.campaign_id, one.amount, one.currency,
            one.occurred_at,
        )
        for one in body
    ]  # fmt: skip
    stored = await record(tx, caller.workspace_id, told)
    return ConversionsTaken(stored=stored, duplicates=len(told) - stored)


@router.get("", dependencies=[allow("conversions:read")])
async def list_conversions(
    tx: Tx, caller: Caller, paging: Paging, contact_id: Annotated[UUID | None, Query()] = None
) -> Page[ConversionOut]:
    """Conversions, of one contact or all."""
    after = paging.after(UUID)
    rows = await conversions.page(tx, caller.workspace_id, contact_id, after[0] if after else None, paging.limit + 1)
    return page(rows, paging, _out, lambda row: (row["id"],))


@router.get("/{conversion_id}", dependencies=[allow("conversions:read")], responses=problems(ConversionUnknown))
async def get_conversion(conversion_id: UUID, tx: Tx, caller: Caller, response: Response) -> ConversionOut:
    """One conversion."""
    row = await conversions.get(tx, caller.workspace_id, conversion_id)
    if row is None:
        raise ConversionUnknown(conversion_id=str(conversion_id))
    set_etag(response, row["revision"])
    return _out(row)


@router.patch(
    "/{conversion_id}",
    dependencies=[allow("conversions:write")],
    responses=problems(ConversionUnknown, CampaignUnknown, BadRefund, PreconditionFailed),
)
async def update_conversion(
    conversion_id: UUID, body: ConversionPatch, tx: Tx, caller: Caller, response: Response, if_match: IfMatch = None
) -> ConversionOut:
    """Correct a conversion, or note what was given back. One that is given back whole counts no more."""
    before = await _locked(tx, caller.workspace_id, conversion_id)
    require_match(if_match, before["revision"])
    row = await correct(tx, before, body.model_dump(exclude_unset=True))
    set_etag(response, row["revision"])
    return _out(row)


@router.delete(
    "/{conversion_id}",
    status_code=204,
    dependencies=[allow("conversions:write")],
    responses=problems(ConversionUnknown, PreconditionFailed),
)
async def void_conversion(conversion_id: UUID, tx: Tx, caller: Caller, if_match: IfMatch = None) -> None:
    """It never was one. The row stays, so that telling it again does not bring it back."""
    before = await _locked(tx, caller.workspace_id, conversion_id)
    require_match(if_match, before["revision"])
    await correct(tx, before, {"voided": True})


async def _locked(tx: Tx, workspace_id: UUID, conversion_id: UUID) -> Record:
    # Without its contact there is nothing to tell, and nobody to tell it of.
    row = await conversions.get(tx, workspace_id, conversion_id, lock=True)
    if row is None or row["contact_id"] is None:
        raise ConversionUnknown(conversion_id=str(conversion_id))
    return row


def _out(row: Record) -> ConversionOut:
    return ConversionOut.model_validate(dict(row))
