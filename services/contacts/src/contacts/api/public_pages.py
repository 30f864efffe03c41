"""What the pages without a login share: who asks, in which language, and how a page is answered."""

import base64
import ipaddress
from collections.abc import Awaitable, Collection, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

from common.db.pool import TRANSIENT, Database
from common.errors import TooLarge
from common.link_tokens import BadToken, LinkToken, TokenKeys, TokenPurpose
from fastapi import Request
from fastapi.responses import HTMLResponse

from contacts.domain.pages import layout
from contacts.domain.pages.languages import LANGUAGES, Language, accepted, known
from contacts.use_cases.confirmations import Links
from contacts.use_cases.consents import Actor

MAX_BYTES = 64 * 1024
MAX_FIELDS = 200
_STYLE = base64.b64encode(sha256(layout.STYLE.encode()).digest()).decode()
_POLICY = (
    "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action {forms}; frame-ancestors {frames}"
)
_AGENT = 500
FORM_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}},
    }
}


def pages(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route that answers with pages, for people, whatever happens."""
    html = {"text/html": {"schema": {"type": "string"}}}
    words = {200: "The page", 404: "The link is not valid", 503: "The database does not answer", 422: "Not accepted"}
    return {status: {"description": words.get(status, "A page"), "content": html} for status in statuses}


def links(request: Request) -> Links:
    """The application's maker of links."""
    made: Links = request.app.state.links
    return made


def database(request: Request) -> Database:
    """The service's database, for a transaction of the workspace that a link names."""
    found: Database = request.app.state.db
    return found


def token(request: Request, text: str, purpose: TokenPurpose) -> LinkToken | None:
    """What a link says; None for what is no link of ours, or not for this."""
    keys: TokenKeys = links(request).keys
    try:
        return keys.verify(text, purpose)
    except BadToken:
        return None


def person(request: Request) -> Actor:
    """Who is at the other end, as the ledger keeps it: address and user agent."""
    agent = request.headers.get("user-agent", "")[:_AGENT]
    return Actor("recipient", client_ip(request), "".join(one for one in agent if one.isprintable()) or None)


def client_ip(request: Request) -> str | None:
    """The address that the proxy before us saw: the last it names. Nobody but a proxy reaches this port."""
    forwarded = request.headers.get("x-forwarded-for", "").split(",")[-1].strip()
    for text in (forwarded, request.client.host if request.client else ""):
        try:
            return str(ipaddress.ip_address(text))
        except ValueError:
            continue
    return None


def language_of(request: Request, tag: str | None = None, among: Collection[Language] = LANGUAGES) -> Language:
    """What the address asks for (`?lang=fa`), else what is known of the person, else what the browser prefers."""
    first: Language = next(iter(among))
    found: Language | None = (
        known(request.query_params.get("lang"), among)
        or known(tag, among)
        or accepted(request.headers.get("accept-language", ""), among)
    )
    return found or first


def answer(
    text: str, status: int = 200, *, frames: Sequence[str] = (), targets: Sequence[str] = (), **headers: str
) -> HTMLResponse:
    """A page. `frames`: who may show it inside theirs; `targets`: where its form may lead, besides here."""
    policy = _POLICY.format(
        style=_STYLE, forms=" ".join(("'self'", *targets)), frames=" ".join(frames) if frames else "'none'"
    )
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return HTMLResponse(text, status, {"Content-Security-Policy": policy, "X-Robots-Tag": "noindex", **given})


async def form(request: Request) -> list[tuple[str, str]]:
    """The fields of a posted form, without what no field can hold. Raises TooLarge."""
    body = await request.body()
    if len(body) > MAX_BYTES:
        raise TooLarge
    try:
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise TooLarge(f"The form has more than {MAX_FIELDS} fields") from error
    return [(name, clean(value)) for name, value in pairs]


def clean(value: str) -> str:
    """A typed value without line breaks and control characters; the joiners that Persian needs stay."""
    text = value.encode("utf-8", "replace").decode("utf-8")
    return "".join(" " if one in "\r\n\t" else one for one in text if one in "\r\n\t" or one >= " ").strip()


async def or_later(work: Awaitable[HTMLResponse], later: str) -> HTMLResponse:
    """The work's answer; a page that says to come back while the database is away."""
    try:
        return await work
    except TRANSIENT:
        return answer(later, 503, Retry_After="60")
