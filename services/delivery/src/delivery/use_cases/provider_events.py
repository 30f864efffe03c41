"""A provider's call: whose endpoint, is it them, and what came back. Nothing is stored for who is not."""

import asyncio
import base64
import binascii
import hashlib
import logging
import secrets
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from common.db.pool import Connection, Database
from common.ids import new_id
from common.sealing import Sealer

from delivery.db import provider_endpoints
from delivery.domain.claims import Matcher
from delivery.domain.provider_events import mailgun, postmark, sendgrid, ses
from delivery.domain.provider_events.common import Forged, Unreadable
from delivery.domain.returns import Returned
from delivery.errors import (
    AmazonUnreachable,
    ForgedEvent,
    InvalidProviderSecret,
    ProviderEndpointNotFound,
    UnreadableEvent,
)
from delivery.use_cases.amazon import Amazon, Unfetched
from delivery.use_cases.returns import take_returns

log = logging.getLogger(__name__)

TOKEN_BYTES = 24
MOST_AT_ONCE = 1000

Secret = Mapping[str, str]


async def create_endpoint(
    tx: Connection, sealer: Sealer, workspace_id: UUID, provider: str, name: str, secret: Secret
) -> tuple[asyncpg.Record, str]:
    """A new endpoint, and the token that its address ends with, which is never shown again.

    Raises InvalidProviderSecret.
    """
    if provider == "sendgrid":
        try:
            sendgrid.public_key(secret["verification_key"])
        except ValueError as error:
            raise InvalidProviderSecret(f"verification_key: {error}", field="verification_key") from error
    id_ = new_id()
    token = base64.urlsafe_b64encode(workspace_id.bytes + secrets.token_bytes(TOKEN_BYTES)).rstrip(b"=").decode()
    sealed = sealer.seal(orjson.dumps(secret), secret_context(workspace_id, id_))
    return await provider_endpoints.add(tx, workspace_id, id_, provider, name, _hash(token), sealed), token


class ProviderEvents:
    """Takes what providers tell."""

    def __init__(self, sealer: Sealer, matcher: Matcher, amazon: Amazon, pepper: bytes) -> None:
        """`pepper` keys the hashes by which addresses are blocked."""
        self._pepper = pepper
        self._sealer = sealer
        self._matcher = matcher
        self._amazon = amazon

    async def take(self, db: Database, provider: str, token: str, headers: Mapping[str, str], raw: bytes) -> int:
        """How many returns the call told of; repeated ones change nothing.

        Raises ProviderEndpointNotFound, ForgedEvent, UnreadableEvent, AmazonUnreachable.
        """
        endpoint = await self._endpoint(db, provider, token)
        workspace_id: UUID = endpoint["workspace_id"]
        try:
            found = await self._verified(db, endpoint, {name.lower(): value for name, value in headers.items()}, raw)
        except Forged as error:
            log.warning("a provider's event is not theirs", extra={"provider": provider})
            raise ForgedEvent from error
        except Unreadable as error:
            raise UnreadableEvent(str(error)) from error
        for n in range(0, len(found), MOST_AT_ONCE):
            await take_returns(db, found[n : n + MOST_AT_ONCE], workspace_id, self._pepper)
        async with db.transaction(workspace_id) as tx:
            await provider_endpoints.seen(tx, workspace_id, endpoint["id"])
        return len(found)

    async def _endpoint(self, db: Database, provider: str, token: str) -> asyncpg.Record:
        try:
            workspace_id = UUID(bytes=base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))[:16])
        except (binascii.Error, ValueError) as error:
            raise ProviderEndpointNotFound from error
        async with db.transaction(workspace_id, readonly=True) as tx:
            row = await provider_endpoints.by_token(tx, workspace_id, provider, _hash(token))
        if row is None:
            raise ProviderEndpointNotFound
        return row

    async def _verified(
        self, db: Database, endpoint: asyncpg.Record, headers: dict[str, str], raw: bytes
    ) -> list[Returned]:
        id_, provider = str(endpoint["id"]), endpoint["provider"]
        secret = orjson.loads(
            self._sealer.open(endpoint["secret"], secret_context(endpoint["workspace_id"], endpoint["id"]))
        )
        if provider == "sendgrid":
            sendgrid.verified(headers, raw, secret["verification_key"])
            return await asyncio.to_thread(sendgrid.returns, _json(raw), self._matcher, id_)
        if provider == "postmark":
            postmark.verified(headers, secret["username"], secret["password"])
            return await asyncio.to_thread(postmark.returns, _json(raw), self._matcher, id_)
        body = _json(raw)
        if provider == "mailgun":
            nonce = mailgun.verified(body, secret["signing_key"])
            await self._use(db, endpoint, nonce, mailgun.event_id(body))
            return mailgun.returns(body, self._matcher, id_)
        await self._verify_sns(body, secret["topic_arn"])
        return await asyncio.to_thread(ses.returns, body, self._matcher, id_)

    async def _use(self, db: Database, endpoint: asyncpg.Record, nonce: str, event_id: str) -> None:
        digest, workspace_id = hashlib.sha256(nonce.encode()).digest(), endpoint["workspace_id"]
        async with db.transaction(workspace_id) as tx:
            used = await provider_endpoints.use_nonce(tx, workspace_id, endpoint["id"], digest, event_id[:200])
        if used != event_id[:200]:
            raise Forged

    async def _verify_sns(self, body: Any, topic: str) -> None:
        url = ses.certificate_url(body, topic)
        try:
            ses.verified(body, await self._amazon.certificate(url))
            if (confirm := ses.confirmation(body)) is not None:
                await self._amazon.fetch(confirm)
                log.info("a subscription is confirmed", extra={"topic": topic})
        except Unfetched as error:
            raise AmazonUnreachable(str(error)) from error


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def secret_context(workspace_id: UUID, id_: UUID) -> str:
    """What an endpoint's secret is sealed for."""
    return f"provider endpoint/{workspace_id}/{id_}"


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Unreadable("the body is not JSON") from error
