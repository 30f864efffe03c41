"""What a campaign may be sent with, but should not."""

from typing import Any

from pydantic import BaseModel, Field


class Warned(BaseModel):
    """`code` is stable; `params` carry what a front end needs to translate the message."""

    code: str
    message: str
    params: dict[str, Any] = Field(default_factory=dict)
