"""Requests and answers about contacts and consents."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from common.contracts.leads import Stage
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, IPvAnyAddress

from contacts.domain.import_options import Tag
from contacts.use_cases.consents import NewConsent

Name = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]
Key = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Short = Annotated[str, Field(max_length=60, pattern=r"^[^\x00-\x1f]*$")]
Tracking = Literal["individual", "none"]


Basis = Literal["consent", "contract", "legal_obligation", "vital_interests", "public_task", "legitimate_interest"]


def storable(value: datetime) -> datetime:
    """A time that every column and every document can hold."""
    if not 2000 <= value.year <= 2200:
        raise ValueError("must lie between the years 2000 and 2200")
    return value


def _past(value: datetime) -> datetime:
    if storable(value) > datetime.now(UTC):
        raise ValueError("must not lie in the future")
    return value


Time = Annotated[AwareDatetime, AfterValidator(storable)]


class ConsentIn(BaseModel):
    """What a person agreed to, or took back, and what proves it."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["subscribed", "unsubscribed", "pending"]
    purpose: str = "newsletter"
    source: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
    evidence: Annotated[str, Field(max_length=4000, pattern=r"^[^\x00]*$")] | None = None
    tracking: Tracking | None = None
    basis: Basis | None = Field(None, description="why mailing is lawful (GDPR, article 6)")
    express: bool | None = Field(None, description="said in words; false: concluded from what the person did (CASL)")
    expires_at: Time | None = Field(None, description="the consent counts until then")
    wording_version: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="of the purpose's wording that the person saw; without it, today's"
    )
    wording_language: Short | None = None
    ip: IPvAnyAddress | None = Field(None, description="where the person was, not who calls")
    agent: Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f]*$")] | None = None
    happened_at: Annotated[AwareDatetime, AfterValidator(_past)] | None = Field(
        None, description="when the person said so, if not now: what happened later stands"
    )

    def to_new(self) -> NewConsent:
        """As the use cases take it."""
        given = self.model_dump(include=set(_CONSENT_FIELDS))
        return NewConsent(**{**given, "ip": str(self.ip) if self.ip else None})


_CONSENT_FIELDS = tuple(name for name in ConsentIn.model_fields if name != "contact_id")


class ContactFields(BaseModel):
    """What a contact has, beside its address."""

    model_config = ConfigDict(extra="forbid")

    first_name: Name | None = None
    last_name: Name | None = None
    language: Short | None = Field(None, description="BCP 47, like fa or ar-EG")
    timezone: Short | None = Field(None, description="IANA name, like Asia/Tehran")
    country: Short | None = Field(None, description="ISO 3166-1, two letters")
    external_id: Key | None = None
    phone: Short | None = Field(None, description="in any spelling; without +, a number of `country`")
    company: Name | None = None
    city: Name | None = None
    owner: Key | None = Field(None, description="the id of the member who looks after the contact")
    attributes: Annotated[dict[str, Any], Field(max_length=500)] | None = {}
    tags: Annotated[list[Tag], Field(max_length=100)] | None = []
    stage: Stage | None = Field("lead", description="in the order of the lifecycle; each change is recorded")

    def given(self) -> dict[str, Any]:
        """Only what was sent: omitted is not empty."""
        return self.model_dump(exclude_unset=True, exclude={"consent"})


class ContactCreate(ContactFields):
    """A new contact."""

    email: Annotated[str, Field(max_length=1000)]
    consent: ConsentIn | None = None


class ContactPut(ContactFields):
    """The contact with this address or external id; with neither, the one with this phone."""

    email: Annotated[str, Field(max_length=1000)] | None = None
    consent: ConsentIn | None = None


class ContactPatch(ContactFields):
    """A merge patch (RFC 7396): null takes away, omitted stays."""

    email: Annotated[str, Field(max_length=1000)] | None = None
    tracking: Tracking | None = None


class ContactOut(BaseModel):
    """A contact."""

    id: UUID
    email: str
    first_name: str | None
    last_name: str | None
    language: str | None
    timezone: str | None
    country: str | None
    external_id: str | None
    phone: str | None
    phone_normalised: str | None = Field(description="E.164; null if the number cannot be called as it is written")
    company: str | None
    city: str | None
    city_normalised: str | None = Field(description="the one form of the city's many spellings, if it is known")
    owner: str | None
    attributes: dict[str, Any]
    tags: list[str]
    tracking: Tracking
    score: float
    grade: str | None
    stage: Stage
    provenance: dict[str, Any] = Field(
        description="field → source, rule and time of a value that nobody gave, but that was concluded"
    )
    flags: list[str] = Field(description="what the address says of itself: role, disposable, freemail")
    revision: int
    created_at: datetime
    updated_at: datetime


class ConsentOut(BaseModel):
    """Where a contact stands with a purpose."""

    purpose: str | None = Field(description="the purpose's key; null if the workspace has it no more")
    purpose_id: UUID
    status: str
    paused_until: datetime | None
    expires_at: datetime | None
    revision: int
    updated_at: datetime


class ContactDetail(ContactOut):
    """A contact, its consents, and whether its address is suppressed."""

    consents: list[ConsentOut]
    suppressed: bool


class ConsentRecordOut(BaseModel):
    """One line of the consent ledger."""

    id: UUID
    contact_id: UUID
    purpose_id: UUID
    status: str
    source: str
    evidence: str | None
    channel: Literal["email", "tracking"]
    basis: str | None
    express: bool | None
    expires_at: datetime | None
    paused_until: datetime | None
    wording_version: int | None
    wording_language: str | None
    actor: str
    ip: str | None
    agent: str | None
    import_id: UUID | None
    caused_by: UUID | None
    happened_at: datetime | None = Field(description="null: when it was written down")
    at: datetime


def contact_out(row: asyncpg.Record) -> ContactOut:
    """A contact from its row."""
    return ContactOut.model_validate(dict(row))


def consents_out(rows: Sequence[asyncpg.Record], purposes: Mapping[UUID, str]) -> list[ConsentOut]:
    """Consents with their purposes' keys."""
    return [ConsentOut(**{**dict(row), "purpose": purposes.get(row["purpose_id"])}) for row in rows]
