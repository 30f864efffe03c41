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


# What to do with a value of somebody who is there already: leave theirs, fill it where they have none, write the
# file's, or write the file's even if it is empty.
Policy = Literal["keep", "fill", "overwrite", "erase"]


class ImportOptions(BaseModel):
    """`mapping`: column → field or attributes.<name>; without it columns go by their names.

    `on_conflict`: what becomes of people who are there already: `update`, `skip`, or field by field
    {"default": "overwrite", "first_name": "fill", "attributes.city": "keep"}. Only `erase` lets an empty cell erase.
    A stage moves on and never back, unless `on_conflict` names it.
    """

    model_config = ConfigDict(extra="forbid")

    mapping: Annotated[dict[str, str], Field(max_length=500)] | None = None
    create_attributes: bool = False
    on_conflict: Literal["update", "skip"] | Annotated[dict[str, Policy], Field(max_length=500)] = "update"
    consent: ImportConsent | None = None
    list_ids: Annotated[list[UUID], Field(max_length=50)] = []
    tags: Annotated[list[Tag], Field(max_length=50)] = []
    dry_run: bool = Field(False, description="judge and count every row, and store nothing")
    encoding: Encoding | None = Field(None, description="null: found out by itself")
