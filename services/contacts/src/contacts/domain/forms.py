"""Forms as their makers define them, and reading what somebody posted with one."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contacts.domain import phones, values
from contacts.domain.import_options import Tag
from contacts.domain.pages.languages import Language
from contacts.domain.values import NAME_CHARACTERS, AttributeType, Definition

ATTRIBUTE = "attributes."
TRAP = "url_2"
MAX_VALUE = 2000
Problem = Literal["missing", "invalid_email", "invalid_value", "too_long", "not_offered"]
Line = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f]*$")]
Text = Annotated[str, Field(max_length=4000, pattern=r"^[^\x00]*$")]
Origin = Annotated[str, Field(max_length=300, pattern=r"^https?://[A-Za-z0-9.-]{1,253}(:\d{1,5})?$")]
_NAME = re.compile(r"(first_name|last_name|phone|company|city|country|attributes\.[^\W\d]\w{0,62})\Z")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FormTexts(_Part):
    """What the page says in one language; what is left out is said in our words."""

    title: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
    intro: Text = ""
    button: Line = ""
    thanks: Text = ""


class FormOption(_Part):
    """One value to choose."""

    value: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
    label: dict[Language, Line] = {}


class FormField(_Part):
    """One field. Hidden ones hold `value`, or what the query parameter `from_query` of the page's address says."""

    name: Annotated[str, Field(max_length=80)]
    label: dict[Language, Line] = {}
    required: bool = False
    options: Annotated[list[FormOption], Field(max_length=300)] = []
    hidden: bool = False
    value: Line = ""
    from_query: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,60}$")] | None = None

    @model_validator(mode="after")
    def _usable(self) -> "FormField":
        if not _NAME.match(self.name):
            raise ValueError("name must be first_name, last_name, phone, company, city, country or attributes.<name>")
        if self.hidden and self.required:
            raise ValueError("a hidden field cannot be required: nobody could fill it")
        if not self.hidden and (self.value or self.from_query):
            raise ValueError("only a hidden field has value or from_query")
        return self


class FormDefinition(_Part):
    """What a form asks, and what becomes of the answer. It always asks for an e-mail address."""

    purpose: str = "newsletter"
    languages: Annotated[list[Language], Field(min_length=1, max_length=3)] = ["en"]
    texts: dict[Language, FormTexts]
    fields: Annotated[list[FormField], Field(max_length=30)] = []
    tags: Annotated[list[Tag], Field(max_length=20)] = []
    list_ids: Annotated[list[UUID], Field(max_length=20)] = []
    double_opt_in: bool = Field(True, description="ask by mail first; who left once is asked in any case")
    sender_id: UUID | None = Field(None, description="who asks")
    ask_tracking: bool = False
    redirect_url: Annotated[str, Field(max_length=1000)] | None = Field(
        None, description="where a thank-you page is; its origin must be one of allowed_origins"
    )
    allowed_origins: Annotated[list[Origin], Field(max_length=20)] = Field(
        [], description="web sites that may show the form in theirs, or post to it"
    )
    active: bool = True

    @model_validator(mode="after")
    def _consistent(self) -> "FormDefinition":
        if len(set(self.languages)) != len(self.languages) or set(self.texts) != set(self.languages):
            raise ValueError("texts must have exactly the languages of the form, each once")
        names = [one.name for one in self.fields]
        if len(set(names)) != len(names):
            raise ValueError("two fields have the same name")
        for one in self.fields:
            if not one.hidden and set(one.label) < set(self.languages):
                raise ValueError(f"the field {one.name} needs a label in every language of the form")
        if self.double_opt_in and self.sender_id is None:
            raise ValueError("double_opt_in needs sender_id: somebody must ask")
        if self.redirect_url is not None and origin_of(self.redirect_url) not in self.allowed_origins:
            raise ValueError("the origin of redirect_url must be one of allowed_origins")
        return self


@dataclass(slots=True)
class Filled:
    """A posted form, read: contact fields, and what is wrong by field."""

    email: str
    values: dict[str, Any] = field(default_factory=dict)
    tracking: bool = False
    wrong: dict[str, Problem] = field(default_factory=dict)


def origin_of(url: str) -> str | None:
    """Scheme, host and port of a web address."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\x00-\x20\x7f\\\\]", url):
        return None
    return f"{parts.scheme}://{parts.hostname}{port}"


def public_key(workspace_id: UUID, form_id: UUID) -> str:
    """What stands in a form's public address."""
    return base64.urlsafe_b64encode(workspace_id.bytes + form_id.bytes).decode().rstrip("=")


def read_public_key(text: str) -> tuple[UUID, UUID] | None:
    """Workspace and form of a public address; None if it cannot be one."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return (UUID(bytes=raw[:16]), UUID(bytes=raw[16:])) if len(raw) == 32 else None


def read(definition: FormDefinition, defined: Mapping[str, Definition], posted: Mapping[str, str]) -> Filled:
    """What somebody posted, as contact fields. Whether values fit their types is for whoever stores them."""
    filled = Filled(posted.get("email", ""), tracking=definition.ask_tracking and posted.get("tracking") == "1")
    if not filled.email:
        filled.wrong["email"] = "missing"
    for one in definition.fields:
        text = posted.get(one.name, "") if not one.hidden or one.from_query else ""
        text = text or one.value
        if not text:
            if one.required:
                filled.wrong[one.name] = "missing"
            continue
        if len(text) > (MAX_VALUE if one.name.startswith(ATTRIBUTE) else NAME_CHARACTERS):
            filled.wrong[one.name] = "too_long"
        elif one.options and text not in {option.value for option in one.options}:
            filled.wrong[one.name] = "not_offered"
        else:
            _put(filled, one.name, defined, text)
    return filled


def _put(filled: Filled, name: str, defined: Mapping[str, Definition], text: str) -> None:
    own = name.removeprefix(ATTRIBUTE)
    try:
        if own == name:
            filled.values[name] = _CHECKS[name](text) if name in _CHECKS else text
        elif own in defined:
            given = {own: _typed(defined[own].kind, text)}
            filled.values.setdefault("attributes", {}).update(values.attributes(defined, given))
    except ValueError:
        filled.wrong[name] = "invalid_value"


_CHECKS: Mapping[str, Callable[[str], str]] = {"country": values.country, "phone": phones.check}


def _typed(kind: AttributeType, text: str) -> Any:
    if kind == "number":
        number = float(text.translate(_DIGITS))
        return int(number) if number.is_integer() else number
    if kind == "boolean":
        return text in ("1", "true", "on", "yes")
    return text


_DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹٫", "01234567890123456789.")
