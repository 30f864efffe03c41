"""`/f/{key}`: forms, as hosted pages and for web sites that post to them. GET and HEAD change nothing.

Whether an address is known, subscribed or suppressed never shows in an answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import asyncpg
import orjson
from common.db.pool import TRANSIENT
from common.errors import BadRequest, BaridError, TooLarge
from common.link_tokens import LinkToken
from common.web.problems import MEDIA_TYPE, PROBLEM_REF, answer_error, problems
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from pydantic import BaseModel

from contacts.api.public_pages import MAX_BYTES, answer, clean, database, language_of, links, person
from contacts.api.public_pages import form as posted_form
from contacts.api.public_pages import pages as documented
from contacts.api.public_pages import token as read_token
from contacts.db import attributes, forms
from contacts.domain.addresses import Addresses, NotAnAddress
from contacts.domain.forms import TRAP, Filled, FormDefinition, origin_of, read, read_public_key
from contacts.domain.pages import form as pages
from contacts.domain.pages.languages import Language
from contacts.domain.values import AttributeType, Definition
from contacts.errors import FormRejected, FormUnknown, TooManyPosts
from contacts.use_cases.form_posts import submit
from contacts.use_cases.purposes import resolve_purpose, wording

router = APIRouter(tags=["forms"])

AT_LEAST = timedelta(seconds=2)
AT_MOST = timedelta(hours=12)
_JSON = "application/json"
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {"schema": {"type": "object"}},
            _JSON: {"schema": {"type": "object", "additionalProperties": {"type": ["string", "boolean", "number"]}}},
        },
    }
}


@dataclass(frozen=True, slots=True)
class _Open:
    """A form as the public sees it."""

    row: asyncpg.Record
    definition: FormDefinition
    defined: Mapping[str, Definition]
    wording: str
    language: Language

    @property
    def types(self) -> dict[str, AttributeType]:
        """The attributes' types."""
        return {name: one.kind for name, one in self.defined.items()}


class EmbedField(BaseModel):
    """A field that an embedded form shows."""

    name: str
    label: str
    type: Literal["text", "number", "boolean", "date"]
    required: bool
    options: list[dict[str, str]]


class Embed(BaseModel):
    """What a web site needs to show a form itself: post `t`, `email` and the fields by name, as JSON."""

    t: str
    language: Language
    title: str
    wording: str
    fields: list[EmbedField]
    ask_tracking: bool


class Accepted(BaseModel):
    """The same for everybody."""

    message: str
    redirect_url: str | None


def _both(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Pages for who posted a form, problem documents for who posted JSON."""
    found = documented(*statuses)
    for one in found.values():
        one["content"] = {**one["content"], MEDIA_TYPE: {"schema": PROBLEM_REF}}
    return found


@router.get("/f/{key}", response_class=HTMLResponse, responses=documented(404, 503))
@router.head("/f/{key}", name="head_form_page", response_class=HTMLResponse, responses=documented(404, 503))
async def show_form_page(key: str, request: Request) -> HTMLResponse:
    """A form's page."""
    try:
        form = await _open(request, key)
    except TRANSIENT:
        return _later(request)
    if form is None:
        return _closed(request)
    return _page(request, form, _token(request, form), request.query_params)


@router.get("/f/{key}/embed", responses=problems(FormUnknown))
async def get_form_embed(key: str, request: Request, response: Response) -> Embed:
    """A form for web sites that show it themselves; only those that it names may read this in a browser."""
    form = await _open(request, key)
    if form is None:
        raise FormUnknown
    response.headers.update(_cors(request, form.definition))
    definition, language = form.definition, form.language
    return Embed(
        t=_token(request, form),
        language=language,
        title=definition.texts[language].title,
        wording=form.wording,
        ask_tracking=definition.ask_tracking,
        fields=[
            EmbedField(
                name=one.name,
                label=one.label[language],
                type=form.types.get(one.name.removeprefix("attributes."), "text"),
                required=one.required,
                options=[
                    {"value": option.value, "label": option.label.get(language) or option.value}
                    for option in one.options
                ],
            )
            for one in definition.fields
            if not one.hidden
        ],
    )


@router.options("/f/{key}", status_code=204)
async def preflight_form(key: str, request: Request) -> Response:
    """Whether a web site may post to the form (CORS)."""
    form = await _open(request, key)
    headers = _cors(request, form.definition) if form else {}
    if headers:
        headers |= {
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Max-Age": "600",
        }
    return Response(status_code=204, headers=headers)


@router.post(
    "/f/{key}",
    response_class=HTMLResponse,
    responses={
        **_both(404, 413, 422, 429, 503),
        200: {"description": "Taken", "content": {"text/html": {}, _JSON: {"schema": Accepted.model_json_schema()}}},
        303: {"description": "Taken; the form has a thank-you page of its own"},
    },
    openapi_extra=_BODY,
)
async def submit_form(key: str, request: Request) -> Response:
    """Send a form. The answer is the same whoever the address belongs to."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _JSON:
        return await _by_json(request, key)
    try:
        form = await _open(request, key)
        if form is None:
            return _closed(request)
        typed = dict(await posted_form(request))
        return await _by_page(request, form, typed)
    except TRANSIENT:
        return _later(request)


async def _by_page(request: Request, form: _Open, typed: dict[str, str]) -> Response:
    if typed.get(TRAP):
        return _thanks(form)
    refused = _refusal(request, form, typed.get("t", ""))
    if refused is not None:
        token = typed["t"] if refused == "too_fast" else _token(request, form)
        return _page(request, form, token, typed, refused=refused, status=422)
    filled = read(form.definition, form.defined, typed)
    try:
        taken = await _submit(request, form, filled)
    except TooManyPosts as error:
        seconds = str(error.params["retry_after_s"])
        return answer(pages.tell(form.language, "too_many"), 429, Retry_After=seconds)
    return _thanks(form) if taken else _page(request, form, typed["t"], typed, filled=filled, status=422)


async def _by_json(request: Request, key: str) -> Response:
    form = await _open(request, key)
    if form is None:
        raise FormUnknown
    try:
        found: Response = await _taken(request, form)
    except BaridError as error:
        # Here, not by the handler: the web site's page must be allowed to read what is wrong.
        found = answer_error(error)
    found.headers.update(_cors(request, form.definition))
    return found


async def _taken(request: Request, form: _Open) -> Response:
    typed = _fields(await request.body())
    language = form.language
    if not typed.get(TRAP):
        refused = _refusal(request, form, typed.get("t", ""))
        if refused is not None:
            raise FormRejected({"t": pages.explanation(language, refused)})
        filled = read(form.definition, form.defined, typed)
        if not await _submit(request, form, filled):
            raise FormRejected({name: pages.explanation(language, one) for name, one in filled.wrong.items()})
    message = pages.thanks_text(form.definition, language)
    return JSONResponse({"message": message, "redirect_url": form.definition.redirect_url})


async def _submit(request: Request, form: _Open, filled: Filled) -> bool:
    """Store what was sent; False: `filled.wrong` says why not. Raises TooManyPosts."""
    addresses = Addresses(request.app.state.settings.pepper_bytes(), form.row["workspace_id"])
    try:
        address = addresses.read(filled.email)
    except NotAnAddress:
        filled.wrong.setdefault("email", "invalid_email")
        return False
    if filled.wrong:
        return False
    async with database(request).transaction(form.row["workspace_id"]) as tx:
        await submit(tx, links(request), form.row, filled, address, addresses, form.language, person(request))
    return True


async def _open(request: Request, key: str) -> _Open | None:
    """The form of a public address, if it is active."""
    ids = read_public_key(key)
    if ids is None:
        return None
    workspace_id, form_id = ids
    async with database(request).transaction(workspace_id, readonly=True) as tx:
        row = await forms.find(tx, workspace_id, form_id)
        if row is None or not row["definition"].get("active", True):
            return None
        definition = FormDefinition.model_validate(row["definition"])
        defined = await attributes.definitions(tx, workspace_id)
        purpose = await resolve_purpose(tx, workspace_id, definition.purpose)
    language = language_of(request, None, definition.languages)
    return _Open(row, definition, defined, wording(purpose, language), language)


def _token(request: Request, form: _Open) -> str:
    """When this page was made, signed: nobody fills a form in within two seconds."""
    made = links(request)
    row = form.row
    return made.keys.sign(LinkToken("f", "single", row["workspace_id"], row["id"], None, None, None, made.clock.now()))


def _refusal(request: Request, form: _Open, text: str) -> pages.Refusal | None:
    said = read_token(request, text, "f")
    if said is None or said.message_id != form.row["id"]:
        return "old"
    age = links(request).clock.now() - said.sent_at
    if age < AT_LEAST:
        return "too_fast"
    return "old" if age > AT_MOST else None


def _page(
    request: Request,
    form: _Open,
    token: str,
    typed: Mapping[str, str],
    *,
    filled: Filled | None = None,
    refused: pages.Refusal | None = None,
    status: int = 200,
) -> HTMLResponse:
    values = {name: clean(value)[:2000] for name, value in typed.items()}
    for one in form.definition.fields:
        if one.from_query and one.name not in values:
            values[one.name] = clean(request.query_params.get(one.from_query, ""))[:2000] or one.value
    wrong = filled.wrong if filled else {}
    text = pages.page(
        form.definition, form.types, form.language, form.wording, token, values, wrong=wrong, refused=refused
    )
    return _framed(form, text, status)


def _thanks(form: _Open) -> Response:
    url = form.definition.redirect_url
    if url is not None:
        return RedirectResponse(url, 303)
    return _framed(form, pages.thanks(form.definition, form.language))


def _framed(form: _Open, text: str, status: int = 200) -> HTMLResponse:
    url = form.definition.redirect_url
    targets = [origin] if url and (origin := origin_of(url)) else []
    frames = ["'self'", *form.definition.allowed_origins] if form.definition.allowed_origins else []
    return answer(text, status, frames=frames, targets=targets)


def _cors(request: Request, definition: FormDefinition) -> dict[str, str]:
    origin = request.headers.get("origin", "")
    if origin not in definition.allowed_origins:
        return {"Vary": "Origin"}
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def _fields(body: bytes) -> dict[str, str]:
    """A JSON form as text by name. Raises BadRequest, TooLarge."""
    if len(body) > MAX_BYTES:
        raise TooLarge
    try:
        found: Any = orjson.loads(body)
    except ValueError as error:
        raise BadRequest("The body is no JSON") from error
    if not isinstance(found, dict):
        raise BadRequest("The body is no JSON object")
    texts = {True: "1", False: ""}
    return {
        name: clean(texts[value] if isinstance(value, bool) else str(value))
        for name, value in found.items()
        if isinstance(value, str | int | float)
    }


def _closed(request: Request) -> HTMLResponse:
    return answer(pages.tell(language_of(request), "closed"), 404)


def _later(request: Request) -> HTMLResponse:
    return answer(pages.tell(language_of(request), "later"), 503, Retry_After="60")
