"""`/t/1.js`, the script that web pages load, and `/t/{key}`, where it tells what visitors do.

Nobody logs in here: a site's public key says whose pages they are, and a browser only sends from the origins that the
site names. No address of a client is stored, and no name of a browser, but that of a machine which says that it is one.
"""

import ipaddress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID, uuid5

import asyncpg
from common.errors import BaridError, Invalid
from common.link_tokens import LinkToken
from common.web.problems import answer_error, problems
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError

from contacts.api.paces import Pace
from contacts.api.public_pages import client_ip, database, links
from contacts.api.public_pages import token as read_token
from contacts.db import sites
from contacts.db.visits import Hit
from contacts.domain import visits
from contacts.domain.addresses import Address, Addresses, NotAnAddress
from contacts.domain.forms import read_public_key
from contacts.domain.visits import HitType
from contacts.errors import TooManyPosts
from contacts.use_cases.sites import vouches
from contacts.use_cases.visits import take_hits
from contacts.visit_errors import ConsentNeeded, IdentityNotProven, OriginNotAllowed, SiteUnknown

router = APIRouter(tags=["sites"])

MAX_BYTES = 32 * 1024
PER_NETWORK, PER_SITE = 240, 3_000  # calls a minute and process
PROOF_HOLDS = timedelta(days=30)
TRACKER = (Path(__file__).parent / "tracker.js").read_bytes()
_ETAG = f'"{sha256(TRACKER).hexdigest()[:16]}"'
_SCRIPT_HEADERS = {
    "ETag": _ETAG,
    "Cache-Control": "public, max-age=3600, stale-while-revalidate=86400",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
}
_BODY = {"requestBody": {"required": True, "content": {"text/plain": {"schema": {"type": "string"}}}}}
Text = Annotated[str, Field(max_length=4000)]


class HitIn(BaseModel):
    """Something that happened on a page, `a` milliseconds before it was sent."""

    i: UUID
    t: HitType
    a: Annotated[int, Field(ge=0, le=86_400_000)] = 0
    p: dict[Annotated[str, Field(max_length=40)], Text | Annotated[float, Field(allow_inf_nan=False)]] = Field(
        {}, max_length=20
    )


class ProofIn(BaseModel):
    """Whose browser it is: the token of a mail's link, or an address that the site's server has signed."""

    token: Text = ""
    email: Annotated[str, Field(max_length=320)] = ""
    signature: Annotated[str, Field(max_length=200)] = ""


class VisitIn(BaseModel):
    """What the script sends: `v` is the number that the browser made up, `c` how it comes to have the consent."""

    v: UUID
    c: Literal["given", "assumed"]
    e: list[HitIn] = Field([], max_length=25)
    id: ProofIn | None = None


class VisitTaken(BaseModel):
    """Whether the script is to stop and forget."""

    stop: bool


@router.get(
    "/t/1.js",
    response_class=Response,
    responses={
        200: {"description": "The script", "content": {"text/javascript": {}}},
        304: {"description": "Still the same"},
    },
)
async def get_tracker(request: Request) -> Response:
    """The script, for pages of any site. The number is that of what it sends: what is cached stays understood."""
    if request.headers.get("if-none-match") == _ETAG:
        return Response(status_code=304, headers=_SCRIPT_HEADERS)
    return Response(TRACKER, headers=_SCRIPT_HEADERS, media_type="text/javascript")


@router.options("/t/{key}", status_code=204)
async def preflight_visit(key: str, request: Request) -> Response:
    """For scripts of others: ours sends what needs no question first."""
    site = await _site(request, key)
    headers = _cors(request, site)
    if "Access-Control-Allow-Origin" in headers:
        headers |= {
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Max-Age": "600",
        }
    return Response(status_code=204, headers=headers)


@router.post(
    "/t/{key}",
    response_model=VisitTaken,
    responses={
        204: {"description": "The browser asks not to be tracked: nothing was read"},
        **problems(SiteUnknown, OriginNotAllowed, IdentityNotProven, ConsentNeeded, TooManyPosts, Invalid),
    },
    openapi_extra=_BODY,
    max_body_size=MAX_BYTES,
)
async def tell_visit(key: str, request: Request) -> Response:
    """Tell what a visitor does. The same event sent twice is kept once."""
    site: asyncpg.Record | None = None
    try:
        if PACE_OF_NETWORKS.exceeded(_network(client_ip(request))):
            raise TooManyPosts(retry_after_s=60)
        site = await _site(request, key)
        if site is None:
            raise SiteUnknown(mend="Use the snippet of GET /v1/sites")
        found: Response = await _taken(request, site)
    except BaridError as error:
        # Here, not by the handler: the page must be allowed to read what is wrong.
        found = answer_error(error)
    found.headers.update(_cors(request, site))
    return found


async def _taken(request: Request, site: asyncpg.Record) -> Response:
    if request.headers.get("origin") not in site["origins"]:
        raise OriginNotAllowed(mend="Add the page's origin to the site's origins", allowed=site["origins"])
    if request.headers.get("dnt") == "1" or request.headers.get("sec-gpc") == "1":
        return Response(status_code=204)
    if PACE_OF_SITES.exceeded(site["id"]):
        raise TooManyPosts(retry_after_s=60)
    try:
        visit = VisitIn.model_validate_json(await request.body())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Invalid("/" + "/".join(map(str, first["loc"])) + f": {first['msg']}") from error
    if site["consent"] == "required" and visit.c != "given":
        raise ConsentNeeded(mend='Call barid("consent", true) once the visitor has agreed')
    proven = _proven(request, site, visit.id) if visit.id else None
    now, machine = datetime.now(UTC), visits.bot(request.headers.get("user-agent", ""))
    hits = [
        Hit(
            # By visitor, so that nobody can write into what another's browser told.
            uuid5(visit.v, str(one.i)),
            one.t,
            now - timedelta(milliseconds=one.a),
            visits.kept(one.t, one.p, site["name"], machine),
            machine is not None,
        )
        for one in visit.e
    ]
    async with database(request).transaction(site["workspace_id"]) as tx:
        said = await take_hits(tx, site, visit.v, visit.c, hits, proven)
    return JSONResponse({"stop": said == "stop"})


def _proven(request: Request, site: asyncpg.Record, proof: ProofIn) -> UUID | Address:
    pepper = request.app.state.settings.pepper_bytes()
    if proof.token:
        said = read_token(request, proof.token, "i")
        if said is not None and said.contact_id is not None and _still_proves(request, site, said):
            return said.contact_id
    elif vouches(site, pepper, proof.email, proof.signature):
        try:
            return Addresses(pepper, site["workspace_id"]).read(proof.email)
        except NotAnAddress as error:
            raise Invalid(f"/id/email: {error}") from error
    raise IdentityNotProven(mend="Send the token of a mail's link, or the signature that the site's server made")


def _still_proves(request: Request, site: asyncpg.Record, said: LinkToken) -> bool:
    age = links(request).clock.now() - said.sent_at
    return said.workspace_id == site["workspace_id"] and said.kind != "test" and age < PROOF_HOLDS


async def _site(request: Request, key: str) -> asyncpg.Record | None:
    """The site of a public key, if it is active."""
    ids = read_public_key(key)
    if ids is None:
        return None
    async with database(request).transaction(ids[0], readonly=True) as tx:
        row = await sites.find(tx, *ids)
    return row if row is not None and row["active"] else None


def _cors(request: Request, site: asyncpg.Record | None) -> dict[str, str]:
    origin = request.headers.get("origin", "")
    if site is None or origin not in site["origins"]:
        return {"Vary": "Origin"}
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def _network(ip: str | None) -> object:
    """One subscriber's addresses count as one: a /64 of IPv6."""
    found = ipaddress.ip_address(ip) if ip else None
    return int(found) >> 64 if isinstance(found, ipaddress.IPv6Address) else found


PACE_OF_NETWORKS, PACE_OF_SITES = Pace(PER_NETWORK), Pace(PER_SITE)
