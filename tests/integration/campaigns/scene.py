"""A workspace ready to send, and a client of its API."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
from campaigns.consumers.subscriptions import consumers
from campaigns.main import create_app
from campaigns.settings import Settings
from campaigns.use_cases.bootstrap import Bootstrapped, bootstrap
from common.contracts.leads import LeadCreatedV1, ListChangedV1, SegmentChangedV1
from common.db.pool import Database
from common.ids import new_id
from common.outbox.writer import Outgoing
from common.testing.deliver import deliver
from fastapi import FastAPI

from tests.fixtures.access import TestKeys
from tests.fixtures.databases import ServiceDatabase

MAIN, ACCESS = consumers()
ADDRESS = "Barid, 12 Ferdowsi Street, Tehran"
HTML = '<html><body><p>Hello {{ first_name }}</p><a href="{{ unsubscribe_url }}">Unsubscribe</a></body></html>'


def application(
    service_env: Callable[..., dict[str, str]], database: ServiceDatabase, keys: TestKeys, **extra: str
) -> FastAPI:
    service_env("campaigns", database, **{"BARID_TOKEN_SIGNING_KEY": keys.private, **extra})
    return create_app(Settings())


async def workspace(db: Database, keys: TestKeys, workspace_id: UUID, **values: Any) -> Bootstrapped:
    return await bootstrap(
        db,
        keys.private,
        name="Nowruz",
        owner_email="owner@example.org",
        workspace_id=workspace_id,
        values={"postal_address": ADDRESS, **values},
    )


async def segment(db: Database, workspace_id: UUID, **more: Any) -> UUID:
    """A segment that contacts has told of."""
    segment_id = new_id()
    told = SegmentChangedV1(segment_id=segment_id, name="Tehran", **{"revision": 1, **more})
    await deliver(db, MAIN, [Outgoing(workspace_id, told)])
    return segment_id


async def a_list(db: Database, workspace_id: UUID) -> UUID:
    list_id = new_id()
    told = ListChangedV1(list_id=list_id, name="Expo", revision=1)
    await deliver(db, MAIN, [Outgoing(workspace_id, told)])
    return list_id


def lead(contact_id: UUID, **more: Any) -> LeadCreatedV1:
    return LeadCreatedV1.model_validate(
        {
            "contact_id": contact_id,
            "revision": 1,
            "email": "leila@example.org",
            "created_at": "2026-03-20T00:00:00Z",
            **more,
        }
    )


async def draft(client: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    """A draft with sender and content; what it lacks is given by the caller."""
    sender = await client.post("/v1/senders", json={"name": "Barid", "email": "news@example.org"})
    assert sender.status_code == 201, sender.text
    body = {
        "name": "Spring",
        "sender_id": sender.json()["id"],
        "content": {"subject": "Hello {{ first_name }}", "html": HTML, "language": "en"},
        **more,
    }
    answer = await client.post("/v1/campaigns", json={k: v for k, v in body.items() if v is not ...})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is this problem, and tells how to mend it."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    found: dict[str, Any] = answer.json()
    assert (answer.status_code, found["code"]) == (status, code), answer.text
    assert found["detail"]
    return found
