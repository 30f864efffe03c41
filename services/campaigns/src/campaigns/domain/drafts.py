"""A campaign before it starts: it may lack anything but a name, yet what it has is sound."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from common.contracts.base import Direction
from common.contracts.campaigns import UncertainPolicy
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from campaigns.domain.text import HeaderText, LanguageTag, Name

MAX_BODY = 256 * 1024
MAX_SOURCES = 100
Body = Annotated[str, StringConstraints(max_length=MAX_BODY)]
VariantId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]


def _unique(ids: list[UUID]) -> list[UUID]:
    return list(dict.fromkeys(ids))


Ids = Annotated[list[UUID], Field(max_length=MAX_SOURCES), AfterValidator(_unique)]


def _storable(value: datetime) -> datetime:
    if not 2000 <= value.year <= 2200:
        raise ValueError("must lie between the years 2000 and 2200")
    return value


Moment = Annotated[AwareDatetime, AfterValidator(_storable)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Mail(_Strict):
    """One mail: HTML or MJML with Liquid, and its text part if it is not to be made from the HTML."""

    language: LanguageTag = "en"
    direction: Direction = "auto"
    subject: HeaderText = ""
    preheader: HeaderText = ""
    html: Body | None = None
    mjml: Body | None = None
    text: Body | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.html is not None and self.mjml is not None:
            raise ValueError("give html or mjml, not both")
        return self


class Variant(Mail):
    """The mail for one language, which is its id too unless another is given."""

    id: VariantId = "-"

    @model_validator(mode="before")
    @classmethod
    def _named_by_language(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("id"):
            return {**data, "id": data.get("language") or "en"}
        return data


class Variants(_Strict):
    """One mail in several languages; `default` names the variant of everybody else."""

    default: str = ""
    variants: Annotated[list[Variant], Field(min_length=1, max_length=50)]

    @model_validator(mode="after")
    def _ids(self) -> Self:
        ids = [variant.id for variant in self.variants]
        if len(set(ids)) < len(ids):
            raise ValueError("two variants have the same id")
        wanted = self.default or ids[0]
        chosen = next((one.id for one in self.variants if wanted in {one.id, one.language}), None)
        if chosen is None:
            raise ValueError(f"default names no variant: {wanted}; there are {', '.join(ids)}")
        self.default = chosen
        return self


class Audience(_Strict):
    """(Segments and lists) minus excluded segments."""

    segment_ids: Ids = []
    list_ids: Ids = []
    exclude_segment_ids: Ids = []

    @property
    def empty(self) -> bool:
        """Nobody is asked for."""
        return not self.segment_ids and not self.list_ids


class Tracking(_Strict):
    """What to track, of those who consented."""

    opens: bool = True
    clicks: bool = True


class Draft(_Strict):
    """What a person writes; stored as it is."""

    name: Name
    sender_id: UUID | None = None
    purpose: Annotated[str, StringConstraints(min_length=1, max_length=100)] = "newsletter"
    program_id: UUID | None = None
    audience: Audience = Audience()
    content: Mail | Variants | None = None
    tracking: Tracking = Tracking()
    uncertain_policy: UncertainPolicy = "hold"
    send_until: Moment | None = None

    def variants(self) -> list[Variant]:
        """The content as variants, the default first."""
        if self.content is None:
            return []
        if isinstance(self.content, Mail):
            return [Variant(id=self.content.language, **self.content.model_dump())]
        default = self.content.default
        return sorted(self.content.variants, key=lambda variant: variant.id != default)


def before_patch(draft: Draft, patch: dict[str, Any]) -> dict[str, Any]:
    """The draft's document, ready for a JSON merge patch (RFC 7396).

    What the patch excludes is left out: a patch that turns a single mail into variants, or back, or HTML into MJML.
    """
    document = draft.model_dump(mode="json", exclude_none=True)
    content, change = document.get("content"), patch.get("content")
    if isinstance(content, dict) and isinstance(change, dict):
        if ("variants" in content) != bool(set(change) & {"variants", "default"}):
            content = {}
        for given, other in (("html", "mjml"), ("mjml", "html")):
            if change.get(given) is not None and given not in content:
                content = {key: value for key, value in content.items() if key != other}
        document["content"] = content
    return document
