"""`/p/{token}`: the preference centre, for whoever has the link. GET and HEAD change nothing."""

from uuid import UUID

from common.clock import SYSTEM_CLOCK
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from contacts.api.public_pages import FORM_BODY, answer, database, form, language_of, or_later, pages, person
from contacts.api.public_pages import token as read_token
from contacts.domain.pages import preferences
from contacts.use_cases import preferences as use_cases
from contacts.use_cases.preferences import LEFT_ALL, PAUSES, Choices, Standing
from contacts.use_cases.purposes import wording

router = APIRouter(tags=["preferences"])


@router.get("/p/{token}", response_class=HTMLResponse, responses=pages(404, 503))
@router.head("/p/{token}", name="head_preferences", response_class=HTMLResponse, responses=pages(404, 503))
async def show_preferences(token: str, request: Request) -> HTMLResponse:
    """What a person gets, and may change."""
    language = language_of(request)
    return await or_later(_preferences(request, token), preferences.tell(language, "later"))


@router.post("/p/{token}", response_class=HTMLResponse, responses=pages(404, 413, 503), openapi_extra=FORM_BODY)
async def save_preferences(token: str, request: Request) -> HTMLResponse:
    """Save what a person chose. The link itself is the permission: there is no cookie that could be abused."""
    language = language_of(request)
    return await or_later(_save(request, token), preferences.tell(language, "later"))


async def _preferences(request: Request, text: str) -> HTMLResponse:
    said = read_token(request, text, "p")
    if said is None:
        return _missing(request)
    if said.contact_id is None or said.kind == "test":
        return answer(preferences.tell(language_of(request), "test"))
    async with database(request).transaction(said.workspace_id, readonly=True) as tx:
        standing = await use_cases.read(tx, said.workspace_id, said.contact_id)
    return _missing(request) if standing is None else answer(_page(request, standing))


async def _save(request: Request, text: str) -> HTMLResponse:
    said = read_token(request, text, "p")
    if said is None:
        return _missing(request)
    if said.contact_id is None or said.kind == "test":
        return answer(preferences.tell(language_of(request), "test"))
    choices = _choices(await form(request))
    workspace_id, contact_id = said.workspace_id, said.contact_id
    async with database(request).transaction(workspace_id) as tx:
        standing = await use_cases.read(tx, workspace_id, contact_id, lock=True)
        if standing is None:
            return _missing(request)
        language = language_of(request, standing.contact["language"])
        evidence = f"link of message {said.message_id}"
        now = SYSTEM_CLOCK.now()
        await use_cases.choose(tx, standing, choices, evidence, language, person(request), now)
        standing = await use_cases.read(tx, workspace_id, contact_id)
    assert standing is not None  # noqa: S101 - it is locked
    return answer(_page(request, standing, left_all=choices.leave_all, saved=True))


def _choices(fields: list[tuple[str, str]]) -> Choices:
    pause = next((value for name, value in fields if name == "pause"), "")
    return Choices(
        shown=_ids(fields, "shown"),
        wanted=_ids(fields, "purpose"),
        tracking=("tracking", "1") in fields,
        pause=int(pause) if pause in {"0", *map(str, PAUSES)} else None,
        leave_all=("action", "leave_all") in fields,
    )


def _ids(fields: list[tuple[str, str]], wanted: str) -> frozenset[UUID]:
    found = set()
    for name, value in fields:
        if name == wanted:
            try:
                found.add(UUID(value))
            except ValueError:
                continue
    return frozenset(found)


def _page(request: Request, standing: Standing, *, saved: bool = False, left_all: bool = False) -> str:
    language = language_of(request, standing.contact["language"])
    shown = [preferences.Shown(one.id, wording(one, language), standing.wants(one)) for one in standing.purposes]
    return preferences.page(
        language,
        standing.contact["email"],
        shown,
        tracking=standing.contact["tracking"] == "individual",
        paused_days=standing.paused_days(SYSTEM_CLOCK.now()),
        blocked=standing.blocked not in (None, LEFT_ALL),
        pauses=PAUSES,
        done=("left_all" if left_all else "saved") if saved else None,
    )


def _missing(request: Request) -> HTMLResponse:
    return answer(preferences.tell(language_of(request), "missing"), 404)
