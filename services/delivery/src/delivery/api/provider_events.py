"""/provider/…: what mail providers tell, without a login; and /v1/bounces/endpoints, where that is set up."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from common.web.pages import Page, Paging, page
from common.web.problems import problems
from common.web.route import Caller, Tx, allow, service_router
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from delivery.db import provider_endpoints as rows
from delivery.domain.provider_events.ses import TOPIC
from delivery.errors import (
    AmazonUnreachable,
    ForgedEvent,
    InvalidProviderSecret,
    ProviderEndpointNotFound,
    UnreadableEvent,
)
from delivery.use_cases.provider_events import ProviderEvents, create_endpoint

router = service_router("/bounces/endpoints", "bounces")
public = APIRouter(tags=["bounces"])

MAX_BYTES = 8 * 1024 * 1024
Provider = Literal["ses", "sendgrid", "mailgun", "postmark"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Hidden = Annotated[SecretStr, Field(min_length=8, max_length=2000, description="sealed at rest and never shown")]


class _Endpoint(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name


class SesEndpoint(_Endpoint):
    """Amazon SES, whose notices SNS sends: the topic, because anybody can have one."""

    provider: Literal["ses"]
    topic_arn: Annotated[str, StringConstraints(pattern=f"^{TOPIC.pattern}$")]


class SendGridEndpoint(_Endpoint):
    """SendGrid's event webhook with its signature switched on."""

    provider: Literal["sendgrid"]
    verification_key: Annotated[str, StringConstraints(min_length=40, max_length=2000)]


class MailgunEndpoint(_Endpoint):
    """Mailgun's webhooks."""

    provider: Literal["mailgun"]
    signing_key: Hidden


class PostmarkEndpoint(_Endpoint):
    """Postmark's webhooks, which send a user name and a password (basic authentication)."""

    provider: Literal["postmark"]
    username: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^:\x00-\x1f\x7f]+$")]
    password: Hidden


EndpointCreate = Annotated[
    SesEndpoint | SendGridEndpoint | MailgunEndpoint | PostmarkEndpoint, Field(discriminator="provider")
]


class EndpointOut(BaseModel):
    """Where a provider tells what came back."""

    id: UUID
    provider: Provider
    name: str
    last_event_at: datetime | None = Field(description="when it last told something, to the minute")
    created_at: datetime


class EndpointMade(EndpointOut):
    """A new one. Give the provider this URL; it is shown only now."""

    url: str


class Told(BaseModel):
    """How many returns the call told of. Those that came before changed nothing."""

    returns: int


@router.post("", status_code=201, dependencies=[allow("bounces:write")], responses=problems(InvalidProviderSecret))
async def create_bounce_endpoint(body: EndpointCreate, tx: Tx, caller: Caller, request: Request) -> EndpointMade:
    """Make an address for a provider's events, with what proves that they are theirs."""
    secret = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in body
        if name not in {"provider", "name"}
    }
    app = request.app
    row, token = await create_endpoint(tx, app.state.sealer, caller.workspace_id, body.provider, body.name, secret)
    url = f"{app.state.settings.public_url}/provider/{body.provider}/{token}"
    return EndpointMade(**_out(row).model_dump(), url=url)


@router.get("", dependencies=[allow("bounces:read")])
async def list_bounce_endpoints(tx: Tx, caller: Caller, paging: Paging) -> Page[EndpointOut]:
    """Newest first."""
    after = paging.after(UUID)
    found = await rows.page(tx, caller.workspace_id, after[0] if after else None, paging.limit + 1)
    return page(found, paging, _out, lambda row: (row["id"],))


@router.delete(
    "/{endpoint_id}",
    status_code=204,
    dependencies=[allow("bounces:write")],
    responses=problems(ProviderEndpointNotFound),
)
async def delete_bounce_endpoint(endpoint_id: UUID, tx: Tx, caller: Caller) -> None:
    """What comes to its address from now on is refused."""
    if not await rows.delete(tx, caller.workspace_id, endpoint_id):
        raise ProviderEndpointNotFound(endpoint_id=str(endpoint_id))


@public.post(
    "/provider/{provider}/{token}",
    max_body_size=MAX_BYTES,
    responses=problems(ProviderEndpointNotFound, ForgedEvent, UnreadableEvent, AmazonUnreachable),
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {}}}}},
)
async def accept_provider_events(provider: Provider, token: str, request: Request) -> Told:
    """What a mail provider tells, in its own form. Answered once it is stored; what came before changes nothing."""
    use: ProviderEvents = request.app.state.provider_events
    n = await use.take(request.app.state.db, provider, token, request.headers, await request.body())
    return Told(returns=n)


def _out(row: asyncpg.Record) -> EndpointOut:
    names: tuple[str, ...] = ("id", "provider", "name", "last_event_at", "created_at")
    values: dict[str, Any] = {name: row[name] for name in names}
    return EndpointOut(**values)
