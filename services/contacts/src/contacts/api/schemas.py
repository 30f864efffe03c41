"""Requests and answers about contacts and consents."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from pydantic import BaseModel, ConfigDict, Field

from contacts.domain.import_options import Tag
from contacts.use_cases.consents import NewConsent

Name = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]
Key = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Short = Annotated[str, Field(max_length=60, pattern=r"^[^\x00-\x1f]*$")]
Tracking = Literal["individual", "none"]


class ConsentIn(BaseModel):
    """What a person agreed to, or took back, and what proves it."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["subscribed", "unsubscribed", "pending"]
    purpose: str = "newsletter"
    source: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
    evidence: Annotated[str, Field(max_length=4000, pattern=r"^[^\x00]*$")] | None = None
    tracking: Tracking | None = None

    def to_new(self) -> NewConsent:
        """As the use cases take it."""
        return NewConsent(self.status, self.purpose, self.source, self.evidence, self.tracking)


class ContactFields(BaseModel):
    """What a contact has, beside its address."""

    model_config = ConfigDict(extra="forbid")

    first_name: Name | None = None
    last_name: Name | None = None
    language: Short | None = Field(None, description="BCP 47, like fa or ar-EG")
    timezone: Short | None = Field(None, description="IANA name, like Asia/Tehran")
    country: Short | None = Field(None, description="ISO 3166-1, two letters")
    external_id: Key | None = None
    attributes: Annotated[dict[str, Any], Field(max_length=500)] | None = {}
    tags: Annotated[list[Tag], Field(max_length=100)] | None = []
    stage: Key | None = "lead"

    def given(self) -> dict[str, Any]:
        """Only what was sent: omitted is not empty."""
        return self.model_dump(exclude_unset=True, exclude={"consent"})


class ContactCreate(ContactFields):
    """A new contact."""

    email: Annotated[str, Field(max_length=1000)]
    consent: ConsentIn | None = None


class ContactPut(ContactFields):
    """The contact with this address or external id."""

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
    attributes: dict[str, Any]
    tags: list[str]
    tracking: Tracking
    score: float
    grade: str | None
    stage: str
    revision: int
    created_at: datetime
    updated_at: datetime


class ConsentOut(BaseModel):
    """Where a contact stands with a purpose."""

    purpose: str | None = Field(description="the purpose's key; null if the workspace has it no more")
    purpose_id: UUID
    status: str
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
    wording_version: int | None
    actor: str
    import_id: UUID | None
    caused_by: UUID | None
    at: datetime


def contact_out(row: asyncpg.Record) -> ContactOut:
    """A contact from its row."""
    return ContactOut.model_validate(dict(row))


def consents_out(rows: Sequence[asyncpg.Record], purposes: Mapping[UUID, str]) -> list[ConsentOut]:
    """Consents with their purposes' keys."""
    return [ConsentOut(**{**dict(row), "purpose": purposes.get(row["purpose_id"])}) for row in rows]
