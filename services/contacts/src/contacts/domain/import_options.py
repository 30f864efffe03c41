"""What the sender of a file wants done with it."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from contacts.domain.import_files import Encoding

Tag = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f,]+$")]


class ImportConsent(BaseModel):
    """The consent the people in the file gave, and what proves it."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["subscribed", "unsubscribed", "pending"]
    purpose: str = "newsletter"
    tracking: Literal["individual", "none"] | None = None
    source: Annotated[str, Field(min_length=1, max_length=200)]
    evidence: Annotated[str, Field(max_length=4000)] | None = None


class ImportOptions(BaseModel):
    """`mapping`: column → field or attributes.<name>; without it columns go by their names."""

    model_config = ConfigDict(extra="forbid")

    mapping: Annotated[dict[str, str], Field(max_length=500)] | None = None
    create_attributes: bool = False
    on_conflict: Literal["update", "skip"] = "update"
    consent: ImportConsent | None = None
    list_ids: Annotated[list[UUID], Field(max_length=50)] = []
    tags: Annotated[list[Tag], Field(max_length=50)] = []
    encoding: Encoding | None = Field(None, description="null: found out by itself")
