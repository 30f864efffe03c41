"""Content as its author writes it, and as it travels compiled in `campaign.started`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PrivateAttr, model_validator

from content.direction import language_direction
from content.errors import ContentError

Direction = Literal["ltr", "rtl"]
MAX_BYTES = 512 * 1024
VariantId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
Language = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8})*$", max_length=35)]


class Strict(BaseModel):
    """What a person writes: unknown names are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Plain(BaseModel):
    """What a newer version of the compiler may have written."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class VariantSource(Strict):
    """One language of a mail: `html` or `mjml`, or `text` alone. Without an id, the language is the id."""

    id: VariantId = ""
    language: Language = "en"
    direction: Literal["ltr", "rtl", "auto"] = "auto"
    subject: str = Field(max_length=2000)
    preheader: str | None = Field(None, max_length=2000)
    html: str | None = None
    mjml: str | None = None
    text: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_by_language(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and not data.get("id"):
            return {**data, "id": str(data.get("language") or "en")}
        return data

    @property
    def resolved_direction(self) -> Direction:
        """`auto` follows the language's script."""
        return language_direction(self.language) if self.direction == "auto" else self.direction


class MailSource(Strict):
    """A mail in one or more languages. Takes the short form too: the fields of the one variant by themselves."""

    default: str = Field("", description="id or language of the variant for everybody without one")
    variants: Annotated[tuple[VariantSource, ...], Field(min_length=1, max_length=50)]

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "variants" not in data:
            return {"variants": [dict(data)]}
        return data

    @model_validator(mode="after")
    def _default_exists(self) -> "MailSource":
        ids = [variant.id for variant in self.variants]
        if len(set(ids)) != len(ids):
            raise ValueError("two variants have the same id; give each its own id")
        wanted = self.default or ids[0]
        chosen = next((v.id for v in self.variants if wanted in (v.id, v.language)), None)
        if chosen is None:
            raise ValueError(f"default {wanted!r} is no variant; the variants are {', '.join(ids)}")
        object.__setattr__(self, "default", chosen)
        return self


class Footer(Strict):
    """What the law asks of a campaign. Given (even empty), an unsubscribe link and the address are required."""

    postal_address: str | None = Field(None, max_length=1000)


class Tracking(Strict):
    """What the author wants counted, and the query parameters added to links to web pages."""

    opens: bool = True
    clicks: bool = True
    utm: dict[str, str] = {}


class Operand(Plain):
    """A field (`path`), or a literal (`value`); `word` is Liquid's blank or empty."""

    path: tuple[str, ...] | None = None
    value: JsonValue = None
    word: Literal["blank", "empty"] | None = None


class FilterCall(Plain):
    """One filter with its arguments."""

    name: str
    args: tuple[Operand, ...] = ()
    named: dict[str, Operand] = {}


class Slot(Plain):
    """A value: an operand through filters, the last of which escapes for the place it stands in."""

    k: Literal["slot"]
    of: Operand
    filters: tuple[FilterCall, ...] = ()


class Test(Plain):
    """A condition. `true` takes `a`; `and` `or` `not` take `tests`; the others compare `a` with `b`."""

    op: Literal["true", "and", "or", "not", "==", "!=", "<", "<=", ">", ">=", "contains"]
    a: Operand | None = None
    b: Operand | None = None
    tests: "tuple[Test, ...]" = ()


class Url(Plain):
    """A whole URL attribute; with a number, a link whose clicks can be counted."""

    k: Literal["url"]
    number: int | None = None
    body: "tuple[Segment, ...]" = ()


class Arm(Plain):
    """One `if`, `elsif` or `else` with what it shows."""

    test: Test | None = None
    body: "tuple[Segment, ...]" = ()


class Choice(Plain):
    """The first arm whose test holds."""

    k: Literal["choice"]
    arms: tuple[Arm, ...]


class Pixel(Plain):
    """Where the open-tracking image goes, for those who agreed to it."""

    k: Literal["pixel"]


Segment = str | Slot | Choice | Url | Pixel


class Program(Plain):
    """One part, compiled: segments, or Liquid source for the engine where loops or assignments need it."""

    markup: bool = Field(False, description="the output is HTML")
    segments: tuple[Segment, ...] = ()
    source: str | None = None


class LinkTarget(Plain):
    """A link of the mail by its number, as written (Liquid in it unfilled)."""

    number: int
    url: str
    tracked: bool = True


class ContentWarning(Plain):
    """Something the author should know, but that does not stop the mail."""

    variant: str
    part: str
    code: str
    message: str


class CompiledVariant(Plain):
    """One language of a mail, ready to be filled."""

    id: str
    language: str
    direction: Direction
    subject: Program
    html: Program | None = None
    text: Program
    added_lines: int | None = Field(
        None, description="lines of the text that are not the author's; none: the mail shows something whatever it says"
    )


class CompiledMail(Plain):
    """A mail ready to be filled, in all its languages. `fields` are the contact's fields it uses."""

    version: Literal[1] = 1
    default: str
    fields: tuple[str, ...] = ()
    variants: tuple[CompiledVariant, ...]
    links: tuple[LinkTarget, ...] = ()
    opens: bool = True
    clicks: bool = True
    warnings: tuple[ContentWarning, ...] = ()

    _ready: dict[str, Any] = PrivateAttr(default_factory=dict)

    def payload(self) -> dict[str, Any]:
        """As JSON values, for an event. Raises ContentError when over 512 KiB."""
        size = len(self.model_dump_json(exclude_defaults=True).encode())
        if size > MAX_BYTES:
            raise ContentError(
                "content",
                None,
                f"The compiled content is {size // 1024} KiB; at most {MAX_BYTES // 1024} KiB can be sent.",
                "Link to images instead of embedding them, and shorten the longest variant.",
                code="content_too_large",
            )
        return self.model_dump(mode="json", exclude_defaults=True)
