"""What every contract shares."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Plain(BaseModel):
    """A frozen value inside an event; unknown fields are ignored, so that producers may add some."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class EventData(Plain):
    """The JSON value of one event. Its time, id and workspace travel in the envelope."""


class StateData(EventData):
    """An event that tells a whole state: consumers write `where excluded.revision > revision`."""

    revision: Annotated[int, Field(ge=1, description="per aggregate, taken under its row lock")]


Direction = Literal["ltr", "rtl", "auto"]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="keyed hash of an address or domain")]
JsonObject = dict[str, Any]

__all__ = ["UUID", "AwareDatetime", "Direction", "EventData", "Hash", "JsonObject", "Plain", "StateData"]
