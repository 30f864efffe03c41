"""`/p/confirm/{token}`: what a double opt-in mail leads to. GET and HEAD confirm nothing: scanners follow links."""

from common.db.pool import Connection
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from contacts.api.public_pages import FORM_BODY, answer, database, form, language_of, links, or_later, person
from contacts.api.public_pages import pages as documented
from contacts.api.public_pages import token as read_token
from contacts.domain.addresses import Addresses
from contacts.domain.pages import confirmation as pages
from contacts.domain.pages.languages import Language
from contacts.errors import SenderUnknown
from contacts.use_cases import confirmations
from contacts.use_cases.confirmations import Question
from contacts.use_cases.form_posts import apply_confirmed
from contacts.use_cases.purposes import wording

router = APIRouter(tags=["preferences"])


@router.get("/p/confirm/{token}", response_class=HTMLResponse, responses=documented(404, 410, 503))
@router.head(
    "/p/confirm/{token}", name="head_confirmation", response_class=HTMLResponse, responses=documented(404, 410, 503)
)
async def show_confirmation(token: str, request: Request) -> HTMLResponse:
    """The page of a double opt-in mail's link, with a button."""
    return await or_later(_show(request, token), pages.tell(language_of(request), "later"))


@router.post(
    "/p/confirm/{token}",
    response_class=HTMLResponse,
    responses=documented(404, 410, 413, 503),
    openapi_extra=FORM_BODY,
)
async def confirm_subscription(token: str, request: Request) -> HTMLResponse:
    """Confirm, or ask for a new link where this one is too old."""
    return await or_later(_confirm(request, token), pages.tell(language_of(request), "later"))


async def _show(request: Request, text: str) -> HTMLResponse:
    said = read_token(request, text, "d")
    if said is None:
        return _missing(request)
    async with database(request).transaction(said.workspace_id, readonly=True) as tx:
        question = await confirmations.read(tx, links(request), said)
    if question is None:
        return _missing(request)
    language = language_of(request, question.row["language"])
    if question.status == "open":
        return answer(pages.ask(language, wording(question.purpose, language)))
    return _closed(question, language)


async def _confirm(request: Request, text: str) -> HTMLResponse:
    said = read_token(request, text, "d")
    if said is None:
        return _missing(request)
    again = ("again", "1") in await form(request)
    async with database(request).transaction(said.workspace_id) as tx:
        question = await confirmations.read(tx, links(request), said, lock=True)
        if question is None:
            return _missing(request)
        language = language_of(request, question.row["language"])
        if question.status == "over" and again:
            return await _ask_again(request, tx, question, language)
        if question.status != "open":
            return _closed(question, language)
        actor = person(request)
        await confirmations.confirm(tx, question, language, actor)
        if (sent := question.row["submission_id"]) is not None:
            addresses = Addresses(request.app.state.settings.pepper_bytes(), said.workspace_id)
            await apply_confirmed(tx, question.contact, sent, actor, addresses)
    return answer(pages.done(language, already=False))


async def _ask_again(request: Request, tx: Connection, question: Question, language: Language) -> HTMLResponse:
    row = question.row
    try:
        await confirmations.ask(
            tx,
            links(request),
            question.contact,
            question.purpose,
            row["sender_id"],
            row["source"],
            language,
            person(request),
        )
    except SenderUnknown:
        return _missing(request)
    return answer(pages.tell(language, "asked"))


def _closed(question: Question, language: Language) -> HTMLResponse:
    if question.status == "confirmed":
        return answer(pages.done(language, already=True))
    return answer(pages.expired(language), 410)


def _missing(request: Request) -> HTMLResponse:
    return answer(pages.tell(language_of(request), "missing"), 404)
