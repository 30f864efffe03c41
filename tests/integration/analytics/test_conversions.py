"""Conversions over HTTP and to the bus."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from analytics.consumers.subscriptions import consumers, ingest
from analytics.main import create_app
from analytics.settings import Settings
from common.contracts import leads
from common.outbox.writer import Outgoing
from common.testing import deliver, outbox_events

from tests.fixtures.refusals import refused


@pytest.fixture
async def client(analytics_db, service_env, keys, http_client, workspace_id):
    service_env("analytics", analytics_db)
    async with http_client(create_app(Settings()), keys.token(workspace_id)) as connected:
        yield connected


@pytest.fixture
async def person(analytics_db, workspace_id: UUID) -> UUID:
    data = leads.LeadCreatedV1(contact_id=uuid4(), revision=1, email="p@x.example", created_at=datetime.now(UTC))
    await deliver(analytics_db.worker, ingest(), [Outgoing(workspace_id, data)])
    return data.contact_id


def order(person: UUID, name: str = "order-1", **fields: Any) -> dict[str, Any]:
    told = {"amount": "49.90", "currency": "EUR", "occurred_at": "2026-03-20T17:30:00Z"}
    return {"id": name, "contact_id": str(person), **told, **fields}


async def test_a_conversion_is_recorded_once_corrected_refunded_and_taken_back(client, analytics_db, person):
    both = [order(person), order(person, "سفارش ۲", amount=1, currency="IRR")]
    assert (await client.post("/v1/conversions", json=both)).json() == {"stored": 2, "duplicates": 0}
    assert (await client.post("/v1/conversions", json=[both[0], *both])).json() == {"stored": 0, "duplicates": 3}
    items = (await client.get("/v1/conversions", params={"contact_id": str(person)})).json()["items"]
    found = next(one for one in items if one["external_id"] == "order-1")
    assert {one["external_id"] for one in items} == {"order-1", "سفارش ۲"}
    path = f"/v1/conversions/{found['id']}"
    one = await client.get(path)
    changed = await client.patch(path, json={"refunded": "9.90"}, headers={"If-Match": one.headers["etag"]})
    assert (Decimal(changed.json()["refunded"]), changed.json()["revision"]) == (Decimal("9.90"), 2)
    assert (await client.patch(path, json={"refunded": "9.9"})).json()["revision"] == 2, "nothing changed"
    assert (await client.patch(path, json={"amount": "60", "campaign_id": None})).json()["revision"] == 3
    assert (await client.post("/v1/conversions", json=[both[0]])).json()["duplicates"] == 1, "as it was first told"
    assert (await client.delete(path)).status_code == 204
    told = [event.data for event in await outbox_events(analytics_db.worker, "conversion.recorded")]
    assert [(t.revision, t.amount, t.refunded, t.voided) for t in told if t.currency == "EUR"] == [
        (1, Decimal("49.9"), 0, False),
        (2, Decimal("49.9"), Decimal("9.9"), False),
        (3, 60, Decimal("9.9"), False),
        (4, 60, Decimal("9.9"), True),
    ]


async def test_conversions_that_are_refused_change_nothing(client, analytics_db, person):
    (await client.post("/v1/conversions", json=[order(person)])).raise_for_status()
    path = f"/v1/conversions/{(await client.get('/v1/conversions')).json()['items'][0]['id']}"
    for refusal, method, where, body in (
        ((404, "lead_not_found"), "POST", "/v1/conversions", [order(person, "new"), order(uuid4(), "other")]),
        ((404, "campaign_not_found"), "POST", "/v1/conversions", [order(person, "new", campaign_id=str(uuid4()))]),
        ((409, "conversion_differs"), "POST", "/v1/conversions", [order(person, "new"), order(person, amount="50")]),
        ((409, "conversion_differs"), "POST", "/v1/conversions", [order(person, "n"), order(person, "n", amount="2")]),
        ((422, "invalid"), "POST", "/v1/conversions", [order(person, "new", amount="-1")]),
        ((422, "invalid"), "POST", "/v1/conversions", [order(person, "new", currency="eur")]),
        ((422, "invalid"), "POST", "/v1/conversions", [order(person, "new", amount="1e400")]),
        ((422, "invalid"), "POST", "/v1/conversions", [order(person, str(n)) for n in range(1001)]),
        ((422, "bad_refund"), "PATCH", path, {"refunded": "49.91"}),
        ((422, "bad_refund"), "PATCH", path, {"refunded": "20", "amount": "10"}),
        ((422, "invalid"), "PATCH", path, {"amount": None}),
        ((404, "conversion_not_found"), "DELETE", f"/v1/conversions/{uuid4()}", None),
    ):
        await refused(client, analytics_db, refusal, method, where, json=body)


async def test_an_erased_persons_amounts_stay_without_the_person(client, analytics_db, workspace_id, person):
    (await client.post("/v1/conversions", json=[order(person)])).raise_for_status()
    erased = leads.LeadErasedV1(contact_id=person, request_id=uuid4(), address_hashes=[])
    for consumer in consumers():
        await deliver(analytics_db.worker, consumer, [Outgoing(workspace_id, erased)])
    (left,) = (await client.get("/v1/conversions")).json()["items"]
    assert (left["contact_id"], left["external_id"], Decimal(left["amount"])) == (None, None, Decimal("49.9"))
    again = await client.post("/v1/conversions", json=[order(person)])
    assert (again.status_code, again.json()["code"]) == (404, "lead_not_found")
    assert (await client.patch(f"/v1/conversions/{left['id']}", json={"amount": 1})).status_code == 404
