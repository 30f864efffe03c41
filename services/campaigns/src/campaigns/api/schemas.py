"""What callers send and get, except campaigns."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import available_timezones

from common.web.roles import SCOPES
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from campaigns.domain.text import LanguageTag, Name, one_line

Role = Literal["owner", "manager", "editor", "approver", "contributor", "viewer"]
Email = Annotated[str, StringConstraints(min_length=3, max_length=320)]


def _time_zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("not a name of the IANA time zone database, such as Asia/Tehran")
    return value


def _no_controls(value: str) -> str:
    if any(ord(character) < 32 and character != "\n" for character in value):
        raise ValueError("contains a control character")
    return value.strip()


def _known_scope(value: str) -> str:
    if value not in SCOPES:
        raise ValueError("no scope of this name: scopes are <resource>:read, <resource>:write and campaigns:send")
    return value


PersonName = Annotated[str, StringConstraints(max_length=200), AfterValidator(one_line)]
Scope = Annotated[str, AfterValidator(_known_scope)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
PostalAddress = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_no_controls)]
Weekday = Annotated[int, Field(ge=1, le=7, description="ISO: Monday is 1")]
Languages = Annotated[list[LanguageTag], Field(min_length=1, max_length=50)]
Weekend = Annotated[list[Weekday], Field(max_length=6)]
Wording = Annotated[dict[LanguageTag, Annotated[str, StringConstraints(max_length=5000)]], Field(max_length=50)]
TrackingMode = Literal["individual", "none"]
SenderPolicy = Literal["warn", "refuse"]


class Strict(BaseModel):
    """A request's body: a name nobody knows is refused."""

    model_config = ConfigDict(extra="forbid")


class Out(BaseModel):
    """An answer, built from a row."""

    model_config = ConfigDict(from_attributes=True)


class WorkspaceOwner(Strict):
    """Who owns a new workspace."""

    email: Email
    name: PersonName = ""


class WorkspaceCreate(Strict):
    """A new workspace."""

    name: Name
    postal_address: PostalAddress | None = None
    tracking_mode: TrackingMode = "none"
    languages: Languages = ["en"]
    time_zone: TimeZone = "UTC"
    weekend: Weekend | None = None
    sender_policy: SenderPolicy = "warn"
    owner: WorkspaceOwner | None = Field(None, description="null: the caller")


class WorkspaceUpdate(Strict):
    """What to change (RFC 7396)."""

    name: Name = ""
    postal_address: PostalAddress | None = None
    tracking_mode: TrackingMode = "none"
    languages: Languages = ["en"]
    time_zone: TimeZone = "UTC"
    weekend: Weekend | None = None
    sender_policy: SenderPolicy = "warn"


class WorkspaceOut(Out):
    """A workspace."""

    id: UUID
    name: str
    postal_address: str | None
    tracking_mode: TrackingMode
    languages: list[str]
    time_zone: str
    weekend: list[int] | None
    sender_policy: SenderPolicy = Field(
        description="campaigns whose sender's domain is not verified: started with a warning, or refused"
    )
    revision: int
    created_at: datetime
    updated_at: datetime


class WorkspaceCreated(WorkspaceOut):
    """A new workspace, with its owner's first token, which is not shown again."""

    owner_id: UUID
    token: str


class WorkspaceMemberCreate(Strict):
    """A new member."""

    email: Email
    name: PersonName = ""
    role: Role


class WorkspaceMemberUpdate(Strict):
    """What to change (RFC 7396)."""

    name: PersonName = ""
    role: Role = "viewer"


class WorkspaceMemberOut(Out):
    """A member."""

    id: UUID
    email: str
    name: str
    role: Role
    revision: int
    created_at: datetime
    updated_at: datetime


class TokenCreate(Strict):
    """A new token of a member, by default the caller; with the member's role, or with some scopes only."""

    name: Name
    member_id: UUID | None = None
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=100)] | None = None
    expires_in_s: Annotated[int, Field(ge=60, le=366 * 24 * 3600)] = 90 * 24 * 3600


class TokenOut(Out):
    """What is known about a token."""

    id: UUID
    member_id: UUID
    name: str
    role: Role
    scopes: list[str] | None
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class TokenCreated(TokenOut):
    """A new token, which is not shown again."""

    token: str


class SenderCreate(Strict):
    """A new sender."""

    name: Name
    email: Email
    reply_to: Email | None = None


class SenderUpdate(Strict):
    """What to change (RFC 7396)."""

    name: Name = ""
    email: Email = ""
    reply_to: Email | None = None


class SenderOut(Out):
    """A sender."""

    id: UUID
    name: str
    email: str
    reply_to: str | None
    revision: int
    created_at: datetime
    updated_at: datetime


class PurposeCreate(Strict):
    """A new purpose; its key is what imports and campaigns name."""

    key: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
    wording: Wording = {}


class PurposeUpdate(Strict):
    """What to change (RFC 7396): a language's wording, or null to take it away."""

    wording: dict[LanguageTag, Annotated[str, StringConstraints(max_length=5000)] | None] = {}


class PurposeOut(Out):
    """A purpose, with its present wording."""

    id: UUID
    key: str
    version: int
    wording: dict[str, str]
    created_at: datetime
    updated_at: datetime
